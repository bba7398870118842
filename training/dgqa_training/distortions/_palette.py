"""A palette by minimum-variance colour quantisation, the method behind MATLAB's ``rgb2ind(x, n)``.

The colour cube is cut into boxes; the box whose colours differ most from their mean (sum of squared
differences) is cut next, across the axis and at the place that lower that sum most (Wan, Wong and
Prusinkiewicz, ACM TOMS 14, 1988; Wu, 1991). Cuts lie on a grid of 32 steps an axis; sums are of all 8 bits.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from dgqa_training.distortions._arrays import ByteImage

_BITS = 5
_SIDE = 1 << _BITS

_Moments: TypeAlias = npt.NDArray[np.float64]  # [..., 5]: count, sum of r, g, b, sum of r² + g² + b²


@dataclass(frozen=True)
class _Box:
    """A cuboid of the histogram, its squared error, and where it is best cut (axis < 0: it cannot be)."""

    slices: tuple[slice, slice, slice]
    error: float
    mean: npt.NDArray[np.float64]
    axis: int
    cut: int


def minimum_variance_palette(pixels: ByteImage, colors: int) -> npt.NDArray[np.float64]:
    """Choose at most ``colors`` colours for an image.

    Args:
        pixels: uint8 [h, w, 3].
        colors: how many, at least 1.

    Returns:
        float64 [n, 3], 0–255, n ≤ colors: the mean colour of each box; fewer where the image has no more.
    """
    moments = _histogram(pixels)
    everything = slice(0, _SIDE)
    boxes = [_examine(moments, (everything, everything, everything))]
    while len(boxes) < colors:
        widest = max(range(len(boxes)), key=lambda i: boxes[i].error if boxes[i].axis >= 0 else -1.0)
        box = boxes[widest]
        if box.axis < 0:
            break
        whole = box.slices[box.axis]
        boxes[widest] = _examine(moments, _with(box.slices, box.axis, slice(whole.start, box.cut)))
        boxes.append(_examine(moments, _with(box.slices, box.axis, slice(box.cut, whole.stop))))
    return np.array([box.mean for box in boxes])


def _histogram(pixels: ByteImage) -> _Moments:
    flat = pixels.reshape(-1, 3)
    cell = flat.astype(np.int32) >> (8 - _BITS)
    index = (cell[:, 0] * _SIDE + cell[:, 1]) * _SIDE + cell[:, 2]
    values = flat.astype(np.float64)
    weights = [None, values[:, 0], values[:, 1], values[:, 2], (values**2).sum(axis=1)]
    sums = [np.bincount(index, weights=weight, minlength=_SIDE**3) for weight in weights]
    return np.stack(sums, axis=-1).reshape(_SIDE, _SIDE, _SIDE, 5).astype(np.float64)


def _examine(moments: _Moments, slices: tuple[slice, slice, slice]) -> _Box:
    inside = moments[slices]
    total = inside.sum(axis=(0, 1, 2))
    error = float(_squared_error(total))
    best_error, best_axis, best_cut = error, -1, 0
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        below = inside.sum(axis=others).cumsum(axis=0)[:-1]
        above = total - below
        valid = (below[:, 0] > 0) & (above[:, 0] > 0)
        if not valid.any():
            continue
        errors = np.where(valid, _squared_error(below) + _squared_error(above), np.inf)
        place = int(errors.argmin())
        if errors[place] < best_error:
            best_error, best_axis, best_cut = float(errors[place]), axis, slices[axis].start + place + 1
    return _Box(slices, error, total[1:4] / total[0], best_axis, best_cut)


def _squared_error(moments: _Moments) -> npt.NDArray[np.float64]:
    """Σ‖colour − mean‖² of each group of moments; 0 for an empty one."""
    count = np.maximum(moments[..., 0], 1)
    return np.asarray(moments[..., 4] - (moments[..., 1:4] ** 2).sum(axis=-1) / count)


def _with(slices: tuple[slice, slice, slice], axis: int, part: slice) -> tuple[slice, slice, slice]:
    changed = list(slices)
    changed[axis] = part
    return changed[0], changed[1], changed[2]
