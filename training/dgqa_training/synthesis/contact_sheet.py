"""All images of one content on one page: a row a type, a column a level, the pristine photograph on top.

Every image is there twice: whole and shrunk, which shows colours, blocks and brightness; and its middle
pixel by pixel, which shows noise, blur and what compression does. Shrinking alone would hide the one half
of the types.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dgqa_training.distortions import DISTORTIONS, ByteImage

_CELL: Final = 128  # pixels, the longer side of a shrunk image, and the side of its middle
_GAP: Final = 4  # pixels, between pictures
_MARGIN: Final = 150  # pixels, for the names of the types
_LINE: Final = 18
_INK, _PAPER, _WARNING = (20, 20, 20), (250, 250, 250), (170, 60, 0)


def contact_sheet(
    title: str,
    reference: ByteImage,
    types: tuple[int, ...],
    levels: tuple[int, ...],
    image: Callable[[int, int], ByteImage],
) -> ByteImage:
    """Draw a contact sheet.

    Args:
        title: stands beside the pristine photograph, such as the file's name.
        reference: uint8 [h, w, 3].
        types: one row each.
        levels: one column each.
        image: type, level → uint8 [h, w, 3], the distorted image.

    Returns:
        uint8 [H, W, 3]: 1 + len(types) rows of len(levels) pairs of pictures: the image, shrunk to 128 pixels
        on its longer side, and its middle 128×128 pixels as they are. The first row repeats the pristine
        photograph, so that every column can be compared with it.
    """
    first = _cell(reference)
    width, height = first.width + _GAP, first.height + _GAP
    size = (_MARGIN + len(levels) * width, _LINE + (1 + len(types)) * height)
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(11)
    for column, level in enumerate(levels):
        left = _MARGIN + column * width
        draw.text((left, 3), f"level {level}", _INK, font)
        sheet.paste(first, (left, _LINE))
    _write(draw, font, _LINE, title, "pristine")
    for row, kind in enumerate(types, start=1):
        top = _LINE + row * height
        described = DISTORTIONS[kind]
        values = ", ".join(f"{described.value(level):g}" for level in levels)
        note = "approximate" if described.approximate else ""
        _write(draw, font, top, f"{kind:02} {described.name}", described.parameter, values, note)
        for column, level in enumerate(levels):
            sheet.paste(_cell(image(kind, level)), (_MARGIN + column * width, top))
    return np.asarray(sheet)


def _cell(image: ByteImage) -> Image.Image:
    """The whole image and its middle, side by side."""
    whole = Image.fromarray(image)
    middle = whole.crop(_middle(whole.width, whole.height))
    whole.thumbnail((_CELL, _CELL), Image.Resampling.BOX)
    cell = Image.new(
        "RGB", (whole.width + _GAP // 2 + middle.width, max(whole.height, middle.height)), _PAPER
    )
    cell.paste(whole, (0, 0))
    cell.paste(middle, (whole.width + _GAP // 2, 0))
    return cell


def _middle(width: int, height: int) -> tuple[int, int, int, int]:
    across, down = min(_CELL, width), min(_CELL, height)
    left, top = (width - across) // 2, (height - down) // 2
    return left, top, left + across, top + down


def _write(
    draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, top: int, *lines: str
) -> None:
    """Write lines in the margin; a long one is wrapped."""
    y = top + 2
    for number, line in enumerate(lines):
        ink = _WARNING if number == 3 else _INK
        rest = line
        while rest:
            part = rest
            while draw.textlength(part, font) > _MARGIN - 8 and len(part) > 1:
                part = part.rpartition(" ")[0] or part[:-1]
            draw.text((4, y), part, ink, font)
            rest = rest[len(part) :].lstrip()
            y += 13
