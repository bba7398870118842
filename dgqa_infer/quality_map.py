"""Where in a photograph its score comes from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dgqa_infer.images.arrays import Box

# What a crop says of a place at its very edge counts so little beside one that has the place in its middle.
_LEAST_WEIGHT = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class QualityMap:
    """The quality of each part of a photograph that the network looked at.

    The network looks at crops on a fixed grid and gives each a small map of cells. Every crop has as many
    cells as the next, and a crop's quality is the mean of its cells, so the mean over all cells of all crops
    is exactly the photograph's raw quality (but for rounding in float32). Cells of different crops may lie in
    the same place: both count, as both crops do in the score. Where no crop lies, nothing is known.

    Attributes:
        cells: float32 [crops, h, w], 0–10; without pooling single cells may lie outside.
        places: (left, top, right, bottom) of each crop, as shares of the photograph's width and height.
    """

    cells: NDArray[np.float32]
    places: tuple[Box, ...]

    @property
    def raw(self) -> float:
        """The mean over all cells: the raw quality of the photograph."""
        return float(self.cells.mean(dtype=np.float64))

    def over(self, height: int, width: int) -> NDArray[np.float32]:
        """The map spread out over the photograph, for the eye.

        Within a crop it is interpolated between the cells' centres. Where crops overlap it is the mean of
        what they say, weighted by how far within each crop the place lies, so that no edge of a crop is seen.
        The mean of this picture is therefore near the raw quality, but only `raw` is equal to it.

        Args:
            height: of the picture to lay it over, in pixels.
            width: likewise.

        Returns:
            float32 [height, width]; NaN where no crop lies.
        """
        total = np.zeros((height, width), np.float64)
        weights = np.zeros((height, width), np.float64)
        for cells, (left, top, right, bottom) in zip(self.cells, self.places, strict=True):
            x, y = _pixels(left, right, width), _pixels(top, bottom, height)
            size = (x.stop - x.start, y.stop - y.start)
            values = np.asarray(Image.fromarray(cells).resize(size, Image.Resampling.BILINEAR))
            weight = np.outer(_tent(size[1]), _tent(size[0]))
            total[y, x] += weight * values
            weights[y, x] += weight
        with np.errstate(invalid="ignore"):
            return (total / weights).astype(np.float32)


def _pixels(start: float, end: float, count: int) -> slice:
    """The pixels of a row that a share of it covers, at least one."""
    first = min(round(start * count), count - 1)
    return slice(first, max(first + 1, round(end * count)))


def _tent(count: int) -> NDArray[np.float64]:
    """Weights that rise from a crop's edge to its middle."""
    centres = (np.arange(count) + 0.5) / count
    weights: NDArray[np.float64] = np.maximum(1 - np.abs(2 * centres - 1), _LEAST_WEIGHT)
    return weights
