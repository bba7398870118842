"""JPEG 2000: samples that Pillow would misread, and a colour profile that it does not read.

Pillow rounds colours of more than 8 bits up and lets what is above white begin at black again. Those are read
by imagecodecs, and made 8-bit here. Markers and boxes: ISO/IEC 15444-1, annexes A and I.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from dgqa_infer.errors import ImageError
from dgqa_infer.images.decoders import pillow
from dgqa_infer.images.decoders.boxes import boxes

_START = b"\xff\x4f\xff\x51"
_COUNT, _COMPONENTS = 40, 42  # in the codestream: how many components there are, and three bytes of each
_SIGNED = 0x80
_MOST_BITS = 16
_HEADER, _CODESTREAM, _COLOURS = b"jp2h", b"jp2c", b"colr"
_ENUMERATED, _PROFILES = 1, (2, 3)
# What the decoder makes RGB of, or grey, or CMYK: sRGB, grey, sYCC and CMYK.
_KNOWN_COLOURS = (16, 17, 18, 12)


def samples(data: bytes, image: Image.Image) -> Image.Image | None:
    """The picture, decoded, where Pillow would misread its samples.

    Args:
        data: the file.
        image: its header, as Pillow reads it.

    Returns:
        8 bits a sample, in the header's mode; None where Pillow reads it rightly.

    Raises:
        ImageError: it is damaged; "unsupported" for more than 16 bits, or where the decoder is not installed.
    """
    components = _components(data)
    deepest = max((bits for bits, _ in components), default=0)
    if deepest > _MOST_BITS:
        raise ImageError("unsupported", f"{deepest}-bit samples have no defined white")
    if deepest <= 8 or image.mode == "I;16":
        return None
    try:
        from imagecodecs import jpeg2k_decode
    except ImportError as error:
        raise ImageError(
            "unsupported",
            f"JPEG 2000 of {deepest} bits needs a decoder that is not installed: "
            "pip install 'dgqa-infer[tiff]'",
        ) from error
    with pillow.translated("JPEG 2000"):
        decoded = jpeg2k_decode(data, numthreads=1)
    count = len(image.getbands())
    if len(components) != count or decoded.shape != (image.height, image.width, count):
        raise ImageError(
            "unsupported", "this kind of JPEG 2000 is not decoded: its components differ in kind"
        )
    result = np.empty(decoded.shape, np.uint8)
    for index, (bits, signed) in enumerate(components):
        component = decoded[..., index].astype(np.int32) + ((1 << (bits - 1)) if signed else 0)
        result[..., index] = component >> (bits - 8) if bits >= 8 else component * 255 // ((1 << bits) - 1)
    found = Image.fromarray(result, image.mode)
    found.info = image.info
    return found


def profile(data: bytes) -> bytes | None:
    """The embedded colour profile; None where there is none."""
    return next((content[3:] for content in _colours(data) if content[0] in _PROFILES), None)


def is_known(data: bytes) -> bool:
    """Whether the file's colours are ones that the decoder knows, or has a profile of, or are not stated."""
    stated = _colours(data)
    return not stated or any(
        content[0] in _PROFILES
        or (content[0] == _ENUMERATED and int.from_bytes(content[3:7], "big") in _KNOWN_COLOURS)
        for content in stated
    )


def _colours(data: bytes) -> list[bytes]:
    """What the file says of its colours, in its own order."""
    found = []
    for kind, at, end in boxes(data):
        if kind == _HEADER:
            found = [data[start:stop] for inner, start, stop in boxes(data, at, end) if inner == _COLOURS]
    return [content for content in found if len(content) > 3]


def _components(data: bytes) -> list[tuple[int, bool]]:
    """Bits of each component, and whether it is signed; none where no header is found."""
    at = (
        0
        if data.startswith(_START)
        else next((at for kind, at, _ in boxes(data) if kind == _CODESTREAM), None)
    )
    if at is None or not data.startswith(_START, at):
        return []
    count = int.from_bytes(data[at + _COUNT : at + _COUNT + 2], "big")
    depths = data[at + _COMPONENTS : at + _COMPONENTS + 3 * count : 3]
    return [((depth & ~_SIGNED) + 1, bool(depth & _SIGNED)) for depth in depths]
