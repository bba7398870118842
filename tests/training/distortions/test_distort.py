"""What holds for every type at every level, and the stretches around it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dgqa_infer.errors import ImageError, UsageError
from dgqa_training.distortions import DISTORTIONS, LEVELS, distort, from_bytes, to_bytes

EVERY = [(number, level) for number in DISTORTIONS for level in LEVELS]
ROOMY = [number for number, kind in DISTORTIONS.items() if kind.smallest_side == 1]


@pytest.mark.parametrize(("number", "level"), EVERY)
def test_shape_range_and_type_hold_and_the_input_is_left_alone(photo, number, level):
    before = photo.copy()
    made = distort(photo, number, level, np.random.default_rng(1))
    np.testing.assert_array_equal(photo, before)
    assert made.shape == photo.shape
    assert made.dtype == np.float32
    assert made.min() == 0
    assert made.max() == pytest.approx(1, abs=1e-6)
    assert made.max() <= 1
    assert not np.shares_memory(made, photo)


@pytest.mark.parametrize("number", list(DISTORTIONS))
def test_the_same_generator_gives_the_same_image(photo, number):
    first, second = (distort(photo, number, 3, np.random.default_rng(9)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("number", [3, 5, 11, 12, 13, 14, 15, 19, 20, 23])
def test_random_types_differ_from_draw_to_draw(photo, number):
    first, second = (distort(photo, number, 5, np.random.default_rng(seed)) for seed in (1, 2))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(("number", "level"), [(1, 1), (3, 1), (8, 1), (18, 3)])
def test_identities_up_to_rounding(photo, number, level):
    # docs/distortions.md, "Identity up to rounding/colour round-trip".
    made = distort(photo, number, level, np.random.default_rng(1))
    np.testing.assert_array_equal(to_bytes(made), to_bytes(photo))


def test_the_input_is_stretched_over_all_channels_together(photo, generator):
    faint = (photo * np.float32(0.25) + np.float32(0.5)).astype(np.float32)
    np.testing.assert_allclose(distort(faint, 18, 3, generator), photo, atol=1e-6)


def test_bytes_and_floats_give_the_same(photo):
    floats, byte = (distort(i, 22, 3, np.random.default_rng(0)) for i in (photo, to_bytes(photo)))
    np.testing.assert_array_equal(floats, byte)


def test_to_bytes_rounds_to_nearest_and_saturates():
    values = np.array([[[-0.1, 0, 0.5 / 255], [0.49 / 255, 1, 1.2]]], np.float32)
    assert to_bytes(values).tolist() == [[[0, 0, 1], [0, 255, 255]]]
    every = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
    np.testing.assert_array_equal(to_bytes(from_bytes(every)), every)


@settings(max_examples=40, deadline=None)
@given(
    image=st.tuples(st.integers(1, 40), st.integers(1, 40)).flatmap(
        lambda size: arrays(np.uint8, (*size, 3), elements=st.integers(0, 255), fill=st.integers(0, 255))
    ),
    number=st.sampled_from(ROOMY),
    level=st.sampled_from(LEVELS),
    seed=st.integers(0, 2**32),
)
def test_any_image_of_any_size_keeps_shape_and_range(image, number, level, seed):
    before = image.copy()
    made = distort(image, number, level, np.random.default_rng(seed))
    again = distort(image, number, level, np.random.default_rng(seed))
    assert made.shape == image.shape
    assert made.dtype == np.float32
    assert made.min() >= 0
    assert made.max() <= 1
    np.testing.assert_array_equal(made, again)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(("number", "level"), [(number, 5) for number in DISTORTIONS])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_constant_images_are_not_stretched_and_stay_finite(number, level, value):
    flat = np.full((48, 50, 3), value, np.uint8)
    made = distort(flat, number, level, np.random.default_rng(0))
    assert np.isfinite(made).all()
    assert made.min() >= 0
    assert made.max() <= 1


@pytest.mark.parametrize("number", ROOMY)
@pytest.mark.parametrize("shape", [(1, 1), (1, 60), (60, 1)])
def test_images_one_pixel_wide_are_distorted(number, shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert distort(image, number, 5, np.random.default_rng(0)).shape == image.shape


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (8, 8, 4), (2, 8, 8, 3)])
def test_gray_and_alpha_arrays_are_refused_and_told_what_to_do(shape, generator):
    with pytest.raises(ImageError, match="repeat a gray channel") as caught:
        distort(np.zeros(shape, np.float32), 1, 1, generator)
    assert caught.value.code == "unsupported"


@pytest.mark.parametrize(
    ("image", "code"),
    [
        (np.zeros((0, 8, 3), np.float32), "empty"),
        (np.zeros((8, 8, 3)), "unsupported"),
        (np.full((8, 8, 3), 1.5, np.float32), "unsupported"),
        (np.full((8, 8, 3), -0.1, np.float32), "unsupported"),
        (np.full((8, 8, 3), np.nan, np.float32), "not_finite"),
        (np.full((8, 8, 3), np.inf, np.float32), "not_finite"),
        (np.zeros((8, 8, 3), np.uint16), "unsupported"),
    ],
)
def test_arrays_that_are_no_image_are_refused(image, code, generator):
    with pytest.raises(ImageError) as caught:
        distort(image, 1, 1, generator)
    assert caught.value.code == code


def test_unknown_types_and_levels_are_refused(photo, generator):
    with pytest.raises(UsageError, match="no distortion type 26"):
        distort(photo, 26, 1, generator)
    with pytest.raises(UsageError, match="level 6"):
        distort(photo, 1, 6, generator)
