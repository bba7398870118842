"""What AVIF and HEIF files say of their colours where they have no profile."""

from __future__ import annotations

# A box for colours whose content is code points of ITU-T H.273: primaries, transfer and matrix.
_COLOUR_BOX = b"colrnclx"
_HEADER_BYTES = 65_536
_UNSPECIFIED = 2
_SRGB_PRIMARIES = (1, _UNSPECIFIED)
# BT.709 and its twins of BT.601 and BT.2020 are what cameras call sRGB; 13 is sRGB.
_SRGB_TRANSFERS = (1, 6, 13, 14, 15, _UNSPECIFIED)


def is_srgb(data: bytes) -> bool:
    """Whether a file without a profile is sRGB by its code points, or says nothing of its colours."""
    at = data.find(_COLOUR_BOX, 0, _HEADER_BYTES)
    if at < 0:
        return True
    at += len(_COLOUR_BOX)
    primaries = int.from_bytes(data[at : at + 2], "big")
    transfer = int.from_bytes(data[at + 2 : at + 4], "big")
    return primaries in _SRGB_PRIMARIES and transfer in _SRGB_TRANSFERS
