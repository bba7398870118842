"""Colour spaces as MATLAB computes them: sRGB ↔ CIE L*a*b* (D65), sRGB → YCbCr (studio range), gray.

float32 throughout; a round trip through Lab or YCbCr returns within 1e-5 of where it began.
"""

from collections.abc import Callable
from functools import wraps
from typing import Final

import numpy as np
import numpy.typing as npt

from dgqa_training.distortions._arrays import FloatImage

# IEC 61966-2-1, linear sRGB to XYZ, D65; MATLAB's rgb2lab default.
_RGB_TO_XYZ: Final = np.array(
    [
        [0.4123907993, 0.3575843394, 0.1804807884],
        [0.2126390059, 0.7151686788, 0.0721923154],
        [0.0193308187, 0.1191947798, 0.9505321522],
    ]
)
_WHITE: Final = _RGB_TO_XYZ.sum(axis=1)  # so that white is exactly L* = 100, a* = b* = 0
_TO_RELATIVE: Final = (_RGB_TO_XYZ / _WHITE[:, np.newaxis]).T.astype(np.float32)
_FROM_RELATIVE: Final = np.linalg.inv(_RGB_TO_XYZ / _WHITE[:, np.newaxis]).T.astype(np.float32)

# f(X), f(Y), f(Z) → L*, a*, b*; the −16 of L* is added apart.
_TO_LAB: Final = np.array([[0, 116, 0], [500, -500, 0], [0, 200, -200]], np.float32).T

# ITU-R BT.601 for 0–1 values: Y in 16/255–235/255, Cb and Cr in 16/255–240/255 ([K] rgb2ycbcr for doubles).
_YCBCR: Final = (
    np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]) / 255
)
_YCBCR_OFFSET: Final = np.array([16, 128, 128], np.float32) / np.float32(255)
_TO_YCBCR: Final = _YCBCR.T.astype(np.float32)
_FROM_YCBCR: Final = np.linalg.inv(_YCBCR).T.astype(np.float32)

_GRAY: Final = np.array([0.298936021293775, 0.587043074451121, 0.114020904255103], np.float32)

_DELTA: Final = np.float32(6 / 29)

_STRIP: Final = 32  # rows: what is between two colour spaces then stays in the processor's cache


def _by_strips(convert: Callable[[FloatImage], FloatImage]) -> Callable[[FloatImage], FloatImage]:
    """Convert a few rows at a time, which takes half as long as all at once."""

    @wraps(convert)
    def converted(image: FloatImage) -> FloatImage:
        result = np.empty(image.shape, np.float32)
        for top in range(0, image.shape[0], _STRIP):
            result[top : top + _STRIP] = convert(image[top : top + _STRIP])
        return result

    return converted


def rgb_to_gray(image: FloatImage) -> FloatImage:
    """`rgb2gray`: float32 [h, w, 3] 0–1 → float32 [h, w] 0–1 (BT.601 luma)."""
    gray: FloatImage = image @ _GRAY
    return gray


def rgb_to_ycbcr(image: FloatImage) -> FloatImage:
    """`rgb2ycbcr` on 0–1 values: float32 [h, w, 3] → Y, Cb, Cr in 16/255–235/255 and 16/255–240/255."""
    ycbcr: FloatImage = image @ _TO_YCBCR + _YCBCR_OFFSET
    return ycbcr


def ycbcr_to_rgb(ycbcr: FloatImage) -> FloatImage:
    """Inverse of `rgb_to_ycbcr`; float32 [h, w, 3], not clipped."""
    rgb: FloatImage = (ycbcr - _YCBCR_OFFSET) @ _FROM_YCBCR
    return rgb


@_by_strips
def rgb_to_lab(image: FloatImage) -> FloatImage:
    """`rgb2lab`: float32 [h, w, 3] 0–1 → L* 0–100, a* and b* about ±100."""
    linear = np.where(
        image <= np.float32(0.04045),
        image / np.float32(12.92),
        np.power((np.maximum(image, 0) + np.float32(0.055)) / np.float32(1.055), np.float32(2.4)),
    )
    relative = linear @ _TO_RELATIVE
    lab: FloatImage = _lab_f(relative) @ _TO_LAB
    lab[..., 0] -= 16
    return lab


@_by_strips
def lab_to_rgb(lab: FloatImage) -> FloatImage:
    """`lab2rgb`: L*, a*, b* → float32 [h, w, 3], not clipped (colours outside sRGB leave 0–1)."""
    f_y = (lab[..., 0] + np.float32(16)) / np.float32(116)
    f = np.stack([f_y + lab[..., 1] / np.float32(500), f_y, f_y - lab[..., 2] / np.float32(200)], axis=-1)
    relative = np.where(f > _DELTA, f * f * f, (f - np.float32(4 / 29)) * (3 * _DELTA**2))
    linear = relative @ _FROM_RELATIVE
    rgb: FloatImage = np.where(
        linear <= np.float32(0.0031308),
        linear * np.float32(12.92),
        np.float32(1.055) * np.power(np.maximum(linear, np.float32(0.003)), np.float32(1 / 2.4))
        - np.float32(0.055),
    )
    return rgb


def _lab_f(relative: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """CIE's cube root with a linear foot below (6/29)³."""
    foot = relative / (3 * _DELTA**2) + np.float32(4 / 29)
    f: npt.NDArray[np.float32] = np.where(relative > _DELTA**3, np.cbrt(relative), foot)
    return f
