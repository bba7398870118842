"""#16–#18. Check values: docs/distortions.md, "Curve checks" and "Global wrapper"."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import interpolate

from dgqa_training.distortions import DISTORTIONS, distort
from dgqa_training.distortions.brightness import brighten, darken, mean_shift, tone_curve

RAMP = np.linspace(0, 1, 1001, dtype=np.float32)


@pytest.mark.parametrize(
    ("amount", "middle"), list(zip(DISTORTIONS[16].levels, (0.55, 0.60, 0.70, 0.85, 1.0), strict=True))
)
def test_brighten_lifts_mid_gray_by_half_the_amount(amount, middle):
    assert tone_curve(np.float32([0.5]), amount) == pytest.approx(min(middle, 1.0))


@pytest.mark.parametrize(
    ("amount", "middle"), list(zip(DISTORTIONS[17].levels, (0.475, 0.45, 0.40, 0.30, 0.10), strict=True))
)
def test_darken_lowers_mid_gray_by_half_the_amount(amount, middle, generator):
    gray = np.full((2, 2, 3), 0.5, np.float32)
    np.testing.assert_allclose(darken(gray, amount, generator), middle, atol=1e-6)


@pytest.mark.parametrize("amount", DISTORTIONS[16].levels)
def test_tone_curve_is_matlabs_spline_through_three_points(amount):
    spline = interpolate.CubicSpline([0, 0.5, 1], [0, 0.5 + amount / 2, 1], bc_type="not-a-knot")
    np.testing.assert_allclose(tone_curve(RAMP, amount), np.clip(spline(RAMP), 0, 1), atol=1e-6)


@pytest.mark.parametrize(("level", "place", "value"), [(4, 0.9, 1.026), (5, 0.7, 1.162)])
def test_brighten_clips_where_the_parabola_exceeds_1(level, place, value):
    # The document's peaks are those in steps of 0.1; between them the parabolas reach 1.029 and 1.164.
    amount = DISTORTIONS[16].value(level)
    assert place + 2 * amount * place * (1 - place) == pytest.approx(value, abs=5e-4)
    assert tone_curve(np.float32([place]), amount) == 1


def test_brighten_is_two_parts_rgb_curve_and_one_part_lightness_curve(generator):
    # On gray L* is known: the curve acts on L*/100.
    gray = np.full((1, 1, 3), 0.5, np.float32)
    lightness = 53.389  # L* of sRGB 0.5
    lifted = lightness / 100 + 2 * 0.4 * lightness / 100 * (1 - lightness / 100)
    luminance = ((lifted * 100 + 16) / 116) ** 3
    by_lightness = 1.055 * luminance ** (1 / 2.4) - 0.055
    expected = (2 * 0.7 + by_lightness) / 3
    np.testing.assert_allclose(brighten(gray, 0.4, generator), expected, atol=1e-4)


@pytest.mark.parametrize("level", [1, 2])
def test_mean_shift_up_becomes_a_gain_that_clips_highlights(photo, level, generator):
    offset = np.float32(DISTORTIONS[18].value(level))
    expected = (np.minimum(photo, 1 - offset)) / (1 - offset)
    np.testing.assert_allclose(distort(photo, 18, level, generator), expected, atol=1e-6)


@pytest.mark.parametrize("level", [4, 5])
def test_mean_shift_down_becomes_a_gain_that_clips_shadows(photo, level, generator):
    offset = np.float32(-DISTORTIONS[18].value(level))
    expected = np.maximum(photo - offset, 0) / (1 - offset)
    np.testing.assert_allclose(distort(photo, 18, level, generator), expected, atol=1e-6)


def test_mean_shift_is_the_identity_at_level_3(photo, generator):
    np.testing.assert_array_equal(mean_shift(photo, DISTORTIONS[18].value(3), generator), photo)
    np.testing.assert_array_equal(distort(photo, 18, 3, generator), photo)
