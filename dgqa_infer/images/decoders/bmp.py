"""The colour profile of a BMP file, which Pillow does not read. BITMAPV5HEADER of Windows' GDI."""

from __future__ import annotations

_FILE_HEADER, _V5 = 14, 124
_COLOUR_SPACE, _PROFILE_AT, _PROFILE_BYTES = _FILE_HEADER + 56, _FILE_HEADER + 112, _FILE_HEADER + 116
_EMBEDDED = b"DEBM"  # PROFILE_EMBEDDED, "MBED" as a number whose first byte comes last


def profile(data: bytes) -> bytes | None:
    """The embedded colour profile; None where there is none."""
    if _number(data, _FILE_HEADER) != _V5 or data[_COLOUR_SPACE : _COLOUR_SPACE + 4] != _EMBEDDED:
        return None
    at = _FILE_HEADER + _number(data, _PROFILE_AT)
    return data[at : at + _number(data, _PROFILE_BYTES)]


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")
