"""Comma-separated values, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import Any, BinaryIO, Self

from dgqa_infer.outputs.columns import COLUMNS, NONE_FOUND, encodable, flatten, probability_column
from dgqa_infer.results import DistortionRow, Row

# A cell that begins like this is a formula to some spreadsheet, and formulas can run programs: also behind
# space, and with the wide characters of East Asian keyboards.
_FORMULA = re.compile("'*([\\s\ufeff]*[=+\\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n])")
_LINE_END = "\r\n"


class CsvSink:
    """Writes the header at once and each row as it comes, in UTF-8."""

    def __init__(self, stream: BinaryIO, classes: Sequence[str] = ()) -> None:
        self._stream = stream
        self._classes = classes
        self._write([*COLUMNS, *map(probability_column, classes)])

    def write(self, row: Row) -> None:
        """Write one row."""
        flat = flatten(row, self._classes)
        if (found := flat["distortions"]) is not None:
            flat["distortions"] = "; ".join(map(_distortion, found)) or NONE_FOUND
        self._write([_cell(value) for value in flat.values()])

    def _write(self, cells: Any) -> None:
        line = io.StringIO(newline="")
        # With this line end the writer also quotes cells that hold half of it; what is written is a lone one.
        csv.writer(line, lineterminator=_LINE_END).writerow(cells)
        self._stream.write(line.getvalue().removesuffix(_LINE_END).encode() + b"\n")
        self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def guard(text: str) -> str:
    """A cell's text that no spreadsheet takes for a formula: such a one begins with an apostrophe more."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguard(cell: str) -> str:
    """The text that `guard` made a cell of."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _distortion(found: DistortionRow) -> str:
    told = f"{found['name']} {found['probability']}"
    return f"{told} (severity {found['severity']})" if "severity" in found else told


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        value = "; ".join(map(str, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return value
    text = encodable(value)
    return guard(text)
