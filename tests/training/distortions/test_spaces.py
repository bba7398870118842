"""Colour spaces against scikit-image's and against values known from the standards."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import color

from dgqa_training.distortions.spaces import (
    lab_to_rgb,
    rgb_to_gray,
    rgb_to_lab,
    rgb_to_ycbcr,
    ycbcr_to_rgb,
)


def pixel(*values):
    return np.array([[values]], np.float32)


def test_white_and_black_are_neutral_in_lab():
    np.testing.assert_allclose(rgb_to_lab(pixel(1, 1, 1)), pixel(100, 0, 0), atol=1e-3)
    np.testing.assert_allclose(rgb_to_lab(pixel(0, 0, 0)), pixel(0, 0, 0), atol=1e-3)


def test_red_has_the_lab_values_of_the_standard():
    # CIE L*a*b* (D65) of sRGB red, to two places: 53.24, 80.09, 67.20.
    np.testing.assert_allclose(rgb_to_lab(pixel(1, 0, 0)), pixel(53.24, 80.09, 67.20), atol=0.03)


def test_lab_agrees_with_scikit_image(photo):
    np.testing.assert_allclose(rgb_to_lab(photo), color.rgb2lab(photo), atol=0.03)


def test_lab_round_trip_returns(photo):
    np.testing.assert_allclose(lab_to_rgb(rgb_to_lab(photo)), photo, atol=1e-5)


def test_lab_to_rgb_lets_colours_outside_srgb_leave_the_unit_range():
    outside = lab_to_rgb(pixel(50, 120, 0))
    assert outside.max() > 1
    assert outside.min() < 0


def test_ycbcr_spans_studio_range_and_agrees_with_scikit_image(photo):
    np.testing.assert_allclose(rgb_to_ycbcr(photo), color.rgb2ycbcr(photo) / 255, atol=1e-5)
    white, black = rgb_to_ycbcr(pixel(1, 1, 1)), rgb_to_ycbcr(pixel(0, 0, 0))
    assert white[0, 0, 0] * 255 == pytest.approx(235, abs=1e-3)
    assert black[0, 0, 0] * 255 == pytest.approx(16, abs=1e-3)
    assert rgb_to_ycbcr(pixel(0, 0, 1))[0, 0, 1] * 255 == pytest.approx(240, abs=1e-3)


def test_ycbcr_round_trip_returns(photo):
    np.testing.assert_allclose(ycbcr_to_rgb(rgb_to_ycbcr(photo)), photo, atol=1e-5)


def test_gray_weighs_as_rgb2gray():
    np.testing.assert_allclose(rgb_to_gray(np.eye(3, dtype=np.float32)), (0.2989, 0.5870, 0.1140), atol=5e-5)
