"""JPEG files that are odd between their pixels and sound within: written anew, so that decoders are content.

Missing end markers, stray bytes between segments and damaged metadata change no pixel. What is written here
has the same entropy-coded data; whether that is sound, a strict decoder says. Markers: ITU-T T.81, annex B.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_SOI, _EOI, _SOS, _DNL, _COM = 0xD8, 0xD9, 0xDA, 0xDC, 0xFE
_APP0, _APP1, _APP2, _APP14, _APP15 = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF
_BASELINE = (0xC0, 0xC1)
_PROGRESSIVE = (0xC2,)
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Tables, restart interval, hierarchical: what decoding depends on.
_NEEDED = _FRAMES | {0xC4, 0xCC, 0xDB, 0xDD, _DNL}
_STAND_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_ICC = b"ICC_PROFILE\0"
_COEFFICIENTS = 64
# What follows FF where it begins no marker: a stuffed byte, or a fill.
_FILL = (0x00, 0xFF)


@dataclass(slots=True)
class Rewritten:
    """A JPEG file without what is odd about it.

    Attributes:
        data: the file.
        had_end: whether it had an end marker.
        complete: whether its scans cover every coefficient of every component.
        lost_profile: whether it has parts of a colour profile, and not all.
    """

    data: bytes
    had_end: bool
    complete: bool
    lost_profile: bool


@dataclass(slots=True)
class _Walk:
    parts: list[bytes] = field(default_factory=lambda: [b"\xff\xd8"])
    profile: list[tuple[int, int, bytes]] = field(default_factory=list)
    profile_segments: int = 0
    frame: int = 0
    components: tuple[int, ...] = ()
    # How many bits each coefficient of each component still lacks; scans fill them.
    missing: dict[int, list[int]] = field(default_factory=dict)
    scans: int = 0


def rewrite(data: bytes, *, without_zeros: bool = False) -> Rewritten | None:
    """Write a JPEG file anew.

    Args:
        data: a JPEG file.
        without_zeros: take zeros at the end of entropy-coded data for stray bytes, which they may be.

    Returns:
        It, without stray bytes and damaged metadata, and with an end; None where no picture is found.
    """
    walk = _Walk()
    at, had_end = 2, False
    while (found := next_marker(data, at)) is not None:
        marker, at = found
        if marker == _EOI:
            had_end = True
            break
        if marker in _STAND_ALONE or marker == _SOI:
            continue
        length = int.from_bytes(data[at : at + 2], "big")
        if length < 2 or at + length > len(data):
            if marker in _NEEDED or marker == _SOS:
                break
            # The length of metadata is damaged: the next marker is looked for.
            at += 2
            continue
        body = data[at + 2 : at + length]
        at += length
        if marker == _SOS:
            end = end_of_scan(data, at)
            if not _add_scan(walk, body, _coded(data[at:end], without_zeros)):
                return None
            at = end
        else:
            _add_segment(walk, marker, body)
    if not walk.scans:
        return None
    lost = _add_profile(walk)
    complete = bool(walk.missing) and all(not any(bits) for bits in walk.missing.values())
    return Rewritten(b"".join([*walk.parts, b"\xff\xd9"]), had_end, complete, lost)


def next_marker(data: bytes, at: int) -> tuple[int, int] | None:
    """The next marker and where its segment begins; whatever lies before it is passed over."""
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        marker = data[at + 1]
        if marker not in _FILL and (marker >= 0xC0 or marker in _STAND_ALONE):
            return marker, at + 2
        at += 1
    return None


def end_of_scan(data: bytes, at: int) -> int:
    """Where entropy-coded data ends: at a marker that is no restart."""
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        following = data[at + 1]
        if following not in _FILL and following not in _STAND_ALONE:
            return at
        at += 1 if following == 0xFF else 2
    return len(data)


def _add_segment(walk: _Walk, marker: int, body: bytes) -> None:
    if marker in _FRAMES and not walk.frame and len(body) >= 6:
        walk.frame = marker
        walk.components = tuple(body[6 : 6 + 3 * body[5] : 3])
        walk.missing = {each: [1] * _COEFFICIENTS for each in walk.components}
    if marker == _APP2 and body.startswith(_ICC[:4]):
        walk.profile_segments += 1
        if body.startswith(_ICC) and len(body) > len(_ICC) + 2:
            walk.profile.append((body[12], body[13], body))
        return
    if marker in _NEEDED or _is_sound_metadata(marker, body):
        walk.parts.append(_segment(marker, body))


def _is_sound_metadata(marker: int, body: bytes) -> bool:
    """Whether metadata says how pixels are shown, and is whole."""
    if marker == _APP0:
        return body.startswith(b"JFIF\0") and len(body) >= 14
    if marker == _APP1:
        return body.startswith((b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"))
    return marker == _APP14 and body.startswith(b"Adobe") and len(body) >= 12


def _add_scan(walk: _Walk, header: bytes, coded: bytes) -> bool:
    count = header[0] if header else 0
    if len(header) != 4 + 2 * count or not count or not walk.frame:
        return False
    first, last, shift = header[-3], header[-2], header[-1]
    if walk.frame in _BASELINE:
        # T.81 leaves no choice here.
        first, last, shift = 0, 63, 0
        header = header[:-3] + bytes([first, last, shift])
    low = shift & 15
    for component in header[1 : 1 + 2 * count : 2]:
        bits = walk.missing.get(component)
        if bits is None or last >= _COEFFICIENTS:
            return False
        for index in range(first, last + 1):
            bits[index] = low if walk.frame in _PROGRESSIVE else 0
    walk.scans += 1
    walk.parts += [_segment(_SOS, header), coded]
    return True


def _coded(data: bytes, without_zeros: bool) -> bytes:
    """Entropy-coded data without the fill behind it; FF 00 is a byte of the data."""
    data = data.rstrip(b"\xff")
    if not without_zeros:
        return data
    short = data.rstrip(b"\0")
    return short + b"\0" if short.endswith(b"\xff") else short


def _add_profile(walk: _Walk) -> bool:
    """Put the colour profile in, if all of it is there; whether parts are missing."""
    if not walk.profile_segments:
        return False
    parts = sorted(walk.profile)
    numbers = [number for number, _, _ in parts]
    if numbers != list(range(1, len(parts) + 1)) or any(total != len(parts) for _, total, _ in parts):
        return True
    walk.parts[1:1] = [_segment(_APP2, body) for _, _, body in parts]
    return len(parts) != walk.profile_segments


def _segment(marker: int, body: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + (len(body) + 2).to_bytes(2, "big") + body
