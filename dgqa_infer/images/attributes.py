"""Sharpness, brightness and noise of a picture, measured without a model.

They are of the picture that the model sees: shrunk to a short side of 512 pixels. A fine blur or the noise
of a large photograph is mostly gone by then, from these numbers as from the score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dgqa_infer.images.arrays import Pixels

_BLUR_TAPS: Final = 9  # as in the paper
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_BLACK, _WHITE = 1.5, 253.5
_NORMAL_MEDIAN: Final = 0.6745  # median of |x| for a standard normal x


@dataclass(frozen=True, slots=True)
class Attributes:
    """What can be measured of a picture.

    Attributes:
        sharpness: 0–1, higher is sharper: the share of the luma's steps from pixel to pixel that a strong
            blur takes away, along the axis where it takes less. One minus the blur of F. Crete, T. Dolmiere,
            P. Ladret and M. Nicolas, "The blur effect: perception and estimation with a new no-reference
            perceptual blur metric", SPIE 6492, 2007. 0 for an even picture. Noise counts as sharp.
        brightness: mean luma (ITU-R BT.601), 0–100 per cent of white.
        clipped: share of pixels, 0–1, whose luma is at an end of the scale: rounded 0, 1, 254 or 255.
        noise: standard deviation of white noise in luma, in grey levels of 255; the median of the diagonal
            details of a Haar wavelet (D. Donoho and I. Johnstone, "Ideal spatial adaptation by wavelet
            shrinkage", Biometrika 81, 1994). Fine texture all over counts as noise.
    """

    sharpness: float
    brightness: float
    clipped: float
    noise: float


def attributes(image: Pixels) -> Attributes:
    """Measure a picture.

    Args:
        image: uint8 [height, width, 3], sRGB, upright, shrunk to the preprocessing's short side.
    """
    luma = image.astype(np.float32) @ _LUMA
    return Attributes(
        sharpness=min(_sharpness(luma), _sharpness(luma.T)),
        brightness=float(luma.mean(dtype=np.float64)) / 2.55,
        clipped=float(((luma < _BLACK) | (luma > _WHITE)).mean()),
        noise=_noise(luma),
    )


def _sharpness(plane: NDArray[np.float32]) -> float:
    """The share of the steps down the columns that a moving average takes away."""
    steps = np.abs(np.diff(plane, axis=0))
    total = float(steps.sum(dtype=np.float64))
    if total == 0:
        return 0.0
    lost = np.maximum(0, steps - np.abs(_blurred_steps(plane)))
    return float(lost.sum(dtype=np.float64)) / total


def _blurred_steps(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """The steps down the columns after each pixel became the mean of itself and the four on either side.

    Of two neighbouring means all but the ends are the same pixels; edges are repeated.
    """
    reach = _BLUR_TAPS // 2
    padded = np.pad(plane, ((reach, reach), (0, 0)), mode="edge")
    return (padded[_BLUR_TAPS:] - padded[:-_BLUR_TAPS]) / np.float32(_BLUR_TAPS)


def _noise(plane: NDArray[np.float32]) -> float:
    height, width = (side // 2 * 2 for side in plane.shape)
    if not height or not width:
        return 0.0
    a, b = plane[0:height:2, 0:width:2], plane[0:height:2, 1:width:2]
    c, d = plane[1:height:2, 0:width:2], plane[1:height:2, 1:width:2]
    return float(np.median(np.abs(a - b - c + d)) / 2) / _NORMAL_MEDIAN
