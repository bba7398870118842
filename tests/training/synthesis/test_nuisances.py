from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dgqa_infer.images.decode import decode
from dgqa_training.distortions import ByteImage
from dgqa_training.synthesis.nuisances import COLOUR_TYPES, Nuisances, draw, view


@pytest.fixture(scope="module")
def photograph(repository) -> ByteImage:
    return decode(repository / "examples" / "photos" / "chelsea.webp").pixels[:200, :300]


def test_the_plain_view_is_the_image_itself(photograph: ByteImage) -> None:
    np.testing.assert_array_equal(view(photograph, Nuisances()), photograph)


@given(seed=st.integers(0, 2**32 - 1), type_number=st.integers(0, 25))
def test_a_view_stays_within_its_limits(seed: int, type_number: int) -> None:
    nuisances = draw(np.random.default_rng(seed), type_number, smallest=0.8)
    assert 0.8 <= nuisances.resized <= 1.5
    assert 60 <= nuisances.quality <= 98
    assert 0.85 <= nuisances.gamma <= 1.18
    assert not (nuisances.grey and type_number in COLOUR_TYPES)


def test_views_do_not_depend_on_the_type_but_for_grey() -> None:
    """Else the classifier could tell a type by how its images were saved."""
    for seed in range(200):
        views = [draw(np.random.default_rng(seed), kind) for kind in range(26)]
        assert {replace(each, grey=False) for each in views} == {replace(views[0], grey=False)}


def test_every_kind_of_view_is_drawn() -> None:
    drawn = [draw(np.random.default_rng(seed)) for seed in range(300)]
    assert {each.encoded for each in drawn} == {None, "jpeg", "webp"}
    assert {each.subsampling for each in drawn} == {0, 2}
    assert {each.turns for each in drawn} == {0, 1, 2, 3}
    for name in ("grey", "mirrored", "encoded_first"):
        assert {getattr(each, name) for each in drawn} == {True, False}


def test_a_jpeg_view_is_the_encoder_s(photograph: ByteImage) -> None:
    file = io.BytesIO()
    Image.fromarray(photograph).save(file, "JPEG", quality=75, subsampling=2)
    expected = np.asarray(Image.open(file))
    np.testing.assert_array_equal(view(photograph, Nuisances(encoded="jpeg", quality=75)), expected)


def test_a_turned_and_mirrored_view_has_the_same_pixels_elsewhere(photograph: ByteImage) -> None:
    turned = view(photograph, Nuisances(turns=1, mirrored=True))
    np.testing.assert_array_equal(turned, photograph.transpose(1, 0, 2)[::-1, ::-1])


def test_a_grey_view_has_one_value_a_pixel_and_gains_tint_it(photograph: ByteImage) -> None:
    grey = view(photograph, Nuisances(grey=True))
    assert (grey == grey[..., :1]).all()
    warm = view(photograph, Nuisances(gains=(1.06, 0.94))).astype(float).mean((0, 1))
    plain = photograph.astype(float).mean((0, 1))
    assert warm[0] > plain[0]
    assert warm[2] < plain[2]


def test_a_resized_view_has_its_sides_times_the_factor(photograph: ByteImage) -> None:
    assert view(photograph, Nuisances(resized=1.5)).shape == (300, 450, 3)
    assert view(photograph, Nuisances(resized=0.5, encoded="webp", encoded_first=True)).shape == (100, 150, 3)
