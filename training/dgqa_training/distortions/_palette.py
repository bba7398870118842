"""A palette by minimum-variance colour quantisation, the method behind MATLAB's `rgb2ind(x, n)`.

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
    """A cuboid of colours, its squared error, and where it is best cut (axis −1: it cannot be)."""

    low: tuple[int, int, int]
    high: tuple[int, int, int]
    error: float
    mean: npt.NDArray[np.float64]
    axis: int
    cut: int


def minimum_variance_palette(pixels: ByteImage, colors: int) -> npt.NDArray[np.float64]:
    """Choose at most `colors` colours for an image.

    Args:
        pixels: uint8 [h, w, 3].
        colors: how many, at least 1.

    Returns:
        float64 [n, 3], 0–255, n ≤ colors: the mean colour of each box; fewer where the image has no more.
    """
    table = _cumulative_moments(pixels)
    moments = (table, table.transpose(1, 0, 2, 3), table.transpose(2, 0, 1, 3))
    boxes = [_examine(moments, (0, 0, 0), (_SIDE, _SIDE, _SIDE))]
    while len(boxes) < colors:
        widest = max(range(len(boxes)), key=lambda i: boxes[i].error if boxes[i].axis >= 0 else -1.0)
        box = boxes[widest]
        if box.axis < 0:
            break
        boxes[widest] = _examine(moments, box.low, _replace(box.high, box.axis, box.cut))
        boxes.append(_examine(moments, _replace(box.low, box.axis, box.cut), box.high))
    return np.array([box.mean for box in boxes])


def _cumulative_moments(pixels: ByteImage) -> _Moments:
    """[33, 33, 33, 5]: at (r, g, b) the moments of all colours below; a box needs eight entries."""
    flat = pixels.reshape(-1, 3)
    cell = flat.astype(np.intp) >> (8 - _BITS)
    index = (cell[:, 0] * _SIDE + cell[:, 1]) * _SIDE + cell[:, 2]
    values = flat.astype(np.float64)
    weights = [None, values[:, 0], values[:, 1], values[:, 2], np.einsum("nc,nc->n", values, values)]
    table = np.zeros((_SIDE + 1, _SIDE + 1, _SIDE + 1, 5))
    for moment, weight in enumerate(weights):
        sums = np.bincount(index, weights=weight, minlength=_SIDE**3).reshape(_SIDE, _SIDE, _SIDE)
        table[1:, 1:, 1:, moment] = sums.cumsum(axis=0).cumsum(axis=1).cumsum(axis=2)
    return table


def _examine(moments: tuple[_Moments, ...], low: tuple[int, int, int], high: tuple[int, int, int]) -> _Box:
    total = _slabs(moments[0], low, high, 0)[-1]
    error = float(_squared_error(total))
    best_error, best_axis, best_cut = error, -1, 0
    for axis in range(3):
        below = _slabs(moments[axis], low, high, axis)[1:-1]
        above = total - below
        valid = (below[:, 0] > 0.5) & (above[:, 0] > 0.5)
        if not valid.any():
            continue
        errors = np.where(valid, _squared_error(below) + _squared_error(above), np.inf)
        place = int(errors.argmin())
        if errors[place] < best_error:
            best_error, best_axis, best_cut = float(errors[place]), axis, low[axis] + place + 1
    return _Box(low, high, error, total[1:4] / total[0], best_axis, best_cut)


def _slabs(moments: _Moments, low: tuple[int, int, int], high: tuple[int, int, int], axis: int) -> _Moments:
    """Moments [n + 1, 5] of the box's first 0, 1, …, n layers along an axis, which is the table's first."""
    first, second = (other for other in range(3) if other != axis)
    along = moments[low[axis] : high[axis] + 1]
    sums = (
        along[:, high[first], high[second]]
        - along[:, low[first], high[second]]
        - along[:, high[first], low[second]]
        + along[:, low[first], low[second]]
    )
    return np.asarray(sums - sums[0])


def _squared_error(moments: _Moments) -> npt.NDArray[np.float64]:
    """Σ‖colour − mean‖² of each group of moments; 0 for an empty one."""
    count = np.maximum(moments[..., 0], 1)
    return np.asarray(moments[..., 4] - (moments[..., 1:4] ** 2).sum(axis=-1) / count)


def _replace(corner: tuple[int, int, int], axis: int, value: int) -> tuple[int, int, int]:
    changed = list(corner)
    changed[axis] = value
    return changed[0], changed[1], changed[2]
