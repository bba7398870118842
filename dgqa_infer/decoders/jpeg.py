"""JPEG pixels by way of libjpeg-turbo where simplejpeg is installed: the same pixels as Pillow's, sooner.

It also says what Pillow keeps to itself: that the data was damaged and parts of the picture are made up.
"""

from __future__ import annotations

from typing import Literal

from dgqa_infer.preprocessing import Pixels

Verdict = Literal["sound", "corrupt", "unknown"]

# libjpeg-turbo refuses these layouts of colour planes; the file is sound, only not for this decoder.
_NOT_ITS_KIND = ("subsampling", "could not determine", "colorspace")


def decode(data: bytes, mode: str) -> tuple[Pixels | None, Verdict]:
    """Decode with libjpeg-turbo.

    Args:
        data: a JPEG file.
        mode: Pillow's for it; only "RGB" and "L" are decoded here.

    Returns:
        uint8 [height, width, 3], not yet upright, in the file's own colours; None where Pillow has to decode.
        And whether the data is sound: "unknown" where nothing can be said.
    """
    if mode not in ("RGB", "L"):
        return None, "unknown"
    try:
        import simplejpeg
    except ImportError:
        return None, "unknown"
    try:
        return simplejpeg.decode_jpeg(data, colorspace="RGB", strict=True), "sound"
    except ValueError as error:
        own_limit = any(words in str(error).lower() for words in _NOT_ITS_KIND)
        return None, "unknown" if own_limit else "corrupt"
