"""A row a line, as JSON: the format that streams, and the log that a run is continued from."""

from __future__ import annotations

from typing import BinaryIO, Self

from dgqa_infer.results import Row
from dgqa_infer.text import as_json


def encode(row: Row) -> bytes:
    """A row as one line of UTF-8, as `dgqa_infer.text.as_json` escapes it."""
    return as_json(row).encode() + b"\n"


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
