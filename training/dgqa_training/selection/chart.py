"""A picture of a domain profile: a bar for each class, its interval, and the threshold. Needs Pillow only."""

from __future__ import annotations

from typing import Final, TypeAlias

from PIL import Image, ImageDraw, ImageFont

from dgqa_infer.domains.classes import WORDS
from dgqa_training.selection.votes import DomainSelection, Rule

Font: TypeAlias = ImageFont.ImageFont | ImageFont.FreeTypeFont

WIDTH: Final = 1400
_TOP: Final = 110
_ROW: Final = 34
_BOTTOM: Final = 90
_LEFT: Final = 470  # pixels, for the classes' numbers and words
_RIGHT: Final = 40
_INK, _PAPER, _FAINT = (30, 30, 30), (255, 255, 255), (215, 215, 215)
_SELECTED, _OTHER, _LIMIT = (31, 119, 180), (174, 199, 232), (200, 60, 30)


def chart(selection: DomainSelection) -> Image.Image:
    """Draw the profile.

    Args:
        selection: of some photographs.

    Returns:
        An RGB picture, 1,400 pixels wide: the classes from 0 (pristine) to 25 from top to bottom, the score
        to the right; selected types are dark, and a line stands at the least score that is selected.
    """
    height = _TOP + _ROW * len(WORDS) + _BOTTOM
    image = Image.new("RGB", (WIDTH, height), _PAPER)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(18)
    end = max(0.05, *(high for _, high in selection.intervals))
    title = f"Domain profile of {selection.photos:,} photographs"
    draw.text((24, 22), title, _INK, ImageFont.load_default(26))
    _axis(draw, font, end, height - _BOTTOM, selection.rule)
    for number, words in enumerate(WORDS.values()):
        low, high = selection.intervals[number]
        colour = _SELECTED if number in selection.selected else _OTHER
        top = _TOP + number * _ROW
        middle = top + _ROW // 2
        draw.text((_LEFT - 12, middle), f"{words}  {number:>2}", _INK, font, anchor="rm")
        draw.rectangle([_LEFT, top + 6, _x(selection.scores[number], end), top + _ROW - 6], colour)
        draw.line([(_x(low, end), middle), (_x(high, end), middle)], _INK, 2)
    least = _x(selection.rule.least, end)
    draw.line([(least, _TOP - 8), (least, height - _BOTTOM)], _LIMIT, 3)
    draw.text((least, _TOP - 34), f"selected from {selection.rule.least:g} on", _LIMIT, font)
    return image


def _x(score: float, end: float) -> float:
    return _LEFT + score / end * (WIDTH - _LEFT - _RIGHT)


def _axis(draw: ImageDraw.ImageDraw, font: Font, end: float, bottom: int, rule: Rule) -> None:
    step = 0.01 if end < 0.12 else 0.05
    for tick in range(int(end / step) + 1):
        x = _x(tick * step, end)
        draw.line([(x, _TOP), (x, bottom)], _FAINT, 1)
        draw.text((x, bottom + 8), f"{tick * step:.2f}", _INK, font, anchor="ma")
    words = f"score = votes / ({rule.counted} x photographs), with its 95 % interval"
    draw.text((_x(end / 2, end), bottom + 40), words, _INK, font, anchor="ma")
