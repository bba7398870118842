"""Bicubic resampling at a displacement per pixel, for #19."""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

from dgqa_training.distortions._arrays import FloatImage

# Keys's cubic convolution, a = −½: weight of the neighbour at −1, 0, 1, 2 (columns) as a polynomial in the
# fraction (rows: its powers 0–3).
_CUBIC: Final = np.array(
    [[0, 1, 0, 0], [-0.5, 0, 0.5, 0], [1, -2.5, 2, -0.5], [-0.5, 1.5, -1.5, 0.5]], np.float32
)
# The same, spread over the 16 neighbours (row by row) that a pixel is made of.
_CUBIC_DOWN: Final = np.repeat(_CUBIC, 4, axis=1)
_CUBIC_RIGHT: Final = np.tile(_CUBIC, (1, 4))

_STRIP = 16  # rows at a time: the 16 weights and places of each pixel then stay in the processor's cache


def warp_bicubic(image: FloatImage, displacement: npt.NDArray[np.float32]) -> FloatImage:
    """Fetch every pixel from its place plus its displacement, by Keys's cubic convolution (a = −½).

    That kernel is what MATLAB calls bicubic in `interp2` and `imwarp`; Torch and OpenCV use a = −¾.
    Pixels beyond the border replicate it.

    Args:
        image: float32 [h, w, 3].
        displacement: float32 [2, h, w], pixels down and pixels right.

    Returns:
        float32 [h, w, 3], not clipped.
    """
    height, width = image.shape[:2]
    margin = int(np.ceil(float(np.abs(displacement).max()))) + 2
    padded = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    planes = [np.ascontiguousarray(padded[..., channel]).ravel() for channel in range(3)]
    pitch = width + 2 * margin
    whole = np.floor(displacement)
    fraction = displacement - whole
    first = _first_neighbour(whole.astype(np.int32), pitch, margin)
    warped = np.empty((height, width, 3), np.float32)
    for top in range(0, height, _STRIP):
        rows = slice(top, min(top + _STRIP, height))
        operator = _operator(first[rows], fraction[:, rows], pitch, planes[0].size)
        for channel, plane in enumerate(planes):
            warped[rows, :, channel] = (operator @ plane).reshape(-1, width)
    return warped


def _first_neighbour(whole: npt.NDArray[np.int32], pitch: int, margin: int) -> npt.NDArray[np.int32]:
    """Index, in the padded plane, of the neighbour up and left of each pixel's source; int32 [h, w]."""
    down = np.arange(whole.shape[1], dtype=np.int32)[:, np.newaxis] + np.int32(margin - 1)
    right = np.arange(whole.shape[2], dtype=np.int32) + np.int32(margin - 1)
    return np.asarray((whole[0] + down) * np.int32(pitch) + (whole[1] + right), np.int32)


def _operator(
    first: npt.NDArray[np.int32], fraction: npt.NDArray[np.float32], pitch: int, size: int
) -> sparse.csr_array:
    """The warp of a strip as a sparse matrix, 16 weights a row: its product runs as compiled code."""
    weights = _powers(fraction[0]) @ _CUBIC_DOWN
    weights *= _powers(fraction[1]) @ _CUBIC_RIGHT
    neighbours = np.arange(4, dtype=np.int32)
    offsets = (neighbours[:, np.newaxis] * np.int32(pitch) + neighbours).ravel()
    columns = first.reshape(-1, 1) + offsets
    starts = np.arange(0, columns.size + 1, 16, dtype=np.int32)
    return sparse.csr_array((weights.ravel(), columns.ravel(), starts), shape=(first.size, size))


def _powers(fraction: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    t = fraction.ravel()
    powers = np.empty((t.size, 4), np.float32)
    powers[:, 0] = 1
    powers[:, 1] = t
    powers[:, 2] = t * t
    powers[:, 3] = powers[:, 2] * t
    return powers
