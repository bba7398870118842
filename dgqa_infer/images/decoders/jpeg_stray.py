"""Stray bytes between a JPEG's last scan and its end marker, told from coded data that was damaged.

Some encoders put bytes there; every pixel is decoded by then, so they change none. Damage within the coded
data can look the same: a decoder that lost its place is through before the data is. Two things tell them
apart. An encoder fills the last byte of its data with ones (ITU-T T.81, F.1.2.3), and a decoder that lost its
place stops in the middle of a byte, as chance has it. And what damage leaves over are blocks: read on, they
end with the data, to the bit, which bytes from elsewhere hardly ever do. Blocks of progressive files are not
read; of those, only text and runs of one value are taken for stray bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from dgqa_infer.images.arrays import Pixels
from dgqa_infer.images.decoders.jpeg_segments import end_of_scan, next_marker

Decode = Callable[[bytes], Pixels]
"""Decodes strictly: raises a ValueError that says what libjpeg warns of."""

_EXTRANEOUS: Final = "extraneous bytes before marker 0xd9"
_PREMATURE: Final = "premature end of data segment"
_SEQUENTIAL, _DHT, _SOS, _EOI = (0xC0, 0xC1), 0xC4, 0xDA, 0xD9
_MOST_BYTES: Final = 1 << 16  # that are read on as blocks, in Python
_FEW: Final = 4
_LAST: Final = 63
_SKIP_16: Final = 0xF0
Table = dict[tuple[int, int], int]
"""Length and code → symbol."""


@dataclass(frozen=True, slots=True)
class _Scan:
    """The last scan.

    Attributes:
        start: where its coded data begins.
        end: where it ends.
        blocks: the tables (DC, AC) of each block of an MCU; none of a progressive file.
    """

    start: int
    end: int
    blocks: tuple[tuple[Table, Table], ...]


def without_stray_bytes(data: bytes, decode: Decode) -> bytes | None:
    """Cut off the stray bytes before the end marker.

    Args:
        data: a JPEG file that ends in its end marker.
        decode: decodes it.

    Returns:
        The file without them; None where there are none, or the coded data is damaged, or none can say.
    """
    if _warning(data, decode) != "extraneous" or (scan := _last_scan(data)) is None:
        return None
    length = _needed(data, scan, decode)
    if scan.end - scan.start - length > _MOST_BYTES:
        return None
    short = data[: scan.start + length] + data[scan.end :]
    if _warning(short, decode) is not None:
        return None
    over = data[scan.start + length : scan.end].replace(b"\xff\0", b"\xff")
    if _is_text_or_a_run(over):
        return short
    if not scan.blocks:
        return None
    free = _unused_bits(data, scan.start + length, decode)
    last = data[scan.start : scan.start + length].replace(b"\xff\0", b"\xff")[-1:]
    fill = (1 << free) - 1
    if not last or last[0] & fill != fill:
        return None
    bits = "1" * free + "".join(f"{byte:08b}" for byte in over)
    return None if _ends_as_blocks_do(bits, scan.blocks) else short


def _is_text_or_a_run(data: bytes) -> bool:
    """Whether bytes are what coded data hardly ever is: four or more characters, or all of one value."""
    return len(data) >= _FEW and (len(set(data)) == 1 or (data.isascii() and data.decode().isprintable()))


def _warning(data: bytes, decode: Decode) -> Literal["extraneous", "premature", "other"] | None:
    try:
        decode(data)
    except ValueError as error:
        text = str(error)
        return "extraneous" if _EXTRANEOUS in text else "premature" if _PREMATURE in text else "other"
    return None


def _last_scan(data: bytes) -> _Scan | None:
    tables: dict[int, Table] = {}
    sampling: dict[int, int] = {}
    found, at = None, 2
    while (marker := next_marker(data, at)) is not None and marker[0] != _EOI:
        kind, at = marker
        length = int.from_bytes(data[at : at + 2], "big")
        body, at = data[at + 2 : at + length], at + length
        try:
            if kind in _SEQUENTIAL:
                parts = [body[6 + 3 * each : 9 + 3 * each] for each in range(body[5])]
                sampling = {name: (factors >> 4) * (factors & 15) for name, factors, _ in parts}
            elif kind == _DHT:
                tables |= _huffman(body)
            elif kind == _SOS:
                end = end_of_scan(data, at)
                blocks = _blocks_of_a_unit(body, sampling, tables) if sampling else ()
                found, at = _Scan(at, end, blocks), end
        except (IndexError, KeyError, ValueError):
            return None
    return found


def _blocks_of_a_unit(
    header: bytes, sampling: dict[int, int], tables: dict[int, Table]
) -> tuple[tuple[Table, Table], ...]:
    found: list[tuple[Table, Table]] = []
    for component, chosen in zip(header[1 : 1 + 2 * header[0] : 2], header[2::2], strict=False):
        # A component on its own has one block a unit, however it is sampled.
        count = sampling[component] if header[0] > 1 else 1
        found += [(tables[chosen >> 4], tables[16 + (chosen & 15)])] * count
    return tuple(found)


def _huffman(body: bytes) -> dict[int, Table]:
    """The tables of a DHT segment: class × 16 + number → table (T.81, C.2)."""
    found, at = {}, 0
    while at < len(body):
        number, lengths = body[at], body[at + 1 : at + 17]
        at += 17
        table: Table = {}
        code = 0
        for length, count in enumerate(lengths, 1):
            for _ in range(count):
                table[length, code] = body[at]
                at += 1
                code += 1
            code <<= 1
        found[number] = table
    return found


def _needed(data: bytes, scan: _Scan, decode: Decode) -> int:
    """How many bytes of the last scan's coded data a decoder needs."""
    coded, end = data[scan.start : scan.end], data[scan.end :]

    def enough(length: int) -> bool:
        return _warning(data[: scan.start] + coded[:length] + end, decode) != "premature"

    step, high = 8, len(coded)
    while (low := max(0, high - step)) and enough(low):
        high, step = low, 2 * step
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    # FF 00 is one byte of the data.
    return high + 1 if coded[high - 1 : high + 1] == b"\xff\0" else high


