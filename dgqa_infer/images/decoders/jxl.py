"""The size that a JPEG XL file announces: its decoder decodes all of it before it says so.

Containers and the header of the codestream: ISO/IEC 18181-2, section 9, and 18181-1, annex D.
"""

from __future__ import annotations

from dgqa_infer.images.decoders.boxes import boxes

_CODESTREAM = b"\xff\x0a"
_BOXES = {b"jxlc": 0, b"jxlp": 4}
# How many bits a length has, by its selector; it is counted from 1.
_LENGTH_BITS = (9, 13, 18, 30)
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


def size(data: bytes) -> tuple[int, int] | None:
    """Width and height, in pixels; None where no header is found."""
    at = _codestream(data)
    head = data[at + 2 : at + 18] if at is not None else b""
    if len(head) < 2:
        return None
    bits = _Bits(int.from_bytes(head, "little"))
    small = bits.take(1)
    height = _length(bits, small)
    ratio = bits.take(3)
    if ratio:
        across, down = _RATIOS[ratio - 1]
        return height * across // down, height
    return _length(bits, small), height


class _Bits:
    def __init__(self, value: int) -> None:
        self._value = value

    def take(self, count: int) -> int:
        found = self._value & ((1 << count) - 1)
        self._value >>= count
        return found


def _length(bits: _Bits, small: int) -> int:
    return 8 * (bits.take(5) + 1) if small else bits.take(_LENGTH_BITS[bits.take(2)]) + 1


def _codestream(data: bytes) -> int | None:
    if data.startswith(_CODESTREAM):
        return 0
    for kind, body, _ in boxes(data):
        if (skip := _BOXES.get(kind)) is not None:
            return body + skip if data[body + skip : body + skip + 2] == _CODESTREAM else None
    return None
