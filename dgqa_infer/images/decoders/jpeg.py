"""JPEG pixels by way of libjpeg-turbo where simplejpeg is installed: the same pixels as Pillow's, sooner.

It also says what Pillow keeps to itself: that the data was damaged and parts of the picture are made up. And
a JPEG can be decoded at a half, a quarter or an eighth of its size: faster, and not quite the same picture.
"""

from __future__ import annotations

from typing import Literal

from dgqa_infer.images.arrays import Pixels

Verdict = Literal["sound", "corrupt", "unknown"]

# libjpeg-turbo refuses these layouts of colour planes; the file is sound, only not for this decoder.
_NOT_ITS_KIND = ("subsampling", "could not determine", "colorspace")
# It knows others; these have fast code, and Pillow knows them too.
_DIVISORS = (8, 4, 2)


def divisor(width: int, height: int, least: int | None) -> int:
    """By how much a picture may be divided so that its short side keeps so many pixels: 8, 4, 2 or 1."""
    short = min(width, height)
    return next((each for each in _DIVISORS if least is not None and short >= each * least), 1)


def decode(data: bytes, mode: str, size: tuple[int, int] | None = None) -> tuple[Pixels | None, Verdict]:
    """Decode with libjpeg-turbo.

    Args:
        data: a JPEG file.
        mode: Pillow's for it; only "RGB" and "L" are decoded here.
        size: width and height to decode at, the file's own divided by what `divisor` says and rounded up;
            None for the file's own.

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
    least = {} if size is None else {"min_width": size[0], "min_height": size[1]}
    try:
        return simplejpeg.decode_jpeg(data, colorspace="RGB", strict=True, **least), "sound"
    except ValueError as error:
        own_limit = any(words in str(error).lower() for words in _NOT_ITS_KIND)
        return None, "unknown" if own_limit else "corrupt"
