"""A quality map as a picture: translucent colours over the photograph, and what they mean below it."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dgqa_infer.bundle.card import Calibration
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.quality_map import QualityMap

COLOURS: Final = ((140, 22, 40), (224, 104, 60), (250, 226, 150), (122, 184, 196), (32, 84, 150))
"""RGB from the lower end of the scale to the upper, evenly spaced; distinct to the colour-blind too."""
OPACITY: Final = 0.55

_GREY = 0.6  # share of grey in the photograph below, so that its own colours are not taken for the map's
_UNSEEN = 0.45  # brightness of what no crop has looked at
_STRIP, _MARGIN, _BAR, _WIDTH = 64, 16, 14, 360
_PAPER, _INK, _FAINT = (24, 26, 30), (236, 238, 240), (150, 156, 164)


def colours(values: NDArray[np.float32], low: float, high: float) -> Pixels:
    """The colour of each value.

    Args:
        values: of any shape, finite or NaN.
        low: the lower end of the scale; what lies below it has its colour.
        high: the upper end.

    Returns:
        uint8 [..., 3]; some colour for NaN.
    """
    at = np.nan_to_num(np.clip((values - low) / (high - low), 0, 1)) * (len(COLOURS) - 1)
    steps = np.arange(len(COLOURS))
    channels = [np.interp(at, steps, channel) for channel in zip(*COLOURS, strict=True)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def tint(found: QualityMap, height: int, width: int, scale: Calibration) -> Image.Image:
    """The map alone, to lay over a photograph.

    Args:
        found: the map.
        height: of the picture, in pixels.
        width: likewise.
        scale: the card's calibration: a cell has the colour of a photograph that were like it all over.

    Returns:
        An RGBA picture; black, as dark as a photograph is dimmed, where no crop lies.
    """
    values = found.over(height, width)
    unseen = np.isnan(values)
    picture = np.empty((height, width, 4), np.uint8)
    picture[..., :3] = np.where(unseen[..., None], 0, colours(_scores(values, scale), 0, 100))
    picture[..., 3] = np.where(unseen, round(255 * (1 - _UNSEEN)), round(255 * OPACITY))
    return Image.fromarray(picture, "RGBA")


def overlay(photograph: Pixels, found: QualityMap, scale: Calibration) -> Image.Image:
    """The photograph with the map over it and a legend below.

    Args:
        photograph: uint8 [height, width, 3], of any size: the map is stretched over it.
        found: its map.
        scale: the card's calibration, see `tint`.

    Returns:
        An RGB picture; a strip of 64 pixels below the photograph holds the colours of scores and the
        photograph's own.
    """
    height, width = photograph.shape[:2]
    below = Image.fromarray(photograph)
    below = Image.blend(below, below.convert("L").convert("RGB"), _GREY).convert("RGBA")
    below.alpha_composite(tint(found, height, width, scale))
    whole = Image.new("RGB", (max(width, _WIDTH), height + _STRIP), _PAPER)
    whole.paste(below.convert("RGB"), ((whole.width - width) // 2, 0))
    _draw_legend(whole, height, scale(found.raw))
    return whole


def _scores(values: NDArray[np.float32], scale: Calibration) -> NDArray[np.float32]:
    return np.interp(values, scale.raw, scale.score).astype(np.float32)


def _draw_legend(picture: Image.Image, top: int, score: float) -> None:
    """The colour scale with its ends, and a mark at the photograph's own score."""
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(13)
    left, right = _MARGIN, picture.width - _MARGIN
    bar = np.linspace(0, 100, right - left, dtype=np.float32)
    strip = np.repeat(colours(bar, 0, 100)[None], _BAR, axis=0)
    top += 26
    picture.paste(Image.fromarray(strip), (left, top))
    draw.text((left, top - 5), "worse", _FAINT, font, anchor="ls")
    draw.text((right, top - 5), "better", _FAINT, font, anchor="rs")
    for number in range(5):
        anchor = ("la", "ma", "ma", "ma", "ra")[number]
        x = left + (right - left - 1) * number / 4
        draw.text((x, top + _BAR + 3), str(25 * number), _FAINT, font, anchor=anchor)
    x = left + (right - left - 1) * score / 100
    draw.polygon([(x - 6, top - 7), (x + 6, top - 7), (x, top + 3)], _INK, _PAPER)
    words = f"score {score:.0f}"
    half = draw.textlength(words, font) / 2
    # Clear of the words at both ends, wherever the mark is.
    centre = min(max(x, left + 44 + half), right - 44 - half)
    draw.text((centre, top - 9), words, _INK, font, anchor="ms")
