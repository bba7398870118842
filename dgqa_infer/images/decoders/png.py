"""PNG files: what pixels depend on must be sound; the rest is read here, or left out.

Pillow refuses a photograph for a wrong checksum in a comment, for much text, and for a colour profile above
1 MB. So it is given the chunks that pixels depend on, and metadata that is sound and small. Chunks and their
lengths: PNG (third edition), section 11.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

from dgqa_infer.errors import ImageError

_SIGNATURE_BYTES = 8
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_LENGTHS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9, b"tIME": 7, b"cICP": 4, b"acTL": 8, b"fcTL": 26}
_GREY, _RGB, _PALETTE = 0, 2, 3
_TRANSPARENCY_BYTES = {_GREY: 2, _RGB: 6}
_MOST_TEXT = 100_000
# Text that may hold an orientation.
_EXIF_TEXT = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0", b"Raw profile type APP1\0")
_SRGB_GAMMA = 1 / 2.2
_GAMMA_TOLERANCE = 0.02
# White, red, green and blue of sRGB (ITU-R BT.709), in units of 1/100,000.
_SRGB_CHROMATICITIES = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
_CHROMATICITY_TOLERANCE = 1000
_SRGB_CODE_POINTS = (1, 13)


@dataclass(slots=True)
class Contents:
    """A PNG file as it is decoded.

    Attributes:
        data: a PNG file of what pixels and orientation depend on.
        profile: its colour profile; None without one.
        gamma: the exponent by which samples were made of light, where it is not sRGB's; None where it is.
        more: whether there are other pictures than the first.
        warnings: stable words, as in `Photograph`.
    """

    data: bytes
    profile: bytes | None = None
    gamma: float | None = None
    more: bool = False
    warnings: list[str] = field(default_factory=list)


def read(data: bytes, profile_bytes: int) -> Contents:
    """Verify the chunks that pixels depend on, and read what else matters.

    Args:
        data: a PNG file, signature included.
        profile_bytes: a colour profile longer than this is not used.

    Raises:
        ImageError: "corrupt" for a wrong checksum, "truncated" for a file that ends within a chunk of pixels,
            "unsupported" for a chunk that no decoder may pass over and that is not known.
    """
    view = memoryview(data)
    at = _SIGNATURE_BYTES
    parts: list[memoryview | bytes] = [view[:at]]
    known: dict[bytes, memoryview] = {}
    has_pixels = damaged = False
    while at + 8 <= len(view):
        length = int.from_bytes(view[at : at + 4], "big")
        kind = bytes(view[at + 4 : at + 8])
        end = at + 12 + length
        sound = end <= len(view) and zlib.crc32(view[at + 4 : end - 4]) == int.from_bytes(
            view[end - 4 : end], "big"
        )
        body = view[at + 8 : end - 4]
        # A lower-case first letter marks what a decoder may do without.
        if kind[:1].isupper():
            _check_critical(kind, end - len(view), sound)
            parts.append(view[at:end])
        elif sound and kind == b"iCCP" and not has_pixels:
            known.setdefault(kind, body)
        elif kind == b"iCCP":
            known[kind] = body[:0]
        elif not sound or length != _LENGTHS.get(kind, length) or not _fits(kind, length, known):
            damaged = True
        elif kind in _LENGTHS:
            known.setdefault(kind, body)
        elif kind == b"tRNS":
            parts.append(_transparency(view[at:end], known))
        elif _may_turn(kind, body):
            parts.append(view[at:end])
        if kind == b"IHDR":
            known[kind] = body
        has_pixels |= kind == b"IDAT"
        at = end
        if kind == b"IEND":
            break
    if not has_pixels:
        raise ImageError("truncated", "the file ends before its image data begins")
    found = Contents(b"".join(parts), more=int.from_bytes(known.get(b"acTL", b"")[:4], "big") > 1)
    if damaged:
        found.warnings.append("metadata_ignored")
    _read_colours(found, known, profile_bytes)
    return found


def _check_critical(kind: bytes, missing: int, sound: bool) -> None:
    name = f"{kind.decode('ascii', 'backslashreplace')} chunk"
    if missing > 0:
        raise ImageError("truncated", f"the file ends {missing:,} bytes before its {name} does")
    if not sound:
        raise ImageError("corrupt", f"the checksum of its {name} is wrong")
    if kind not in _CRITICAL:
        raise ImageError("unsupported", f"this kind of PNG is not decoded: it needs a {name}")


def _fits(kind: bytes, length: int, known: dict[bytes, memoryview]) -> bool:
    """Whether transparency has a length that the colours can have."""
    if kind != b"tRNS" or len(known.get(b"IHDR", b"")) < 10:
        return True
    colour = known[b"IHDR"][9]
    return 0 < length <= 256 if colour == _PALETTE else length == _TRANSPARENCY_BYTES.get(colour, -1)


def _transparency(chunk: memoryview, known: dict[bytes, memoryview]) -> memoryview | bytes:
    """A chunk that says which sample is transparent, in the 8 bits that Pillow compares it in."""
    depth, colour = bytes(known.get(b"IHDR", b""))[8:10] or (0, 0)
    if colour == _GREY and depth in (2, 4):
        most = (1 << depth) - 1
        samples = [(chunk[9] & most) * 255 // most]
    elif colour == _RGB and depth == 16:
        samples = [*chunk[8:14:2]]
    else:
        return chunk
    content = b"tRNS" + b"".join(sample.to_bytes(2, "big") for sample in samples)
    return (2 * len(samples)).to_bytes(4, "big") + content + zlib.crc32(content).to_bytes(4, "big")


def _may_turn(kind: bytes, body: memoryview) -> bool:
    """Whether metadata may hold an orientation, and Pillow can take it."""
    if kind == b"eXIf":
        return True
    if kind not in (b"tEXt", b"zTXt", b"iTXt") or not bytes(body[:40]).startswith(_EXIF_TEXT):
        return False
    if kind == b"tEXt":
        return len(body) < _MOST_TEXT
    try:
        if kind == b"zTXt":
            start = bytes(body[:40]).index(b"\0") + 2
        else:
            name = bytes(body[:40]).index(b"\0")
            if not body[name + 1]:
                return len(body) < _MOST_TEXT
            start = bytes(body[:200]).index(b"\0", bytes(body[:200]).index(b"\0", name + 3) + 1) + 1
        return len(zlib.decompressobj().decompress(body[start:], _MOST_TEXT)) < _MOST_TEXT
    except (zlib.error, ValueError, IndexError):
        return False


def _read_colours(found: Contents, known: dict[bytes, memoryview], limit: int) -> None:
    """What the file says of its colours, the strongest word first: cICP, iCCP, sRGB, gAMA and cHRM."""
    if (body := known.get(b"iCCP")) is not None:
        try:
            start = bytes(body[:81]).index(b"\0") + 2
            found.profile = zlib.decompressobj().decompress(body[start:], limit + 1)
        except (zlib.error, ValueError):
            found.profile = None
        if not found.profile:
            found.warnings.append("icc_profile_ignored")
            found.profile = None
        return
    if (body := known.get(b"cICP")) is not None:
        if (body[0], body[1]) != _SRGB_CODE_POINTS:
            found.warnings.append("colour_space_ignored")
        return
    if b"sRGB" in known:
        return
    if (body := known.get(b"cHRM")) is not None:
        values = (int.from_bytes(body[at : at + 4], "big") for at in range(0, 32, 4))
        pairs = zip(values, _SRGB_CHROMATICITIES, strict=True)
        if any(abs(value - wanted) > _CHROMATICITY_TOLERANCE for value, wanted in pairs):
            found.warnings.append("colour_space_ignored")
    if (body := known.get(b"gAMA")) is not None:
        gamma = int.from_bytes(body, "big") / 100_000
        if not 0.1 <= gamma <= 10:
            found.warnings.append("metadata_ignored")
        elif abs(gamma - _SRGB_GAMMA) > _GAMMA_TOLERANCE:
            found.gamma = gamma
