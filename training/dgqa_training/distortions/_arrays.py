"""What the families share: array types, the global stretch, filtering with replicated borders."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

FloatImage: TypeAlias = npt.NDArray[np.float32]
"""float32 array [h, w, 3] (or one channel [h, w]); red, green, blue; nominal range 0–1."""

ByteImage: TypeAlias = npt.NDArray[np.uint8]
"""uint8 array [h, w, 3]; red, green, blue; 0–255."""

# Above this many taps the Fourier transform of a whole photograph costs less than adding shifted copies.
_DIRECT_TAPS = 40


def stretch(image: FloatImage) -> FloatImage:
    """Map the smallest value of the whole array to 0 and the largest to 1 (all channels together).

    Args:
        image: float32, any shape, any finite range.

    Returns:
        float32, same shape, 0–1; a constant array comes back clipped to 0–1 and otherwise unchanged.
        Source: [M] `mapmm`, applied before and after every distortion.
    """
    low, high = float(image.min()), float(image.max())
    if low == high:
        return clip(image)
    if (low, high) == (0.0, 1.0):
        return image
    stretched = image - np.float32(low)
    stretched /= np.float32(high - low)
    return clip(stretched, out=stretched)  # float32 rounding may leave 1 + 6e-8


def clip(image: FloatImage, out: FloatImage | None = None) -> FloatImage:
    """Limit to 0–1, float32, any shape; into `out` where a new array can be spared."""
    limited: FloatImage = np.clip(image, np.float32(0), np.float32(1), out=out)
    return limited


def to_bytes(image: FloatImage) -> ByteImage:
    """0–1 → 0–255, rounded to nearest and saturated, as MATLAB's `im2uint8` does before `imwrite`."""
    scaled = clip(image)
    scaled *= np.float32(255)
    scaled += np.float32(0.5)
    return scaled.astype(np.uint8)


def from_bytes(image: ByteImage) -> FloatImage:
    """0–255 → 0–1 as float32, MATLAB's `im2single`."""
    scaled = image.astype(np.float32)
    scaled /= np.float32(255)
    return scaled


def gaussian_taps(sigma: float) -> npt.NDArray[np.float64]:
    """Taps of MATLAB's `imgaussfilt`: side 2·ceil(2σ)+1, sampled Gaussian, sum 1.

    Args:
        sigma: standard deviation in pixels, above 0.

    Returns:
        float64 [2·ceil(2σ)+1].
    """
    radius = int(np.ceil(2 * sigma))
    offsets = np.arange(-radius, radius + 1)
    taps: npt.NDArray[np.float64] = np.exp(-(offsets**2) / (2 * sigma**2))
    return np.asarray(taps / taps.sum())


def gaussian_filter(image: FloatImage, sigma: float) -> FloatImage:
    """`imgaussfilt(image, sigma)`: separable, borders replicated, along the first two axes.

    Args:
        image: float32 [h, w] or [h, w, c].
        sigma: standard deviation in pixels.

    Returns:
        float32, same shape.
    """
    taps = gaussian_taps(sigma)
    rows = ndimage.correlate1d(image, taps, axis=0, mode="nearest")
    both: FloatImage = ndimage.correlate1d(rows, taps, axis=1, mode="nearest")
    return both


def filter_replicated(image: FloatImage, kernel: npt.NDArray[np.float64]) -> FloatImage:
    """`imfilter(image, kernel, 'replicate')` for a kernel that is symmetric under a half turn.

    Args:
        image: float32 [h, w, c].
        kernel: float64 [kh, kw], odd sides; correlation and convolution agree for such a kernel.

    Returns:
        float32 [h, w, c].
    """
    reach_y, reach_x = kernel.shape[0] // 2, kernel.shape[1] // 2
    padded = np.pad(image, ((reach_y, reach_y), (reach_x, reach_x), (0, 0)), mode="edge")
    taps = np.argwhere(kernel != 0)
    if len(taps) > _DIRECT_TAPS:
        return _by_fourier(padded, kernel, image.shape)
    return _sum_of_shifts(padded, kernel, taps.tolist(), image.shape)


def _by_fourier(padded: FloatImage, kernel: npt.NDArray[np.float64], shape: tuple[int, ...]) -> FloatImage:
    size = [fft.next_fast_len(side, real=True) for side in padded.shape[:2]]
    spectrum = fft.rfft2(padded, size, axes=(0, 1))
    spectrum *= fft.rfft2(kernel.astype(np.float32), size)[:, :, np.newaxis]
    top, left = kernel.shape[0] - 1, kernel.shape[1] - 1
    filtered = fft.irfft2(spectrum, size, axes=(0, 1))[top : top + shape[0], left : left + shape[1]]
    return np.ascontiguousarray(filtered)


def _sum_of_shifts(
    padded: FloatImage,
    kernel: npt.NDArray[np.float64],
    taps: Sequence[Sequence[int]],
    shape: tuple[int, ...],
) -> FloatImage:
    height, width = shape[:2]
    total = np.zeros(shape, np.float32)
    scaled = np.empty(shape, np.float32)
    for y, x in taps:
        np.multiply(padded[y : y + height, x : x + width], np.float32(kernel[y, x]), out=scaled)
        total += scaled
    return total
