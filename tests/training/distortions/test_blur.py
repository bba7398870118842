"""#01–#03. Kernel sizes and identities: docs/distortions.md."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from dgqa_training.distortions import DISTORTIONS
from dgqa_training.distortions._arrays import filter_replicated, gaussian_filter, gaussian_taps
from dgqa_training.distortions.blur import disk_kernel, lens_blur, motion_blur, motion_kernel

SIGMAS, RADII, LENGTHS = (DISTORTIONS[number].levels for number in (1, 2, 3))


def test_gaussian_kernel_has_matlabs_side_at_every_level():
    assert [len(gaussian_taps(sigma)) for sigma in SIGMAS] == [3, 3, 5, 9, 21]


def test_gaussian_kernel_has_matlabs_side_at_every_level_of_color_diffusion():
    sigmas = [1.5 * amount + 2 for amount in DISTORTIONS[4].levels]
    assert sigmas == [3.5, 6.5, 11, 14, 20]
    assert [len(gaussian_taps(sigma)) for sigma in sigmas] == [15, 27, 45, 57, 81]


@pytest.mark.parametrize("sigma", SIGMAS)
def test_gaussian_taps_follow_the_bell_curve(sigma):
    taps = gaussian_taps(sigma)
    middle = len(taps) // 2
    assert taps.sum() == pytest.approx(1, abs=1e-12)
    assert taps[middle + 1] / taps[middle] == pytest.approx(np.exp(-1 / (2 * sigma**2)))


def test_gaussian_filter_agrees_with_scipys_own_for_the_same_reach(photo):
    ours = gaussian_filter(photo, 2.0)
    theirs = ndimage.gaussian_filter(photo, 2.0, mode="nearest", radius=4, axes=(0, 1))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("radius", RADII)
def test_disk_is_as_large_as_matlabs_and_its_inside_is_even(radius):
    kernel = disk_kernel(radius)
    assert kernel.shape == (2 * radius + 1, 2 * radius + 1)
    assert kernel.sum() == pytest.approx(1)
    # A pixel wholly inside covers 1 of the disk's π·r²; one on the rim less.
    assert kernel[int(radius), int(radius)] == pytest.approx(1 / (np.pi * radius**2), rel=1e-6)
    assert kernel.max() == pytest.approx(kernel[int(radius), int(radius)])


def test_disk_of_radius_1_has_the_values_that_fspecial_prints():
    expected = [[0.0251, 0.1453, 0.0251], [0.1453, 0.3183, 0.1453], [0.0251, 0.1453, 0.0251]]
    np.testing.assert_allclose(disk_kernel(1), expected, atol=5e-5)


@pytest.mark.parametrize("radius", [1, 2, 4.3])
def test_disk_taps_are_areas(radius):
    # The same areas by brute force: 200 × 200 points a pixel.
    reach = int(np.ceil(radius - 0.5))
    points = (np.arange((2 * reach + 1) * 200) + 0.5) / 200 - reach - 0.5
    inside = np.hypot(points[:, None], points[None, :]) <= radius
    areas = inside.reshape(2 * reach + 1, 200, 2 * reach + 1, 200).mean(axis=(1, 3))
    np.testing.assert_allclose(disk_kernel(radius), areas / areas.sum(), atol=2e-4)


@pytest.mark.parametrize("angle", list(range(0, 181, 15)))
def test_motion_of_length_1_is_the_identity_at_any_angle(angle):
    np.testing.assert_allclose(motion_kernel(1, angle), [[1.0]])


def test_motion_kernels_along_the_axes_are_lines():
    np.testing.assert_allclose(motion_kernel(9, 0), np.full((1, 9), 1 / 9), atol=1e-12)
    np.testing.assert_allclose(motion_kernel(9, 90), np.full((9, 1), 1 / 9), atol=1e-12)
    np.testing.assert_allclose(motion_kernel(4, 0), [[0.125, 0.25, 0.25, 0.25, 0.125]], atol=1e-12)
    np.testing.assert_allclose(motion_kernel(6, 180), motion_kernel(6, 0), atol=1e-12)


def test_motion_kernel_at_45_degrees_has_the_values_that_fspecial_prints():
    expected = [[0, 0.0754, 0.1883], [0.0754, 0.3215, 0.0754], [0.1883, 0.0754, 0]]
    np.testing.assert_allclose(motion_kernel(3, 45), expected, atol=5e-5)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("angle", [0, 17, 45, 90, 133, 180])
def test_motion_kernel_is_symmetric_normalised_and_turns_counter_clockwise(length, angle):
    kernel = motion_kernel(length, angle)
    assert kernel.sum() == pytest.approx(1)
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-12)
    np.testing.assert_allclose(kernel, motion_kernel(length, 180 - angle)[:, ::-1], atol=1e-9)
    if 0 < angle < 90 and length > 2:
        assert kernel[0, -1] >= kernel[0, 0]  # the upper right, not the upper left


def test_motion_angles_are_whole_degrees_from_0_to_180(monkeypatch, photo):
    angles = set()

    def record(length, angle):
        angles.add(angle)
        return np.ones((1, 1))

    monkeypatch.setattr("dgqa_training.distortions.blur.motion_kernel", record)
    generator = np.random.default_rng(0)
    for _ in range(3000):
        motion_blur(photo[:2, :2], 10, generator)
    assert angles == set(range(181))


@pytest.mark.parametrize("kernel", [disk_kernel(2), disk_kernel(8), motion_kernel(10, 30)], ids=str)
def test_filtering_replicates_borders_and_its_two_ways_agree(photo, kernel):
    expected = np.stack([ndimage.correlate(photo[..., c], kernel, mode="nearest") for c in range(3)], axis=-1)
    np.testing.assert_allclose(filter_replicated(photo, kernel), expected, atol=2e-6)


def test_a_constant_picture_stays_constant_under_lens_blur(generator):
    flat = np.full((20, 30, 3), 0.25, np.float32)
    np.testing.assert_allclose(lens_blur(flat, 8, generator), flat, atol=1e-6)
