"""Sliding-window DCT denoising, the stand-in for DnCNN in #15."""

import functools

import numpy as np
import numpy.typing as npt
from scipy import fft

from dgqa_training.distortions._arrays import FloatImage

_SIDE = 8  # pixels, a block
_STEP = 3  # pixels between blocks
_THRESHOLD = 2.7  # standard deviations


def denoise_channels(noisy: FloatImage, sigma: float) -> FloatImage:
    """Remove white Gaussian noise of known strength, channel by channel.

    Every block of 8×8 pixels, three pixels apart, is transformed by an orthonormal DCT; coefficients
    below 2.7σ are set to 0; the blocks are added up, a sparse block counting more (Yu and Sapiro, IPOL 2011).

    Args:
        noisy: float32 [h, w, c].
        sigma: standard deviation of the noise, in the image's units.

    Returns:
        float32 [h, w, c], not clipped.
    """
    height, width = noisy.shape[:2]
    pad = ((_SIDE, _SIDE + _STEP), (_SIDE, _SIDE + _STEP), (0, 0))
    padded = np.pad(noisy, pad, mode="edge" if min(height, width) <= _SIDE + _STEP else "reflect")
    clean = np.stack([_denoise_plane(padded[..., c], sigma) for c in range(noisy.shape[2])], axis=-1)
    return clean[_SIDE : _SIDE + height, _SIDE : _SIDE + width]


def _denoise_plane(plane: npt.NDArray[np.float32], sigma: float) -> npt.NDArray[np.float32]:
    windows = np.lib.stride_tricks.sliding_window_view(plane, (_SIDE, _SIDE))[::_STEP, ::_STEP]
    rows, columns = windows.shape[:2]
    basis = _basis()
    coefficients = windows.reshape(-1, _SIDE * _SIDE) @ basis
    keep = np.abs(coefficients) >= np.float32(_THRESHOLD * sigma)
    keep[:, 0] = True  # the mean of a block is never noise alone
    coefficients *= keep
    weight = (1 / keep.sum(axis=1, dtype=np.float32)).astype(np.float32)
    coefficients *= weight[:, np.newaxis]
    blocks = (coefficients @ basis.T).reshape(rows, columns, _SIDE, _SIDE)
    total = np.zeros(plane.shape, np.float32)
    weights = np.zeros(plane.shape, np.float32)
    weight = weight.reshape(rows, columns)
    for y in range(_SIDE):
        for x in range(_SIDE):
            place = (slice(y, y + rows * _STEP, _STEP), slice(x, x + columns * _STEP, _STEP))
            total[place] += blocks[:, :, y, x]
            weights[place] += weight
    return np.asarray(total / np.maximum(weights, np.float32(1e-6)))


@functools.cache
def _basis() -> npt.NDArray[np.float32]:
    """The two-dimensional DCT as one matrix [64 pixels, 64 coefficients]; its inverse is its transpose."""
    one = fft.dct(np.eye(_SIDE), norm="ortho", axis=0)
    return np.kron(one, one).T.astype(np.float32)
