"""The eight ways in which a square can be turned and mirrored, of crops and of the maps made of them."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from dgqa_infer.images.arrays import Pixels

TURNS: Final = 8
"""Turned by 0°, 90°, 180° and 270° counterclockwise; then the same of the transposed square."""

_QUARTERS = 4

_Number = TypeVar("_Number", bound=np.generic)


def turned(crop: Pixels) -> Pixels:
    """A crop in all eight ways, itself first.

    Args:
        crop: uint8 [side, side, 3].

    Returns:
        uint8 [8, side, side, 3].
    """
    return _turned(crop, crop.swapaxes(0, 1))


def turned_map(cells: NDArray[_Number]) -> NDArray[_Number]:
    """The maps of a crop's eight ways, if each cell moved with what it is of.

    Args:
        cells: [h, h], of the crop itself.

    Returns:
        [8, h, h].
    """
    return _turned(cells, cells.T)


def upright(maps: NDArray[_Number]) -> NDArray[_Number]:
    """The maps of a crop's eight ways, each turned back: the inverse of `turned_map` for each of them.

    Args:
        maps: [8, h, h].

    Returns:
        [8, h, h]; place for place of the same part of the crop.
    """
    back = [np.rot90(cells, -quarters % _QUARTERS) for quarters, cells in enumerate(maps[:_QUARTERS])]
    back += [np.rot90(cells, -quarters % _QUARTERS).T for quarters, cells in enumerate(maps[_QUARTERS:])]
    return np.stack(back)


def _turned(square: NDArray[Any], transposed: NDArray[Any]) -> NDArray[Any]:
    return np.stack([np.rot90(each, quarters) for each in (square, transposed) for quarters in range(4)])
