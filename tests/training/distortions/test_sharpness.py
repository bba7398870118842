"""#24 and #25. Check values: docs/distortions.md."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import interpolate, ndimage

from dgqa_training.distortions import DISTORTIONS
from dgqa_training.distortions._arrays import gaussian_taps
from dgqa_training.distortions.sharpness import contrast_change, contrast_curve, high_sharpen
from dgqa_training.distortions.spaces import rgb_to_lab

# Level → y(0.1), y(0.2), y(0.4), and the slope at 0.5.
CURVES = {
    1: (0.000, 0.057, 0.329, 1.744),
    2: (0.025, 0.100, 0.350, 1.521),
    3: (0.057, 0.143, 0.371, 1.298),
    4: (0.143, 0.257, 0.429, 0.702),
    5: (0.186, 0.314, 0.457, 0.405),
}


@pytest.mark.parametrize("level", list(CURVES))
def test_contrast_curve_has_the_values_and_the_slope_of_the_original(level, generator):
    amount = DISTORTIONS[25].value(level)
    *values, slope = CURVES[level]
    points = np.array([[[0.1, 0.2, 0.4]]], np.float32)
    np.testing.assert_allclose(contrast_change(points, amount, generator).ravel(), values, atol=6e-4)
    near = contrast_curve(np.float32([0.49, 0.51]), amount)
    assert (near[1] - near[0]) / 0.02 == pytest.approx(slope, abs=1.5e-3)


@pytest.mark.parametrize("level", list(CURVES))
def test_contrast_curve_is_the_not_a_knot_spline_and_symmetric(level):
    amount = DISTORTIONS[25].value(level)
    ramp = np.linspace(0, 1, 513, dtype=np.float32)
    knots = [0, 0.25 - amount / 4, 0.5, 0.75 + amount / 4, 1]
    spline = interpolate.CubicSpline([0, 0.3, 0.5, 0.7, 1], knots, bc_type="not-a-knot")
    ours = contrast_curve(ramp, amount)
    np.testing.assert_allclose(ours, spline(ramp), atol=1e-6)
    np.testing.assert_allclose(ours[::-1], 1 - ours, atol=1e-6)


@pytest.mark.parametrize(
    ("level", "low", "high"),
    [(1, 0.175, 0.825), (2, 0.2125, 0.7875), (3, 0.25, 0.75), (4, 0.35, 0.65), (5, 0.40, 0.60)],
)
def test_contrast_curve_passes_through_its_knots(level, low, high):
    knots = contrast_curve(np.float32([0.3, 0.7]), DISTORTIONS[25].value(level))
    np.testing.assert_allclose(knots, (low, high), atol=1e-6)


def test_sharpening_uses_a_gaussian_of_sigma_3_on_13_pixels():
    assert len(gaussian_taps(3.0)) == 13


def test_sharpening_adds_the_detail_of_lightness_times_the_amount(generator):
    # A faint vertical step on gray: nothing is clipped, and L* says all.
    image = np.full((20, 60, 3), 0.45, np.float32)
    image[:, 30:] = 0.5
    lightness = rgb_to_lab(image)[..., 0]
    blurred = ndimage.gaussian_filter(lightness, 3.0, radius=6, mode="nearest")
    sharpened = rgb_to_lab(high_sharpen(image, 2, generator))
    np.testing.assert_allclose(sharpened[..., 0], lightness + 2 * (lightness - blurred), atol=0.02)
    np.testing.assert_allclose(sharpened[..., 1:], 0, atol=0.02)


def test_sharpening_keeps_a_and_b(generator):
    image = np.full((20, 60, 3), (0.5, 0.45, 0.4), np.float32)
    image[:, 30:] += 0.02
    before, after = rgb_to_lab(image), rgb_to_lab(high_sharpen(image, 1, generator))
    np.testing.assert_allclose(after[..., 1:], before[..., 1:], atol=0.02)
