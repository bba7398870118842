"""PNG files whose checksums are wrong, which Pillow decodes without a word."""

from __future__ import annotations

import zlib

from dgqa_infer.errors import ImageError

_SIGNATURE_BYTES = 8


def check_chunks(data: bytes) -> None:
    """Verify the checksum of each chunk that pixels depend on.

    Args:
        data: a PNG file, signature included.

    Raises:
        ImageError: "corrupt" for a wrong checksum, "truncated" for a file that ends within a chunk of pixels.
    """
    view = memoryview(data)
    at = _SIGNATURE_BYTES
    has_pixels = False
    while at + 8 <= len(view):
        length = int.from_bytes(view[at : at + 4], "big")
        kind = bytes(view[at + 4 : at + 8])
        end = at + 12 + length
        # A lower-case first letter marks what a decoder may do without.
        if kind[:1].isupper():
            if end > len(view):
                missing = end - len(view)
                raise ImageError(
                    "truncated", f"the file ends {missing:,} bytes before its {_name(kind)} does"
                )
            wanted = int.from_bytes(view[end - 4 : end], "big")
            if zlib.crc32(view[at + 4 : end - 4]) != wanted:
                raise ImageError("corrupt", f"the checksum of its {_name(kind)} is wrong")
        has_pixels |= kind == b"IDAT"
        if kind == b"IEND":
            return
        at = end
    if not has_pixels:
        raise ImageError("truncated", "the file ends before its image data begins")


def _name(kind: bytes) -> str:
    return f"{kind.decode('ascii', 'backslashreplace')} chunk"