def _unused_bits(data: bytes, end: int, decode: Decode) -> int:
    """How many of the last byte's low bits change no pixel, of coded data that ends here."""
    last = end - 2 if data[end - 2 : end] == b"\xff\0" else end - 1
    pixels = decode(data[:end] + b"\xff\xd9")
    for bits in range(1, 8):
        byte = data[last] ^ ((1 << bits) - 1)
        changed = data[:last] + bytes([byte]) + (b"\0" if byte == 0xFF else b"") + b"\xff\xd9"
        try:
            if (decode(changed) != pixels).any():
                return bits - 1
        except ValueError:
            return bits - 1
    return 7


def _ends_as_blocks_do(bits: str, blocks: tuple[tuple[Table, Table], ...]) -> bool:
    """Whether bits, read as blocks, end within a byte of a block's end, filled up with ones."""
    at, number = 0, 0
    while True:
        if len(bits) - at < 8 and "0" not in bits[at:]:
            return True
        found = _block(bits, at, *blocks[number % len(blocks)])
        if found is None:
            return False
        at, number = found, number + 1


def _block(bits: str, at: int, dc: Table, ac: Table) -> int | None:
    """Where the block that begins here ends; None if the bits end before it or are no block."""
    if (symbol := _symbol(bits, at, dc)) is None:
        return None
    at, coefficient = symbol[1] + symbol[0], 1
    while coefficient <= _LAST:
        if (symbol := _symbol(bits, at, ac)) is None:
            return None
        value, at = symbol
        if value == 0:
            break
        coefficient += 16 if value == _SKIP_16 else (value >> 4) + 1
        at += value & 15
    return at if at <= len(bits) and coefficient <= _LAST + 1 else None


def _symbol(bits: str, at: int, table: Table) -> tuple[int, int] | None:
    """The symbol whose code begins here, and where the code ends."""
    for length in range(1, 17):
        code = bits[at : at + length]
        if len(code) < length:
            return None
        if (value := table.get((length, int(code, 2)))) is not None:
            return value, at + length
    return None
