"""How much memory decoding a photograph takes, told from its header: at most, and before a pixel is decoded.

Measured by `python -m benchmarks memory`, which fails where a format takes more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from PIL import Image

from dgqa_infer.inputs.formats import Format

_PER_PIXEL: Final[Mapping[Format, int]] = {
    **{"JPEG": 10, "PNG": 13, "WEBP": 19, "TIFF": 13, "BMP": 11, "AVIF": 13, "HEIF": 13, "GIF": 12},
    **{"JPEG 2000": 21, "JPEG XL": 15, "RAW": 13},
}
"""Bytes for each pixel, of the decoder's own memory and of the copies on the way to upright sRGB."""

_ALPHA: Final = 6
_PROFILE: Final = 3
_BLACK: Final = 4
"""Of a picture in CMYK."""
_PART: Final = 4
"""Of a JPEG that is decoded at a half of its size or less."""
_COEFFICIENT: Final = 2
"""Bytes that a progressive JPEG keeps of each sample until its last scan is there."""


def decoding_bytes(kind: Format, image: Image.Image, file_bytes: int, *, part: bool = False) -> int:
    """What decoding takes, and all that is done with the pixels until they are crops.

    Args:
        kind: of the file.
        image: its header.
        file_bytes: size of the file.
        part: whether it is a JPEG that is decoded at a part of its size.
    """
    each = _PART if part else _PER_PIXEL[kind]
    if "A" in image.mode or "transparency" in image.info:
        each += _ALPHA
    if image.mode == "CMYK":
        each += _BLACK
    if image.info.get("icc_profile"):
        each += _PROFILE
    if image.info.get("progressive"):
        each += _COEFFICIENT * len(image.getbands())
    # Damaged data is mended in a copy.
    return 2 * file_bytes + each * image.size[0] * image.size[1]


def samples_bytes(kind: Format, width: int, height: int, file_bytes: int) -> int:
    """As `decoding_bytes`, of a file that Pillow does not open."""
    return 2 * file_bytes + (_PER_PIXEL[kind] + _ALPHA) * width * height
