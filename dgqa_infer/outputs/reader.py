"""Rows read back: what `score` wrote as JSONL, CSV or Parquet, as the rows that they were.

A log that was continued may have several rows of one input; the last one counts, in the place of the first.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from dgqa_infer import system
from dgqa_infer.errors import UsageError
from dgqa_infer.inputs.formats import HEAD_BYTES, sniff
from dgqa_infer.outputs.columns import ATTRIBUTES, INTEGERS, NONE_FOUND, NUMBERS, probability_column
from dgqa_infer.outputs.csv import unguard
from dgqa_infer.outputs.last_lines import last_lines

STDIN: Final = "-"
Numbered = Iterator[tuple[int, dict[str, Any]]]

# What editors, spreadsheets and shells of Windows begin a file with; a decoder takes it away.
_MARKS: Final = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_MADE_BY: Final = "`dgqa-infer score PHOTOS -o rows.jsonl` writes rows"
_NOT_IN_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_BLOCK: Final = 1 << 20
_ESCAPED = re.compile(r"\\u(dc[89a-f][0-9a-f])")
_PROBABILITY, _SEVERITY = probability_column(""), " (severity "


def read_rows(name: str, warn: Callable[[str], None] = lambda _: None) -> Numbered:
    """The rows in a file, with the numbers of their lines, from 1.

    Args:
        name: of a file that ends in .csv, .parquet or anything else, which is JSONL; "-" is JSONL on stdin.
        warn: called with a sentence where the last line is not whole: the end of a run that was killed.

    Raises:
        UsageError: it cannot be read, is a folder, a picture or another binary file, or a line is not JSON.
    """
    if name != STDIN and Path(name).is_dir():
        raise UsageError(
            f"{name} is a folder, not a file of rows; {_MADE_BY.replace('PHOTOS', shlex.quote(name))}"
        )
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
        if not line.strip():
            return None
        try:
            return _key(json.loads(line), number)
        except (ValueError, RecursionError) as error:
            if line.endswith(b"\n"):
                raise UsageError(f"{name}: line {number} is not JSON ({error}); {_MADE_BY}") from error
            if not torn:
                warn(f"the last line of {name} is not whole and is left out: its run was broken off")
            torn = True
            return None

    for number, line in last_lines(file, key):
        yield number, json.loads(line)


def _csv(file: BinaryIO, name: str) -> Numbered:
    line = 1
    with io.TextIOWrapper(file, "utf-8", newline="") as text:
        try:
            header = text.readline()
            # Spreadsheets of some languages put semicolons between cells, and commas into numbers.
            delimiter = ";" if header.count(";") > header.count(",") else ","
            reader = csv.DictReader(chain([header], text), delimiter=delimiter)
            for flat in reader:
                line = reader.line_num
                yield line, _row({key: _cell(key, cell) for key, cell in flat.items() if key})
        except UnicodeError as error:
            raise UsageError(f"{name} is not UTF-8: save it as UTF-8 ({error})") from error
        except (ValueError, csv.Error) as error:
            raise UsageError(f"{name}: line {line} is not a row of `score`: {error}") from error


def _cell(column: str, text: str | None) -> Any:
    if text is None or text == "":
        return None
    if column in INTEGERS:
        return int(text)
    if column in NUMBERS:
        return float(text.replace(",", "."))
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
    """The file in UTF-8, to be read twice: what is a pipe, or in another encoding, is read into one first."""
    said = "stdin" if name == STDIN else name
    with ExitStack() as stack:
        try:
            file = cast(BinaryIO, sys.stdin.buffer) if name == STDIN else _open(stack, name)
            if name == STDIN or not file.seekable():
                file = _spooled(stack, iter(partial(file.read, _BLOCK), b""))
            head = file.read(HEAD_BYTES)
            file.seek(0)
            encoding = next((encoding for mark, encoding in _MARKS.items() if head.startswith(mark)), None)
            if encoding is None and (kind := sniff(head)) is not None:
                raise UsageError(f"{said} is a {kind} picture, not a file of rows; {_MADE_BY}")
            if encoding is None and _NOT_IN_TEXT.search(head):
                raise UsageError(f"{said} is binary, not a file of rows; {_MADE_BY}")
            if encoding is not None:
                blocks = iter(partial(file.read, _BLOCK), b"")
                file = _spooled(stack, (text.encode() for text in codecs.iterdecode(blocks, encoding)))
        except OSError as error:
            raise UsageError(f"{said} cannot be read: {error.strerror or error}") from error
        except UnicodeError as error:
            raise UsageError(f"{said} begins as {encoding} and is not: {error}") from error
        yield file


def _open(stack: ExitStack, name: str) -> BinaryIO:
    return stack.enter_context(Path(name).open("rb"))


def _spooled(stack: ExitStack, blocks: Iterable[bytes]) -> BinaryIO:
    file = cast(BinaryIO, stack.enter_context(system.scratch_file()))
    file.writelines(blocks)
    file.seek(0)
    return file
