"""Comma-separated values, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from types import TracebackType
from typing import Any, BinaryIO, Self

from dgqa_infer.outputs.columns import COLUMNS, encodable, flatten
from dgqa_infer.results import Row

# A cell that begins like this is a formula to a spreadsheet, and formulas can run programs.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_LINE_END = "\r\n"


class CsvSink:
    """Writes the header at once and each row as it comes, in UTF-8."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._write(COLUMNS)

    def write(self, row: Row) -> None:
        """Write one row."""
        self._write([_cell(value) for value in flatten(row).values()])

    def _write(self, cells: Any) -> None:
        line = io.StringIO(newline="")
        # With this line end the writer also quotes cells that hold half of it; what is written is a lone one.
        csv.writer(line, lineterminator=_LINE_END).writerow(cells)
        self._stream.write(line.getvalue().removesuffix(_LINE_END).encode() + b"\n")
        self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        value = "; ".join(
            f"{item['name']} {item['probability']}" if isinstance(item, dict) else str(item) for item in value
        )
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return value
    text = encodable(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
