"""An upright sRGB photograph becomes crops. The one implementation of that step.

Training, evaluation, export, calibration and benchmarks call it too, so a score never depends on who asked.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageFilter

from dgqa_infer.bundle.preprocessing import GRIDS, Preprocessing
from dgqa_infer.images import resampling
from dgqa_infer.images.arrays import Box, Pixels
from dgqa_infer.images.content import NOT_A_PHOTOGRAPH, looks_like_no_photograph
from dgqa_infer.images.resampling import PILLOWS


def shrink(image: Pixels, preprocessing: Preprocessing, box: Box | None = None) -> Pixels:
    """Shrink a photograph to the preprocessing's short side; a smaller one is returned as it is.

    Args:
        image: uint8 [height, width, 3], sRGB, upright.
        preprocessing: short side, filter and resizer.
        box: left, upper, right and lower edge of the photograph within the image, where it was decoded at a
            part of its size: `Photograph.box`. `resampling` shrinks it whatever the resizer.

    Returns:
        uint8 [height, width, 3].
    """
    edges = box or (0, 0, image.shape[1], image.shape[0])
    left, top, right, bottom = edges
    width, height = right - left, bottom - top
    if box is None and min(height, width) <= preprocessing.short_side:
        return image
    scale = preprocessing.short_side / min(height, width)
    size = (round(width * scale), round(height * scale))
    if box is None and preprocessing.resizer is None:
        return resampling.columns_first(image, size, preprocessing.filter)
    shrunk = resampling.shrink(image, size, preprocessing.filter, edges)
    if box is None:
        return shrunk
    return np.asarray(Image.fromarray(shrunk).filter(_restoring(scale)))


def _restoring(scale: float) -> ImageFilter.Kernel:
    """What gives back the detail that decoding at a part of the size takes: scores depend on it.

    A decoder that divides a size by n averages n pixels, which leaves sinc(n f) of a frequency f. After
    shrinking to `scale` of what was decoded that is sinc(scale · f), with f in cycles a pixel of the result.
    A Laplacian of weight k multiplies it by 1 + k (2 - 2 cos 2πf); k is such that both cancel at f = 1/3.

    Args:
        scale: short side after resizing / short side as decoded, at most 1.
    """
    weight = (1 / np.sinc(scale / 3) - 1) / 3
    around = [0, -weight, 0, -weight, 1 + 4 * weight, -weight, 0, -weight, 0]
    return ImageFilter.Kernel((3, 3), around, scale=1)


def crops(
    image: Pixels, preprocessing: Preprocessing, box: Box | None = None
) -> tuple[Pixels, tuple[str, ...]]:
    """Cut the fixed grid of crops out of a photograph. No randomness, ever.

    A photograph whose short side is below the crop is enlarged: squares of its short side, on the same
    grid, each become one crop. That bounds the work for a strip one pixel wide and many thousand long.

    Args:
        image: uint8 [height, width, 3], sRGB, upright, at least one pixel.
        preprocessing: sizes, grid and filter.
        box: as `shrink` takes it.

    Returns:
        The crops, uint8 [grid, crop, crop, 3], contiguous; and warnings: "upscaled" for an enlarged
        photograph, "not_a_photograph" for what looks like none.
    """
    image = shrink(image, preprocessing, box)
    warnings = (NOT_A_PHOTOGRAPH,) if looks_like_no_photograph(image) else ()
    room_x, room_y = _room(image, preprocessing)
    grid = GRIDS[preprocessing.grid]
    cut, more = _cut(image, [(round(x * room_x), round(y * room_y)) for x, y in grid], preprocessing)
    return cut, (*warnings, *more)


def places(height: int, width: int, preprocessing: Preprocessing) -> tuple[Box, ...]:
    """Where in a photograph the crops of the fixed grid lie.

    Args:
        height: of the photograph before any resizing, in pixels.
        width: likewise.
        preprocessing: sizes and grid.

    Returns:
        (left, top, right, bottom) of each crop, in the order of `crops`, as shares of width and height, 0–1.
    """
    scale = min(1.0, preprocessing.short_side / min(height, width))
    height, width = round(height * scale), round(width * scale)
    side = min(preprocessing.crop, height, width)
    corners = [(round(x * (width - side)), round(y * (height - side))) for x, y in GRIDS[preprocessing.grid]]
    return tuple(
        (left / width, top / height, (left + side) / width, (top + side) / height) for left, top in corners
    )


def random_crops(
    image: Pixels, preprocessing: Preprocessing, generator: np.random.Generator
) -> tuple[Pixels, tuple[str, ...]]:
    """As many crops anywhere in a photograph that is not shrunk: how DGQA's authors look at photographs.

    For comparison with their figures; no score is made of them. Li-aobo/DGQA, `sel_dist.py`.

    Args:
        image: uint8 [height, width, 3], sRGB, upright, at least one pixel.
        preprocessing: number and side of the crops; a smaller photograph is enlarged as in `crops`.
        generator: draws the places.

    Returns:
        As `crops` does.
    """
    room_x, room_y = _room(image, preprocessing)
    lefts = generator.integers(room_x + 1, size=preprocessing.grid)
    tops = generator.integers(room_y + 1, size=preprocessing.grid)
    return _cut(image, list(zip(lefts.tolist(), tops.tolist(), strict=True)), preprocessing)


def _room(image: Pixels, preprocessing: Preprocessing) -> tuple[int, int]:
    """How far a crop's left and upper edge may lie from the photograph's."""
    height, width = image.shape[:2]
    side = min(preprocessing.crop, height, width)
    return width - side, height - side


def _cut(
    image: Pixels, corners: Sequence[tuple[int, int]], preprocessing: Preprocessing
) -> tuple[Pixels, tuple[str, ...]]:
    """The crops whose left and upper edges these are, enlarged where the photograph is too small."""
    side = min(preprocessing.crop, *image.shape[:2])
    squares = [image[top : top + side, left : left + side] for left, top in corners]
    if side == preprocessing.crop:
        return np.stack(squares), ()
    size = (preprocessing.crop, preprocessing.crop)
    enlarge = PILLOWS[preprocessing.filter]
    enlarged = [np.asarray(Image.fromarray(square).resize(size, enlarge)) for square in squares]
    return np.stack(enlarged), ("upscaled",)
