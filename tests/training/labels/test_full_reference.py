"""The metric that orders contents."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from dgqa_training.labels.full_reference import quality


@pytest.fixture(scope="module")
def picture():
    draw = np.random.default_rng(3)
    smooth = [ndimage.gaussian_filter(draw.standard_normal((120, 100)), 2) for _ in range(3)]
    image = np.stack(smooth, axis=-1)
    return np.uint8(255 * (image - image.min()) / np.ptp(image))


def noisy(image, deviation):
    noise = np.random.default_rng(0).normal(0, deviation, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def test_equal_images_reach_1(picture):
    assert quality(picture, picture) == pytest.approx(1, abs=1e-6)


def test_more_noise_is_worse(picture):
    qualities = [quality(picture, noisy(picture, deviation)) for deviation in (2, 8, 20, 60)]
    assert qualities == sorted(qualities, reverse=True)
    assert 0 <= qualities[-1] < 0.8


def test_it_sees_a_change_of_colour_that_keeps_luma(picture):
    other = picture.astype(float)
    other[..., 0] += 20 * 0.587 / 0.299
    other[..., 1] -= 20
    squares = np.kron(np.random.default_rng(0).random((30, 25, 1)) < 0.5, np.ones((4, 4, 1), bool))
    changed = np.where(squares, np.clip(other, 0, 255), picture).astype(np.uint8)
    luma = [image @ (0.299, 0.587, 0.114) for image in (picture, changed)]
    assert np.median(np.abs(luma[0] - luma[1])) < 1
    assert quality(picture, changed) < 0.97


def test_inverted_images_score_next_to_nothing_and_stay_finite(picture):
    assert 0 <= quality(picture, 255 - picture) < 0.1


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (10, 200), (11, 11), (12, 300), (64, 64)])
def test_small_images_have_a_quality_too(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert quality(image, image) == pytest.approx(1, abs=1e-6)
    assert 0 <= quality(image, 255 - image) < 0.95


def test_images_of_different_size_are_refused(picture):
    with pytest.raises(ValueError, match="differ in size"):
        quality(picture, picture[:-1])
