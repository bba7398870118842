"""`dgqa-infer report`: a page that shows what a run found."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from dgqa_infer.cli._options import ModelOption, QuietOption
from dgqa_infer.cli._output import Output
from dgqa_infer.errors import OutputError, UsageError


def report(
    rows: Annotated[str, typer.Argument(metavar="ROWS.jsonl|-", help="What `score` wrote; - is stdin.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE.html", help="The page; replaced if it is there.")
    ] = Path("report.html"),
    photos: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder that `score` ran in. Nothing outside of it is read."),
    ] = None,
    model: ModelOption = "dgqa-lite0",
    pictures: Annotated[
        int, typer.Option(min=0, max=200, help="How many of the worst, and of the best, are shown.")
    ] = 12,
    quiet: QuietOption = False,
) -> None:
    """Make a page of a run's rows: one HTML file with all in it, to be opened anywhere and sent to anyone.

    It has the scores' distribution, the worst and the best photographs with their quality maps, what is wrong
    with the set, why photographs have no score, and a table that can be sorted and searched.

    Exit codes: 0 the page is written, 2 usage, 70 a bug of ours.
    """
    out = Output(quiet=quiet)
    if photos is not None and not photos.is_dir():
        raise UsageError(f"{photos} is no folder")
    from dgqa_infer.outputs.files import whole_file
    from dgqa_infer.outputs.html import HtmlSink

    with _opened(rows) as lines:
        try:
            with whole_file(output) as file, HtmlSink(file, model, photos, pictures) as sink:
                for number, row in _read(lines, rows, out):
                    try:
                        sink.write(row)
                    except ValueError as error:
                        raise UsageError(f"{rows}: line {number} is no row of `score`: {error}") from error
        except OSError as error:
            raise OutputError(f"{output} cannot be written: {error.strerror}") from error
    for note in sink.notes:
        out.note(note)
    out.note(f"{sink.rows:,} rows are in {output}")


def _read(lines: BinaryIO, name: str, out: Output) -> Iterator[tuple[int, Any]]:
    """Rows with the numbers of their lines; the end of a run that was killed may be torn."""
    for number, line in enumerate(lines, 1):
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError) as error:
            if not line.endswith(b"\n"):
                out.warn(f"the last line of {name} is not whole; the page is of the rows before it")
                return
            raise UsageError(f"{name}: line {number} is no JSON ({error})") from error


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        file = Path(name).open("rb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}") from error
    with file:
        yield file
