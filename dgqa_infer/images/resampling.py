"""Shrinking with SIMD instructions: Pillow's antialiased filters, several times as fast.

fast_image_resize does it where its wheel is installed. Where there is none, Pillow takes the same steps in
the same order, rows before columns: no value of a photograph differs by more than one level, none at all by
more than two. fast_image_resize's coefficients have 16 bits, Pillow's 22, so a few in a thousand do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from dgqa_infer.images.arrays import Box, Pixels

_FILTERS = {"bilinear": "bilinear", "bicubic": "catmull_rom", "lanczos": "lanczos3"}
"""Pillow's names → fast_image_resize's, for the same filters."""

PILLOWS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
"""Names that a card may have → Pillow's antialiased filters."""


def shrink(image: Pixels, size: tuple[int, int], filter: str, box: Box) -> Pixels:
    """Resize a part of an image.

    Args:
        image: uint8 [height, width, 3].
        size: width and height of the result.
        filter: bilinear, bicubic or lanczos.
        box: the part; its edges may fall within a pixel.

    Returns:
        uint8 [height, width, 3].
    """
    try:
        import cykooz_resizer as library
    except ImportError:
        return _by_pillow(image, size, filter, box)
    left, top, right, bottom = box
    options = library.ResizeOptions(
        library.ResizeAlg.convolution(library.FilterType[_FILTERS[filter]]),
        crop_box=library.CropBox(left, top, right - left, bottom - top),
    )
    # By way of Pillow's pictures, which are read in place: its own take two copies of a large photograph.
    result = Image.new("RGB", size)
    library.Resizer().resize_pil(Image.fromarray(image), result, options)
    return np.asarray(result)


def columns_first(image: Pixels, size: tuple[int, int], filter: str) -> Pixels:
    """Resize as Pillow up to 12 does, whichever Pillow is installed.

    From 13 on, Pillow begins with the rows where the height shrinks by more than twice as many pixels as the
    width. The values between the two passes are rounded, so noise comes out up to 24 levels apart.

    Args:
        image: uint8 [height, width, 3].
        size: width and height of the result.
        filter: bilinear, bicubic or lanczos.

    Returns:
        uint8 [height, width, 3].
    """
    columns = Image.fromarray(image).resize((size[0], image.shape[0]), PILLOWS[filter])
    return np.asarray(columns.resize(size, PILLOWS[filter]))


def _by_pillow(image: Pixels, size: tuple[int, int], filter: str, box: Box) -> Pixels:
    """The same without the library. Pillow alone would begin with the columns, and be off by up to 14."""
    left, top, right, bottom = box
    whole = Image.fromarray(image)
    rows = whole.resize((whole.width, size[1]), PILLOWS[filter], (0, top, whole.width, bottom))
    return np.asarray(rows.resize(size, PILLOWS[filter], (left, 0, right, size[1])))
