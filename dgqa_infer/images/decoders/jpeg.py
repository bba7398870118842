"""JPEG pixels by way of libjpeg-turbo where simplejpeg is installed: the same pixels as Pillow's, sooner.

It also says what Pillow keeps to itself: that the data was damaged and parts of the picture are made up. And
a JPEG can be decoded at a half, a quarter or an eighth of its size: faster, and not quite the same picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Literal

from PIL import ImageFile

from dgqa_infer.errors import ImageError
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.images.decoders import pillow
from dgqa_infer.images.decoders.jpeg_segments import Rewritten, rewrite
from dgqa_infer.images.decoders.jpeg_stray import without_stray_bytes

Verdict = Literal["sound", "corrupt", "unknown"]

# libjpeg-turbo refuses these layouts of colour planes; the file is sound, only not for this decoder.
_NOT_ITS_KIND = ("subsampling", "could not determine", "colorspace")
# It knows others; these have fast code, and Pillow knows them too.
_DIVISORS = (8, 4, 2)
_METADATA_IGNORED = "metadata_ignored"


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


def open_file(data: bytes) -> tuple[ImageFile.ImageFile, bytes, tuple[str, ...]]:
    """Read the header, of a file whose metadata is damaged too.

    Returns:
        Pillow's picture, the file to decode, and warnings.

    Raises:
        ImageError: the header is not sound.
    """
    try:
        return pillow.open_as(data, "JPEG"), data, ()
    except ImageError:
        # Only the header is at stake here: what lacks its end is found out when it is decoded.
        found = rewrite(data)
        if found is None or not (found.had_end or found.complete):
            raise
        try:
            image = pillow.open_as(found.data, "JPEG")
        except ImageError:
            found = None
        if found is None:
            raise
    return image, found.data, (_METADATA_IGNORED, *_lost(found))


def mend(
    data: bytes, mode: str, size: tuple[int, int] | None, verdict: Verdict
) -> tuple[bytes, Pixels | None, tuple[str, ...]] | None:
    """Decode a file that a strict decoder refuses for what lies outside its entropy-coded data.

    Args:
        data: a JPEG file.
        mode: Pillow's for it.
        size: as in `decode`.
        verdict: that of `decode`.

    Returns:
        A file that is sound, its pixels as `decode` gives them (None for those that Pillow has to decode),
        and warnings; None where the entropy-coded data itself is damaged or incomplete.
    """
    if verdict != "corrupt" and (mode != "CMYK" or _is_sound_cmyk(data)):
        return None
    for found in _rewritten(data, mode):
        if mode == "CMYK":
            if _is_sound_cmyk(found.data):
                return found.data, None, _lost(found)
            continue
        pixels, verdict = decode(found.data, mode, size)
        if verdict == "sound":
            return found.data, pixels, _lost(found)
    return None


def _rewritten(data: bytes, mode: str) -> Iterator[Rewritten]:
    """The file without what is odd about it, by ways that take the more the later they come."""
    plain = rewrite(data)
    if plain is None or not (plain.had_end or plain.complete):
        return
    yield plain
    if (shorter := rewrite(data, without_zeros=True)) is not None:
        yield shorter
    with suppress(ImportError):
        import simplejpeg

        space = "CMYK" if mode == "CMYK" else "RGB"
        strictly = partial(simplejpeg.decode_jpeg, colorspace=space, strict=True)
        if (short := without_stray_bytes(plain.data, strictly)) is not None:
            yield replace(plain, data=short)


def _lost(found: Rewritten) -> tuple[str, ...]:
    return ("icc_profile_ignored",) if found.lost_profile else ()


def _is_sound_cmyk(data: bytes) -> bool:
    try:
        import simplejpeg

        simplejpeg.decode_jpeg(data, colorspace="CMYK", strict=True)
    except (ImportError, ValueError):
        return False
    return True
