"""Blur: #01 Gaussian, #02 lens, #03 motion. Borders are replicated, as in the original's `imfilter`."""

# Every type takes a generator, whether it draws from it or not.
# ruff: noqa: ARG001

import numpy as np
import numpy.typing as npt

from dgqa_training.distortions._arrays import FloatImage, filter_replicated, gaussian_filter


def gaussian_blur(image: FloatImage, sigma: float, generator: np.random.Generator) -> FloatImage:
    """#01 Gaussian blur: `imgaussfilt`, kernel side 2·ceil(2σ)+1. Source: [M] `imblurgauss`, side [K].

    Args:
        image: float32 [h, w, 3], 0–1.
        sigma: standard deviation in pixels.
        generator: not used.

    Returns:
        float32 [h, w, 3], 0–1.
    """
    return gaussian_filter(image, sigma)


def lens_blur(image: FloatImage, radius: float, generator: np.random.Generator) -> FloatImage:
    """#02 Lens blur: an evenly lit disk, `fspecial('disk', radius)`. Source: [M] `imblurlens`.

    Args:
        image: float32 [h, w, 3], 0–1.
        radius: disk radius in pixels.
        generator: not used.

    Returns:
        float32 [h, w, 3], 0–1 up to rounding.
    """
    return filter_replicated(image, disk_kernel(radius))


def motion_blur(image: FloatImage, length: float, generator: np.random.Generator) -> FloatImage:
    """#03 Motion blur: `fspecial('motion', length, θ)`, θ a whole number of degrees, uniform in 0–180.

    Source: [M] `imblurmotion`.

    Args:
        image: float32 [h, w, 3], 0–1.
        length: length of the line in pixels; 1 leaves the image as it is.
        generator: draws θ.

    Returns:
        float32 [h, w, 3], 0–1 up to rounding.
    """
    angle = int(generator.integers(0, 180, endpoint=True))
    return filter_replicated(image, motion_kernel(length, angle))


def disk_kernel(radius: float) -> npt.NDArray[np.float64]:
    """`fspecial('disk', radius)`: each tap is the area of its pixel inside the disk; the sum is 1.

    Args:
        radius: pixels, at least 0.5.

    Returns:
        float64 [s, s], s = 2·ceil(radius − 0.5) + 1.
    """
    reach = int(np.ceil(radius - 0.5))
    edges = np.arange(-reach, reach + 2, dtype=np.float64) - 0.5
    area = _quadrant_area(edges[:, np.newaxis], edges[np.newaxis, :], radius)
    pixels = np.maximum(np.diff(np.diff(area, axis=0), axis=1), 0)
    return np.asarray(pixels / pixels.sum())


def _quadrant_area(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], radius: float
) -> npt.NDArray[np.float64]:
    """Signed area of the disk within the rectangle from the centre to (x, y): odd in x and in y."""
    far_x, far_y = np.minimum(np.abs(x), radius), np.minimum(np.abs(y), radius)
    flat = np.minimum(
        np.sqrt(radius**2 - far_y**2), far_x
    )  # up to here the rectangle's top is inside the disk
    under_arc = _circle_integral(far_x, radius) - _circle_integral(flat, radius)
    return np.asarray(np.sign(x) * np.sign(y) * (flat * far_y + under_arc))


def _circle_integral(t: npt.NDArray[np.float64], radius: float) -> npt.NDArray[np.float64]:
    """∫₀ᵗ √(r² − u²) du."""
    return np.asarray(0.5 * (t * np.sqrt(radius**2 - t**2) + radius**2 * np.arcsin(t / radius)))


def motion_kernel(length: float, angle: float) -> npt.NDArray[np.float64]:
    """`fspecial('motion', length, angle)`: a line through the centre, one pixel wide, antialiased.

    A pixel nearer than half the length to the centre weighs 1 − its distance from the line; one farther
    away weighs 1 − its distance from the line's end; nothing weighs less than 0. The sum is 1.

    Args:
        length: pixels; below 1 counts as 1.
        angle: degrees, counter-clockwise from horizontal.

    Returns:
        float64 [kh, kw], odd sides, just large enough; symmetric under a half turn.
    """
    half = (max(1.0, length) - 1) / 2
    phi = np.deg2rad(angle % 180)
    along_x, along_y = np.cos(phi), np.sin(phi)
    # A pixel at a whole distance must not be counted in by rounding alone, at 0° and 90° above all.
    margin = 1 - max(1.0, length) * np.finfo(np.float64).eps
    reach_x, reach_y = int(half * abs(along_x) + margin), int(half * along_y + margin)
    up = np.arange(reach_y, -reach_y - 1, -1)[:, np.newaxis]
    right = np.arange(-reach_x, reach_x + 1)[np.newaxis, :]
    across = up * along_x - right * along_y
    beyond = half - np.abs(right * along_x + up * along_y)
    distance = np.where(np.hypot(right, up) >= half, np.hypot(across, beyond), np.abs(across))
    weight = np.maximum(1 + np.finfo(np.float64).eps - distance, 0)
    return np.asarray(weight / weight.sum())
