"""Rows for the commands that work with them: read from a file, or made by scoring a folder now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from dgqa_infer.cli._output import Output
from dgqa_infer.errors import UsageError

if TYPE_CHECKING:
    from dgqa_infer.bundle.bundle import Bundle
    from dgqa_infer.options import ScoringOptions
    from dgqa_infer.results import Row


def rows_in(name: str, out: Output) -> list[Row]:
    """The rows that `score` wrote.

    Raises:
        UsageError: they cannot be read, or one is not a row; names its line.
    """
    from dgqa_infer.outputs.reader import STDIN, read_rows

    rows = []
    for number, row in read_rows(name, out.warn):
        check(row, f"{name}: line {number}")
        rows.append(cast("Row", row))
    if not rows:
        raise UsageError(f"{'stdin' if name == STDIN else name} has no rows")
    return rows


def has_changed(row: Row, file: str, *, moved: bool) -> bool:
    """Whether a file is not the one that was scored, by its size and the time of its last change.

    Args:
        row: of the file; what it does not tell has not changed.
        file: as it is now.
        moved: whether it may be a copy, whose time is its own.
    """
    status, when = Path(file).stat(), row.get("mtime")
    # Spreadsheets keep fewer digits of a time than a row has.
    touched = not moved and when is not None and abs(when - status.st_mtime) >= 1
    return touched or row.get("size") not in (None, status.st_size)


def check(row: object, where: str) -> None:
    """Refuse what is not a row.

    Raises:
        UsageError: says why.
    """
    from dgqa_infer.outputs.html.digest import compact

    try:
        compact(row, {})  # type: ignore[arg-type]
    except ValueError as error:
        raise UsageError(f"{where} is not a row of `score`: {error}") from error


def score_folder(
    folder: Path, bundle: Bundle, out: Output, options: ScoringOptions, *, workers: int | None = None
) -> list[Row]:
    """Score the photographs in a folder as `score` does.

    Raises:
        BackendError: the device or its runtime is missing or fails.
    """
    from dgqa_infer.inputs.finder import InputFinder
    from dgqa_infer.pipeline.pipeline import Pipeline
    from dgqa_infer.scorer import Scorer

    with (
        Scorer(bundle, options) as scorer,
        Pipeline(scorer, workers=workers, addresses=False) as pipeline,
        out.progress(f"scoring {folder.name}") as bar,
    ):
        out.note(scorer.unused_gpu)
        rows = []
        for outcome in pipeline.run(InputFinder().find([str(folder)], patterns=False)):
            rows.append(outcome.row())
            bar.advance()
    if not rows:
        raise UsageError(f"{folder} holds no photographs")
    return rows
