"""#11–#15. Variances, distributions, clipping: docs/distortions.md. Mid-gray, so that nothing is clipped."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dgqa_training.distortions import DISTORTIONS
from dgqa_training.distortions.noise import (
    color_noise,
    denoise,
    impulse_noise,
    multiplicative_noise,
    white_noise,
)
from dgqa_training.distortions.spaces import rgb_to_ycbcr

GRAY = np.full((256, 256, 3), 0.5, np.float32)


@pytest.mark.parametrize("variance", DISTORTIONS[11].levels)
def test_white_noise_is_gaussian_of_the_variance_asked_for_and_independent(variance, generator):
    noise = (white_noise(GRAY, variance, generator) - 0.5).astype(np.float64)
    assert noise.var() == pytest.approx(variance, rel=0.02)
    assert noise.mean() == pytest.approx(0, abs=4 * np.sqrt(variance / noise.size))
    assert stats.kurtosis(noise, axis=None) == pytest.approx(0, abs=0.06)
    correlations = np.corrcoef(noise.reshape(-1, 3).T)[np.triu_indices(3, 1)]
    assert np.abs(correlations).max() < 0.02


def test_white_noise_is_clipped(generator):
    assert white_noise(np.ones((64, 64, 3), np.float32), 0.01, generator).max() == 1


@pytest.mark.parametrize("variance", DISTORTIONS[12].levels)
def test_color_noise_is_added_to_luma_and_to_both_chroma(variance, generator):
    noise = rgb_to_ycbcr(color_noise(GRAY, variance, generator)) - rgb_to_ycbcr(GRAY)
    for channel in range(3):
        assert noise[..., channel].var() == pytest.approx(variance, rel=0.03)
    correlations = np.corrcoef(noise.reshape(-1, 3).T.astype(np.float64))[np.triu_indices(3, 1)]
    assert np.abs(correlations).max() < 0.03


@pytest.mark.parametrize("density", DISTORTIONS[13].levels)
def test_impulse_noise_hits_elements_one_by_one_half_black_half_white(density, generator):
    noisy = impulse_noise(GRAY, density, generator)
    size = noisy.size
    allowed = 4 * np.sqrt(density / size)
    assert (noisy == 0).mean() == pytest.approx(density / 2, abs=allowed)
    assert (noisy == 1).mean() == pytest.approx(density / 2, abs=allowed)
    assert ((noisy == 0) | (noisy == 1) | (noisy == 0.5)).all()
    # Channels are hit apart: hardly a pixel is black or white in all three.
    whole = (noisy != 0.5).all(axis=2).mean()
    assert whole < 10 * density**3 + 1e-4


@pytest.mark.parametrize("variance", DISTORTIONS[14].levels)
def test_multiplicative_noise_is_uniform_of_the_variance_asked_for(variance, generator):
    gain = (multiplicative_noise(GRAY, variance, generator) / 0.5 - 1).astype(np.float64)
    assert gain.var() == pytest.approx(variance, rel=0.02)
    bound = np.sqrt(3 * variance)
    assert np.abs(gain).max() <= bound * (1 + 1e-5)
    assert stats.kurtosis(gain, axis=None) == pytest.approx(-1.2, abs=0.02)  # a uniform's; a Gaussian's is 0
    assert stats.kstest(gain.ravel()[:5000], "uniform", (-bound, 2 * bound)).pvalue > 0.001


def test_multiplicative_noise_leaves_black_alone_and_clips_white(generator):
    image = np.zeros((32, 32, 3), np.float32)
    image[:, 16:] = 1
    noisy = multiplicative_noise(image, 0.05, generator)
    assert (noisy[:, :16] == 0).all()
    assert noisy.max() == 1


@pytest.mark.parametrize("variance", DISTORTIONS[15].levels)
def test_denoising_removes_most_of_the_noise_from_a_flat_part(variance):
    flat = np.full((128, 128, 3), 0.5, np.float32)
    noisy = white_noise(flat, variance, np.random.default_rng(1))
    clean = denoise(flat, variance, np.random.default_rng(1))
    assert clean.var() < 0.1 * noisy.var()


def test_denoising_brings_a_picture_nearer_to_its_original(photo):
    for variance in DISTORTIONS[15].levels:
        noisy = white_noise(photo, variance, np.random.default_rng(1))
        clean = denoise(photo, variance, np.random.default_rng(1))
        assert ((clean - photo) ** 2).mean() < 0.6 * ((noisy - photo) ** 2).mean()


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (7, 9), (9, 64)])
def test_denoising_takes_images_smaller_than_its_blocks(shape, generator):
    image = np.random.default_rng(0).random((*shape, 3), dtype=np.float32)
    assert denoise(image, 0.01, generator).shape == image.shape


def test_channels_are_denoised_apart(photo):
    # What happens to green does not depend on red.
    from dgqa_training.distortions._denoiser import denoise_channels

    other = photo.copy()
    other[..., 0] = 0
    np.testing.assert_array_equal(denoise_channels(photo, 0.1)[..., 1], denoise_channels(other, 0.1)[..., 1])
