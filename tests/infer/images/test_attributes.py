"""Sharpness, brightness and noise against what was put in, and against other programs and methods."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter
from scipy import ndimage

from dgqa_infer.images.arrays import Pixels
from dgqa_infer.images.attributes import attributes


def photograph(name: str = "coffee") -> Pixels:
    from skimage import data

    return np.asarray(getattr(data, name)())[:400, :600, :3]


def grey(value: int, size: tuple[int, int] = (40, 60)) -> Pixels:
    return np.full((*size, 3), value, np.uint8)


@pytest.mark.parametrize(("value", "percent"), [(0, 0), (51, 20), (255, 100)])
def test_brightness_is_per_cent_of_white(value: int, percent: float) -> None:
    assert attributes(grey(value)).brightness == pytest.approx(percent, abs=1e-3)


def test_brightness_weighs_colours_as_luma_does() -> None:
    # ITU-R BT.601: red counts 0.299, green 0.587, blue 0.114.
    for channel, weight in enumerate((29.9, 58.7, 11.4)):
        image = grey(0).copy()
        image[..., channel] = 255
        assert attributes(image).brightness == pytest.approx(weight, abs=1e-3)


def test_clipped_is_the_share_at_either_end() -> None:
    image = grey(128, (10, 10)).copy()
    image[0] = 0
    image[1] = 255
    image[2, :5] = 2  # dark, not clipped
    assert attributes(image).clipped == pytest.approx(0.2)


@pytest.mark.parametrize("sigma", [4.0, 10.0])
def test_noise_is_the_deviation_of_what_was_added(sigma: float) -> None:
    luma = 128 + np.random.default_rng(0).normal(0, sigma, (300, 400))
    image = np.repeat(luma.round().clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
    assert attributes(image).noise == pytest.approx(sigma, rel=0.02, abs=0.37)  # luma of a grey is whole


@pytest.mark.parametrize("sigma", [10.0, 20.0])
def test_noise_of_a_photograph_agrees_with_another_method(sigma: float) -> None:
    # J. Immerkær, "Fast noise variance estimation", CVIU 64, 1996; fine texture counts in both.
    noisy = photograph() + np.random.default_rng(1).normal(0, sigma, (400, 600, 1))
    image = noisy.round().clip(0, 255).astype(np.uint8)
    luma = image @ np.array([0.299, 0.587, 0.114])
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]])
    details = np.abs(ndimage.convolve(luma, mask))[1:-1, 1:-1]
    other = float(np.sqrt(np.pi / 2) * details.mean() / 6)
    assert attributes(image).noise == pytest.approx(other, rel=0.12)


def reference_sharpness(image: Pixels) -> float:
    """Crete's measure written with SciPy: one minus the blur along the axis where it is greater."""
    luma = image @ np.array([0.299, 0.587, 0.114])
    found = []
    for axis in (0, 1):
        steps = np.abs(np.diff(luma, axis=axis))
        blurred = np.abs(np.diff(ndimage.uniform_filter1d(luma, 9, axis, mode="nearest"), axis=axis))
        found.append(np.maximum(0, steps - blurred).sum() / steps.sum())
    return float(min(found))


def test_sharpness_is_cretes_measure() -> None:
    for image in (photograph(), photograph("astronaut")):
        assert attributes(image).sharpness == pytest.approx(reference_sharpness(image), abs=1e-4)


def test_sharpness_falls_as_a_photograph_is_blurred_along_one_axis_or_both() -> None:
    picture = Image.fromarray(photograph())
    found = [
        attributes(np.asarray(picture.filter(ImageFilter.GaussianBlur(radius)))).sharpness
        for radius in (0, 0.5, 1, 2, 4)
    ]
    assert found == sorted(found, reverse=True)
    assert found[0] - found[-1] > 0.4
    shaken = ndimage.uniform_filter1d(photograph(), 9, axis=1)
    assert attributes(shaken).sharpness < attributes(photograph()).sharpness - 0.2


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_every_picture_has_attributes_in_their_ranges(height: int, width: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    found = attributes(image)
    assert 0 <= found.sharpness <= 1
    assert 0 <= found.brightness <= 100
    assert 0 <= found.clipped <= 1
    assert np.isfinite(found.noise)
    assert found.noise >= 0


def test_an_even_picture_is_neither_sharp_nor_noisy() -> None:
    found = attributes(grey(90))
    assert (found.sharpness, found.noise, found.clipped) == (0.0, 0.0, 0.0)
