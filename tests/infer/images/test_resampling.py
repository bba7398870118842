"""Against Pillow, whose filters these are."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgqa_infer import Scorer, UsageError
from dgqa_infer.images import resampling

FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
SIZE = (97, 61)


@pytest.fixture(scope="module")
def photograph(repository: Path) -> Image.Image:
    return Image.open(repository / "examples" / "photos" / "coffee.webp").convert("RGB")


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize(
    "box", [(0.0, 0.0, 600.0, 400.0), (0.0, 0.0, 598.5, 399.25), (31.5, 8.0, 590.0, 371.75)]
)
def test_it_shrinks_as_pillow_does(
    photograph: Image.Image, name: str, box: tuple[float, float, float, float]
) -> None:
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


def test_fast_decoding_without_the_library_is_refused_with_what_to_install(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cykooz_resizer", None)
    with pytest.raises(UsageError, match=r"pip install 'dgqa-infer\[fast\]'"):
        Scorer(tiny_bundle, device="cpu", decoding="scaled")
