"""Bicubic resampling at a displacement per pixel, for #19."""

import numpy as np
import numpy.typing as npt
from scipy import sparse

from dgqa_training.distortions._arrays import FloatImage


def warp_bicubic(image: FloatImage, displacement: npt.NDArray[np.float32]) -> FloatImage:
    """Fetch every pixel from its place plus its displacement, by Keys's cubic convolution (a = −½).

    That kernel is what MATLAB calls bicubic in ``interp2`` and ``imwarp``; Torch and OpenCV use a = −¾.
    Pixels beyond the border replicate it.

    Args:
        image: float32 [h, w, 3].
        displacement: float32 [2, h, w], pixels down and pixels right.

    Returns:
        float32 [h, w, 3], not clipped.
    """
    height, width = image.shape[:2]
    margin = int(np.ceil(max(float(np.abs(displacement).max()), 1e-6))) + 2
    padded = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    floor = np.floor(displacement)
    weight_y, weight_x = (_cubic_weights(displacement[axis] - floor[axis]) for axis in (0, 1))
    corner = floor.astype(np.int32) - 1 + margin
    corner[0] += np.arange(height, dtype=np.int32)[:, np.newaxis]
    corner[1] += np.arange(width, dtype=np.int32)
    pitch = width + 2 * margin
    offsets = (np.arange(4, dtype=np.int32)[:, np.newaxis] * pitch + np.arange(4, dtype=np.int32)).ravel()
    columns = (corner[0] * pitch + corner[1]).reshape(-1, 1) + offsets
    weights = weight_y[..., :, np.newaxis] * weight_x[..., np.newaxis, :]
    # One row of 16 weights a pixel: a sparse product runs at the speed of compiled code.
    rows = np.arange(0, 16 * height * width + 1, 16, dtype=np.int32)
    operator = sparse.csr_array(
        (weights.ravel(), columns.ravel(), rows), shape=(height * width, padded.size // 3)
    )
    warped: FloatImage = (operator @ padded.reshape(-1, 3)).reshape(image.shape)
    return warped


def _cubic_weights(fraction: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Weights [..., 4] of the neighbours at −1, 0, 1, 2 of a place that is 0 ≤ fraction < 1."""
    t = fraction
    half = np.float32(0.5)
    weights = np.empty((*t.shape, 4), np.float32)
    weights[..., 0] = half * t * ((2 - t) * t - 1)
    weights[..., 1] = half * (t * t * (3 * t - 5) + 2)
    weights[..., 2] = half * t * ((4 - 3 * t) * t + 1)
    weights[..., 3] = half * t * t * (t - 1)
    return weights
