"""A row a line, as JSON: the format that streams, and the log that a run is continued from."""

from __future__ import annotations

import json
from typing import BinaryIO, Self

from dgqa_infer.results import Row


def encode(row: Row) -> bytes:
    """A row as one line of UTF-8.

    A name that is not UTF-8 is written with JSON's escapes: "\\udce9" is the byte 0xE9. In Python
    `os.fsencode(row["path"])` is the name again.
    """
    try:
        return json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(row, allow_nan=False).encode() + b"\n"


class JsonlSink:
    """Writes a row as soon as it comes."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, row: Row) -> None:
        """Write one row."""
        self._stream.write(encode(row))
        self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass
