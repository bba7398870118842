"""Rows read back: what `score` wrote as JSONL, CSV or Parquet, as the rows that they were.

A log that was continued may have several rows of one input; the last one counts, in the place of the first.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from dgqa_infer import system
from dgqa_infer.errors import UsageError
from dgqa_infer.outputs.columns import ATTRIBUTES, INTEGERS, NONE_FOUND, NUMBERS, probability_column
from dgqa_infer.outputs.csv import unguard
from dgqa_infer.outputs.last_lines import last_lines

STDIN: Final = "-"
Numbered = Iterator[tuple[int, dict[str, Any]]]

_ESCAPED = re.compile(r"\\u(dc[89a-f][0-9a-f])")
_PROBABILITY, _SEVERITY = probability_column(""), " (severity "


def read_rows(name: str, warn: Callable[[str], None] = lambda _: None) -> Numbered:
    """The rows in a file, with the numbers of their lines, from 1.

    Args:
        name: of a file that ends in .csv, .parquet or anything else, which is JSONL; "-" is JSONL on stdin.
        warn: called with a sentence where the last line is not whole: the end of a run that was killed.

    Raises:
        UsageError: it cannot be read, or a line is not JSON.
    """
    suffix = Path(name).suffix.lower()
    if suffix == ".parquet":
        yield from _parquet(name)
        return
    with _opened(name) as file:
        if suffix == ".csv":
            yield from _csv(file, name)
            return
        yield from _jsonl(file, name, warn)


def _key(row: Any, number: int) -> int:
    # Python's hashes instead of the names: a million rows take some tens of MB.
    try:
        return hash((row["path"], row["model"]))
    except (KeyError, TypeError):
        return hash((number,))  # not a row of ours; whoever reads it says so


def _jsonl(file: BinaryIO, name: str, warn: Callable[[str], None]) -> Numbered:
    torn = False

    def key(number: int, line: bytes) -> int | None:
        nonlocal torn
        try:
            return _key(json.loads(line), number)
        except (ValueError, RecursionError) as error:
            if line.endswith(b"\n"):
                raise UsageError(f"{name}: line {number} is not JSON ({error})") from error
            if not torn:
                warn(f"the last line of {name} is not whole and is left out: its run was broken off")
            torn = True
            return None

    for number, line in last_lines(file, key):
        yield number, json.loads(line)


def _csv(file: BinaryIO, name: str) -> Numbered:
    with io.TextIOWrapper(file, "utf-8", newline="") as text:
        reader = csv.DictReader(text)
        try:
            for flat in reader:
                yield reader.line_num, _row({key: _cell(key, cell) for key, cell in flat.items() if key})
        except (ValueError, csv.Error) as error:
            raise UsageError(f"{name}: line {reader.line_num} is not a row of `score`: {error}") from error


def _cell(column: str, text: str | None) -> Any:
    if text is None or text == "":
        return None
    if column in INTEGERS:
        return int(text)
    if column in NUMBERS:
        return float(text)
    text = unguard(text)
    if column in ("warnings", "verdict_reasons"):
        return text.split("; ")
    if column == "distortions":
        return [] if text == NONE_FOUND else [_distortion(each) for each in text.split("; ")]
    if column.startswith(_PROBABILITY):
        return float(text)
    return text == "true" if column == "within_tolerance" else text


def _distortion(text: str) -> dict[str, Any]:
    """ "motion blur 0.61", perhaps with " (severity 2.1)"."""
    words, _, severity = text.partition(_SEVERITY)
    name, _, share = words.rpartition(" ")
    found: dict[str, Any] = {"name": name, "probability": float(share)}
    return found | ({"severity": float(severity.rstrip(")"))} if severity else {})


def _parquet(name: str) -> Numbered:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UsageError("Parquet needs pyarrow: pip install 'dgqa-infer[parquet]'") from error
    try:
        number = 0
        with parquet.ParquetFile(name) as file:
            for batch in file.iter_batches():
                for flat in batch.to_pylist():
                    number += 1
                    yield number, _row(flat)
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror or error}") from error
    except pyarrow.ArrowException as error:
        raise UsageError(f"{name} is not Parquet: {error}") from error


def _row(flat: dict[str, Any]) -> dict[str, Any]:
    """The row that `dgqa_infer.outputs.columns.flatten` made these columns of."""
    row = {name: value for name, value in flat.items() if value is not None}
    row["path"] = (
        _ESCAPED.sub(lambda match: chr(int(match[1], 16)), str(row["path"])) if "path" in row else None
    )
    if attributes := {name: row.pop(name) for name in ATTRIBUTES if name in row}:
        row["attributes"] = attributes
    for found in row.get("distortions") or ():
        if found.get("severity", 0) is None:
            del found["severity"]
    # The columns of probabilities do not say their classes' names as they were; rows are read without them.
    for name in [name for name in row if name.startswith(_PROBABILITY)]:
        del row[name]
    code, message = row.pop("error_code", None), row.pop("error_message", None)
    verdict, reasons = row.pop("verdict", None), row.pop("verdict_reasons", None)
    close = row.pop("within_tolerance", False)
    if code is not None:
        row["error"] = {"code": code, "message": message or code}
    else:
        row.setdefault("warnings", [])
    if verdict is not None:
        row["gate"] = {"passed": verdict == "passed", "reasons": reasons or [], "within_tolerance": close}
    return row


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    """The file, to be read twice."""
    if name == STDIN:
        with system.scratch_file() as spooled:
            try:
                shutil.copyfileobj(sys.stdin.buffer, spooled)
            except OSError as error:
                raise UsageError(f"stdin cannot be read: {error.strerror or error}") from error
            spooled.seek(0)
            yield cast(BinaryIO, spooled)
        return
    try:
        file = Path(name).open("rb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}") from error
    with file:
        yield file
