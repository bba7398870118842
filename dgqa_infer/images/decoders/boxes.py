"""Boxes, of which JPEG 2000 and JPEG XL files are made: length, kind, content. ISO/IEC 15444-1, annex I."""

from __future__ import annotations

from collections.abc import Iterator

_MAX_BOXES = 64


def boxes(data: bytes, at: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """The boxes in a file or in a box, as far as their lengths make sense.

    Args:
        data: the file.
        at: where the first one begins.
        end: where the last one ends; None for the end of the file.

    Yields:
        Kind, and where the content begins and ends.
    """
    end = len(data) if end is None else end
    for _ in range(_MAX_BOXES):
        body = at + 8
        if body > end:
            return
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if length == 1:
            length, body = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        following = at + length if length else end
        if following < body:
            return
        yield kind, body, min(following, end)
        at = following
