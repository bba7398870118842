"""Crops of photographs that were decoded at a part of their size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from dgqa_infer.bundle.preprocessing import FULL, STANDARD, Preprocessing
from dgqa_infer.errors import ModelError
from dgqa_infer.images.crops import crops, shrink

WAY = Preprocessing(id="short32-grid5-16", short_side=32, crop=16, grid=5)


def ramp(width: int, height: int, step: float = 1.0, least: float = 0.0) -> np.ndarray:
    """Grey rises from left to right by `step` a pixel, as a camera would see it at a pixel's middle."""
    row = least + step * (np.arange(width) + 0.5)
    return np.repeat(np.tile(row[None, :, None], (height, 1, 1)), 3, axis=2).round().astype(np.uint8)


def test_the_scaled_way_has_another_id_and_is_otherwise_the_same() -> None:
    scaled = FULL.scaled()
    assert scaled.id == "short512-grid5-224-scaled"
    assert scaled.decoded_side == 1152
    assert replace(scaled, id=FULL.id, decoded_side=None) == FULL


def test_what_is_decoded_at_a_part_already_has_no_faster_way() -> None:
    assert STANDARD.scaled() == STANDARD
    assert [each.suffix for each in (FULL, FULL.scaled(), STANDARD)] == ["", "+scaled", ""]
    assert STANDARD.on_gpu() == replace(FULL.on_gpu(), id="dct1152-short512-grid5-224-nvjpeg")


def test_another_resizer_is_refused() -> None:
    with pytest.raises(ModelError, match="resizer is 'nearest', not 'fast_image_resize'"):
        replace(STANDARD, resizer="nearest")


def test_a_card_says_nothing_of_decoding_at_full_size() -> None:
    assert not {"decoded_side", "resizer"} & set(FULL.as_card())
    for preprocessing in (FULL, FULL.scaled(), STANDARD):
        assert Preprocessing.from_card(preprocessing.as_card()) == preprocessing


def test_jpegs_must_not_be_decoded_below_the_short_side() -> None:
    with pytest.raises(ModelError, match="decoded_side 511 is below short_side 512"):
        replace(FULL, decoded_side=511)


def test_a_box_that_is_the_whole_of_an_even_picture_changes_nothing() -> None:
    picture = np.full((70, 90, 3), 77, np.uint8)
    assert np.array_equal(shrink(picture, WAY, (0, 0, 90, 70)), shrink(picture, WAY))


def test_the_size_comes_from_the_photograph_and_not_from_the_pixels_that_hold_it() -> None:
    """257 × 130 at a half is 128.5 × 65 in 129 × 65 pixels; 32 / 65 of 128.5 is 63.3, of 129 it were 63.5."""
    assert shrink(ramp(129, 65), WAY, (0, 0, 128.5, 65)).shape == (32, 63, 3)


@pytest.mark.parametrize("left", [0.0, 0.75])
def test_what_lies_beyond_the_box_is_not_stretched_into_the_photograph(left: float) -> None:
    """A ramp is the same ramp after resizing, so the grey of a place says where it came from."""
    picture = ramp(101, 64, step=2.0)
    shrunk = shrink(picture, WAY, (left, 0, left + 100.25, 64))[16, :, 0].astype(float)
    assert len(shrunk) == 50
    # The restoring filter leaves a ramp alone, but for rounding.
    inner = np.arange(5, 45)
    expected = 2.0 * (left + (inner + 0.5) * 100.25 / 50)
    assert np.abs(shrunk[inner] - expected).max() <= 1.0


@pytest.mark.parametrize("divided", [2, 4])
def test_detail_that_a_divided_size_has_lost_comes_back(divided: int) -> None:
    """Waves of three pixels in the result: averaging has left sinc(1 / 12) of them, 0.9886."""
    side = 4 * 96
    place = np.arange(side * divided) + 0.5
    wave = 128 + 100 * np.cos(2 * np.pi * place / (3 * 4 * divided))
    averaged = wave.reshape(side, divided).mean(axis=1)
    way = replace(WAY, short_side=96)
    whole = np.tile(wave[None, :, None], (side * divided, 1, 3)).round().astype(np.uint8)
    part = np.tile(averaged[None, :, None], (side, 1, 3)).round().astype(np.uint8)
    exact = shrink(whole, way)[48, 8:-8, 0].astype(float)
    restored = shrink(part, way, (0, 0, side, side))[48, 8:-8, 0].astype(float)
    assert np.ptp(restored) == pytest.approx(np.ptp(exact), abs=2)


def test_crops_take_the_box_into_account() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (65, 129, 3), np.uint8)
    whole = shrink(picture, WAY, (0.5, 0, 129, 65))
    cut, warnings = crops(picture, WAY, (0.5, 0, 129, 65))
    assert warnings == ()
    assert np.array_equal(cut[0], whole[:16, :16])
    assert np.array_equal(cut[3], whole[-16:, -16:])


def test_a_box_is_resized_even_where_its_short_side_is_already_right() -> None:
    picture = np.asarray(Image.new("RGB", (65, 32), (9, 9, 9)))
    assert shrink(picture, WAY, (0, 0, 64.5, 32)).shape == (32, 64, 3)
