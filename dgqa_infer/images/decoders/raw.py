"""Camera raw files: the preview that the camera made, or else a half-size development; never the thumbnail.

Most raw files are TIFF files whose first picture is a thumbnail of a few thousand pixels. Pillow would decode
it, and a score would be given to something that nobody looks at, so they are distinguished here.
"""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np

from dgqa_infer.errors import ImageError
from dgqa_infer.images.arrays import Pixels

_SUBFILE_TYPE, _PHOTOMETRIC, _SUB_IFDS, _DNG_VERSION = 254, 262, 330, 50706
_REDUCED = 1
_COLOUR_FILTER_ARRAY, _LINEAR_RAW = 32803, 34892
_SENSOR = (_COLOUR_FILTER_ARRAY, _LINEAR_RAW)
_OFFSETS = (4, 13)
_MAX_ENTRIES = 4096
_MAX_DIRECTORIES = 64
# Parts of the names of what rawpy raises for files that are none of LibRaw's, and for what it lacks.
_NOT_KNOWN = ("Unsupported", "NotSupported", "NotImplemented", "Nonexistent")
# What LibRaw calls flip, as EXIF orientations.
_ORIENTATIONS = {3: 3, 5: 8, 6: 6}


def is_raw(data: bytes) -> bool:
    """Whether a TIFF file is a camera's raw file, by its first directory and those within it."""
    order = "<" if data[:2] == b"II" else ">"
    try:
        (at,) = struct.unpack_from(f"{order}I", data, 4)
    except struct.error:
        return False
    tags, within = _directory(data, order, at)
    if _DNG_VERSION in tags or tags.get(_PHOTOMETRIC) in _SENSOR:
        return True
    if within and tags.get(_SUBFILE_TYPE, 0) & _REDUCED:
        return True
    # A thumbnail that nothing marks, before what the sensor saw.
    return any(_directory(data, order, each)[0].get(_PHOTOMETRIC) in _SENSOR for each in within)


def is_known(data: bytes) -> bool:
    """Whether LibRaw reads a file that has only the name of a raw file; True where there is no LibRaw.

    Without LibRaw nobody can say whether its first picture is more than a thumbnail.
    """
    try:
        open_raw(data).close()
    except ImageError as error:
        return "pip install" in error.message
    return True


def open_raw(data: bytes) -> Any:
    """Read a raw file's header.

    Returns:
        LibRaw's object; it must be closed.

    Raises:
        ImageError: "unsupported" where the decoder is not installed, "corrupt" where it refuses.
    """
    try:
        import rawpy
    except ImportError as error:
        raise ImageError(
            "unsupported", "camera raw needs a decoder that is not installed: pip install 'dgqa-infer[raw]'"
        ) from error
    try:
        return rawpy.imread(io.BytesIO(data))
    except Exception as error:
        raise _failed(error, "read") from error


def preview(raw: Any) -> tuple[bytes, int] | None:
    """The JPEG that the camera embedded, if it has at least half the raw picture's width.

    Returns:
        The JPEG file, and the EXIF orientation for one that does not say its own; or None.
    """
    import rawpy
    from PIL import Image

    try:
        thumbnail = raw.extract_thumb()
        if thumbnail.format != rawpy.ThumbFormat.JPEG:
            return None
        with Image.open(io.BytesIO(thumbnail.data), formats=["JPEG"]) as header:
            large = max(header.size) * 2 >= max(raw.sizes.width, raw.sizes.height)
    except Exception:
        # No preview, or a damaged one: the raw data itself is still there.
        return None
    return (bytes(thumbnail.data), _ORIENTATIONS.get(raw.sizes.flip, 1)) if large else None


def develop(raw: Any) -> Pixels:
    """Develop a raw picture at half its size, as the camera balanced it.

    Returns:
        uint8 [height, width, 3], sRGB, upright.

    Raises:
        ImageError: "corrupt" where LibRaw fails.
    """
    try:
        return np.ascontiguousarray(raw.postprocess(half_size=True, use_camera_wb=True, output_bps=8))
    except Exception as error:
        raise _failed(error, "develop") from error


def _directory(data: bytes, order: str, at: int) -> tuple[dict[int, int], list[int]]:
    """Tag → value or offset, of a TIFF file's directory; and where directories within it are.

    Empty where it cannot be read.
    """
    tags: dict[int, int] = {}
    within: list[int] = []
    try:
        (count,) = struct.unpack_from(f"{order}H", data, at)
        for index in range(min(count, _MAX_ENTRIES)):
            tag, kind, length, value = struct.unpack_from(f"{order}HHI4s", data, at + 2 + 12 * index)
            short = kind == 3
            (tags[tag],) = struct.unpack_from(f"{order}{'H' if short else 'I'}", value)
            if tag == _SUB_IFDS and kind in _OFFSETS:
                length = min(length, _MAX_DIRECTORIES)
                within = (
                    [tags[tag]]
                    if length == 1
                    else list(struct.unpack_from(f"{order}{length}I", data, tags[tag]))
                )
    except struct.error:
        pass
    return tags, within


def _failed(error: Exception, what: str) -> ImageError:
    """What LibRaw says, in words; what it does not know is no damage."""
    name = type(error).__name__
    if "Memory" in name or isinstance(error, MemoryError):
        return ImageError("too_large", "decoding it needs more memory than there is")
    if any(word in name for word in _NOT_KNOWN):
        return ImageError("unsupported", f"LibRaw does not {what} this kind of raw file")
    return ImageError("corrupt", f"LibRaw cannot {what} it: the file is damaged")
