"""Which line of a log counts: a log that was continued may have several rows of one input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO


def last_lines(file: BinaryIO, key: Callable[[int, bytes], int | None]) -> Iterator[tuple[int, bytes]]:
    """The last line of each input in a log, in the place of its first.

    Args:
        file: can be sought in; read from its beginning, twice.
        key: of the input that a line is of, by the line's number and bytes; None for a line that is left out.

    Yields:
        The number of the line, from 1, and the line.
    """
    last: dict[int, tuple[int, int]] = {}
    file.seek(at := 0)
    for number, line in enumerate(file, 1):
        if (input_ := key(number, line)) is not None:
            last[input_] = number, at
        at += len(line)
    file.seek(0)
    number = 0
    while line := file.readline():
        number += 1
        if (input_ := key(number, line)) is None or (found := last.pop(input_, None)) is None:
            continue
        if found[0] == number:
            yield number, line
            continue
        at = file.tell()
        file.seek(found[1])
        yield found[0], file.readline()
        file.seek(at)
