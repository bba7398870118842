"""Against Pillow, whose filters these are, and with Pillow in the library's place."""

from __future__ import annotations

import hashlib
import random
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dgqa_infer.bundle.preprocessing import FULL, STANDARD
from dgqa_infer.images import resampling
from dgqa_infer.images.arrays import Box
from dgqa_infer.images.crops import shrink

FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
SIZE = (97, 61)


@pytest.fixture(scope="module")
def photograph(repository: Path) -> Image.Image:
    return Image.open(repository / "examples" / "photos" / "coffee.webp").convert("RGB")


def without_the_library(image: np.ndarray, size: tuple[int, int], name: str, box: Box) -> np.ndarray:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cykooz_resizer", None)
        return resampling.shrink(image, size, name, box)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize(
    "box", [(0.0, 0.0, 600.0, 400.0), (0.0, 0.0, 598.5, 399.25), (31.5, 8.0, 590.0, 371.75)]
)
def test_it_shrinks_as_pillow_does(photograph: Image.Image, name: str, box: Box) -> None:
    ours = resampling.shrink(np.asarray(photograph), SIZE, name, box).astype(int)
    theirs = np.asarray(photograph.resize(SIZE, FILTERS[name], box)).astype(int)
    off = np.abs(ours - theirs)
    assert off.mean() < 0.2
    assert (off <= 1).mean() > 0.995


def test_a_picture_that_is_a_view_is_shrunk_as_its_copy(photograph: Image.Image) -> None:
    turned = np.rot90(np.asarray(photograph))
    box = (0.0, 0.0, 400.0, 600.0)
    found = resampling.shrink(turned, SIZE, "bicubic", box)
    assert np.array_equal(found, resampling.shrink(turned.copy(), SIZE, "bicubic", box))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.floats(1.01, 9),
    st.floats(0, 0.99),
    st.sampled_from(sorted(FILTERS)),
    st.sampled_from([2, 256]),
)
def test_without_the_library_no_value_is_off_by_more_than_two_levels(
    seed: int, size: tuple[int, int], scale: float, lost: float, name: str, levels: int
) -> None:
    """Noise, of which black and white alone overshoots most.

    Values that the first pass rounds otherwise differ by one; the second weighs them by up to 1.6 in all.
    """
    pytest.importorskip("cykooz_resizer")
    width, height = (max(2, round(side * scale)) for side in size)
    noise = np.random.default_rng(seed).integers(0, levels, (height, width, 3)) * (255 // (levels - 1))
    box = (0.0, 0.0, width - lost, height - lost / 2)
    small = min(size[0], width - 1), min(size[1], height - 1)
    one = resampling.shrink(noise.astype(np.uint8), small, name, box).astype(int)
    other = without_the_library(noise.astype(np.uint8), small, name, box)
    assert np.abs(one - other).max() <= 2


@pytest.mark.parametrize("name", sorted(FILTERS))
@pytest.mark.parametrize("size", [(300, 200), (149, 99), (511, 341)])
def test_without_the_library_no_value_of_a_photograph_is_off_by_more_than_one_level(
    photograph: Image.Image, size: tuple[int, int], name: str
) -> None:
    pytest.importorskip("cykooz_resizer")
    pixels, box = np.asarray(photograph), (0.0, 0.0, *map(float, photograph.size))
    one = resampling.shrink(pixels, size, name, box).astype(int)
    assert np.abs(one - without_the_library(pixels, size, name, box)).max() <= 1


def test_without_the_library_restored_detail_keeps_within_a_level_but_for_rounding(
    photograph: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What restores detail enlarges a level's difference by a twentieth, which may round to two."""
    pytest.importorskip("cykooz_resizer")
    large = np.asarray(photograph.resize((1800, 1200), Image.Resampling.LANCZOS))
    box = (0.0, 0.0, 1799.5, 1200.0)
    one = shrink(large, STANDARD, box).astype(int)
    monkeypatch.setitem(sys.modules, "cykooz_resizer", None)
    off = np.abs(one - shrink(large, STANDARD, box))
    assert off.max() <= 2
    assert (off > 1).mean() < 0.001


def test_every_format_is_shrunk_by_the_resizer_that_the_preprocessing_names(photograph: Image.Image) -> None:
    whole = np.asarray(photograph.resize((900, 600), Image.Resampling.LANCZOS))
    box = (0.0, 0.0, 900.0, 600.0)
    assert np.array_equal(shrink(whole, STANDARD), resampling.shrink(whole, (768, 512), "bicubic", box))
    by_pillow = np.asarray(Image.fromarray(whole).resize((768, 512), Image.Resampling.BICUBIC))
    assert np.array_equal(shrink(whole, FULL), by_pillow)


@pytest.mark.parametrize(
    ("name", "by_pillow_11_and_12"),
    [("bilinear", "877b16d868e39042"), ("bicubic", "b78a28d6db6b317b"), ("lanczos", "170c73b24caa0325")],
)
def test_tall_photographs_of_older_models_keep_the_pixels_that_pillow_gave_before_13(
    name: str, by_pillow_11_and_12: str
) -> None:
    """Pillow 13 resizes the rows of tall pictures first. Digests of `resize` by Pillow 11.3.0 and 12.2.0."""
    tall = Image.frombytes("RGB", (75, 250), random.Random(1).randbytes(75 * 250 * 3))
    found = shrink(np.asarray(tall), replace(FULL, short_side=64, crop=64, filter=name))
    assert hashlib.sha256(found.tobytes()).hexdigest()[:16] == by_pillow_11_and_12


def test_a_photograph_that_is_not_large_has_the_same_pixels_by_every_preprocessing(
    photograph: Image.Image,
) -> None:
    small = np.asarray(photograph)[:, :512]
    for preprocessing in (FULL, STANDARD, replace(FULL, filter="lanczos")):
        assert np.array_equal(shrink(small, preprocessing), small)
