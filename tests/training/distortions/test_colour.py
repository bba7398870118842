"""#04–#08. Check values: docs/distortions.md."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import color

from dgqa_training.distortions import DISTORTIONS, distort, to_bytes
from dgqa_training.distortions._palette import minimum_variance_palette
from dgqa_training.distortions.colour import (
    color_diffusion,
    color_quantization,
    color_shift,
    edge_mask,
    saturation_hsv,
    saturation_lab,
)
from dgqa_training.distortions.spaces import rgb_to_lab


def test_color_diffusion_keeps_lightness_where_nothing_is_clipped(generator):
    # Dull colours, so that the gain of 3 does not leave sRGB.
    ramp = np.linspace(0.45, 0.55, 64, dtype=np.float32)
    image = np.stack([np.tile(ramp, (64, 1)), np.tile(ramp[::-1], (64, 1)), np.full((64, 64), 0.5)], axis=-1)
    diffused = color_diffusion(image.astype(np.float32), 3, generator)
    before, after = rgb_to_lab(image.astype(np.float32)), rgb_to_lab(diffused)
    np.testing.assert_allclose(after[..., 0], before[..., 0], atol=0.05)


def test_color_diffusion_multiplies_an_even_colour_by_the_amount(generator):
    even = np.full((90, 90, 3), (0.5, 0.48, 0.49), np.float32)
    diffused = rgb_to_lab(color_diffusion(even, 6, generator))
    np.testing.assert_allclose(diffused[..., 1:], 6 * rgb_to_lab(even)[..., 1:], atol=0.05)


def test_color_shift_moves_green_alone_and_down_and_right(photo, generator):
    shifted = color_shift(photo, 12, generator)
    np.testing.assert_array_equal(shifted[..., 0], photo[..., 0])
    np.testing.assert_array_equal(shifted[..., 2], photo[..., 2])
    assert not np.array_equal(shifted[..., 1], photo[..., 1])


@pytest.mark.parametrize("amount", DISTORTIONS[5].levels)
def test_color_shift_is_as_long_as_the_amount_and_never_up_or_left(amount, monkeypatch):
    # Full weight everywhere, and green that says where it came from.
    monkeypatch.setattr("dgqa_training.distortions.colour.edge_mask", lambda image: np.ones(image.shape[:2]))
    rows, columns = np.mgrid[0:40, 0:40].astype(np.float32)
    for seed in range(20):
        image = np.stack([rows, rows * 100 + columns, columns], axis=-1)
        green = color_shift(image, amount, np.random.default_rng(seed))[30, 30, 1]
        down, right = 30 - int(green) // 100, 30 - int(green) % 100
        assert down >= 0
        assert right >= 0
        assert np.hypot(down, right) == pytest.approx(amount, abs=0.75)  # each part is rounded
        assert green == image[30 - down, 30 - right, 1]


def test_edge_mask_is_0_on_flat_parts_and_1_at_edges():
    image = np.zeros((80, 80, 3), np.float32)
    image[:, 40:] = 1
    mask = edge_mask(image)
    assert mask[:, :20].max() == 0
    assert mask[:, 39:41].min() == 1
    assert mask.min() == 0
    assert mask.max() == 1


def test_edge_mask_takes_one_sided_differences_at_the_borders_as_matlab_does():
    # A ramp has the same gradient everywhere, so nothing stands out at its borders (MATLAB's `gradient`).
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32)[:, None], (1, 64))
    gradient = np.hypot(*np.gradient(ramp))
    assert np.ptp(gradient) < 1e-6
    mask = edge_mask(np.repeat(ramp[..., None], 3, axis=2) ** 2)  # steeper and steeper, up to the last row
    assert mask[-1].min() == mask.max() == 1


@pytest.mark.parametrize("colors", DISTORTIONS[6].levels)
def test_color_quantization_leaves_at_most_as_many_colours(photo, generator, colors):
    quantized = color_quantization(photo, colors, generator)
    found = np.unique(quantized.reshape(-1, 3), axis=0)
    assert 0.75 * colors <= len(found) <= colors


def test_color_quantization_dithers(generator):
    # A gray between two palette entries comes out as a mixture of both, right on average.
    ramp = np.tile(np.linspace(0, 1, 256, dtype=np.float32)[:, None], (64, 1, 3)).reshape(64, 256, 3)
    quantized = color_quantization(ramp, 8, generator)
    assert len(np.unique(quantized)) <= 8
    smooth = quantized.mean(axis=0)[:, 0]
    assert np.abs(smooth[16:-16] - ramp[0, 16:-16, 0]).max() < 0.06


def test_color_quantization_leaves_few_colours_as_they_are(generator):
    image = np.zeros((30, 30, 3), np.float32)
    image[10:20] = (1, 0, 0)
    image[20:] = (0, 1, 1)
    np.testing.assert_allclose(color_quantization(image, 8, generator), image, atol=1e-6)


def test_palette_finds_clusters_and_cuts_the_widest_first():
    draw = np.random.default_rng(1)
    centres = np.array([(20, 30, 40), (200, 40, 60), (90, 220, 100), (240, 240, 30)])
    pixels = centres[draw.integers(0, 4, (50, 50))] + draw.integers(-5, 6, (50, 50, 3))
    palette = minimum_variance_palette(pixels.astype(np.uint8), 4)
    distances = np.linalg.norm(palette[:, None] - centres[None], axis=2)
    assert sorted(distances.argmin(axis=1)) == [0, 1, 2, 3]
    assert distances.min(axis=1).max() < 1


def test_saturation_agrees_with_hsv(photo, generator):
    for factor in (0.4, 0.2, 0.1, 0):
        hsv = color.rgb2hsv(photo)
        hsv[..., 1] *= factor
        np.testing.assert_allclose(saturation_hsv(photo, factor, generator), color.hsv2rgb(hsv), atol=1e-6)


def test_saturation_at_level_4_is_gray(photo, generator):
    gray = distort(photo, 7, 4, generator)
    np.testing.assert_allclose(gray, np.repeat(gray[..., :1], 3, axis=2), atol=1e-6)


def test_negative_saturation_leaves_the_range_and_is_rescaled_not_clipped(photo, generator):
    raw = saturation_hsv(photo, -0.4, generator)
    assert raw.max() > 1
    np.testing.assert_allclose(distort(photo, 7, 5, generator), (raw - raw.min()) / np.ptp(raw), atol=1e-6)


def test_saturation_in_lab_is_the_identity_at_level_1(photo, generator):
    np.testing.assert_array_equal(to_bytes(distort(photo, 8, 1, generator)), to_bytes(photo))


def test_saturation_in_lab_scales_a_and_b(generator):
    even = np.full((4, 4, 3), (0.5, 0.48, 0.47), np.float32)
    saturated = rgb_to_lab(saturation_lab(even, 6, generator))
    np.testing.assert_allclose(saturated, rgb_to_lab(even) * (1, 6, 6), atol=0.02)
