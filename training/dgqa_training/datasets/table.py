"""Anybody's own ratings: a CSV of image names and scores, and the folder of the images."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from dgqa_infer.errors import UsageError
from dgqa_training.datasets._reading import SetFolder
from dgqa_training.datasets.sample import Facts, LabelledSet, Sample

_IMAGE_COLUMNS = ("image", "image_name", "img_name", "filename", "file", "path")
_SCORE_COLUMNS = ("mos", "score", "rating", "quality", "dmos")


def read_table(
    table: str | PathLike[str], folder: str | PathLike[str], higher_is_better: bool | None = None
) -> LabelledSet:
    """Read a table of ratings.

    Args:
        table: CSV with a header: an image column (image, filename, …) and a score column (mos, score, …), in
            any case. Other columns are kept in `Sample.columns`.
        folder: where the names lead to a file each.
        higher_is_better: direction of the scores; may be left out unless the column is called dmos, which
            falls as quality rises in most sets and rises in some.

    Returns:
        The samples, in the table's order.

    Raises:
        UsageError: with the row: a score that is no finite number, an image that comes twice or has no file,
            a constant column, a direction that is not known.
    """
    path = Path(table)
    rows = SetFolder(Path(folder), _facts(path, higher_is_better is not False))
    return LabelledSet(rows.facts, rows.checked(_samples(rows, path, higher_is_better)))


def _facts(table: Path, higher_is_better: bool) -> Facts:
    return Facts(
        name=table.stem,
        title=table.name,
        images=0,
        score="score",
        higher_is_better=higher_is_better,
        bounds=None,
        obtain="",
        citation="",
        licence="",
    )


def _samples(folder: SetFolder, table: Path, higher_is_better: bool | None) -> Iterator[Sample]:
    images = folder.images("")
    image = score = ""
    for row in folder.csv(table, ()):
        if not image:
            image, score = _columns(list(row.cells), table, higher_is_better)
        rest = {column: text for column, text in row.cells.items() if column not in (image, score)}
        yield folder.sample(row, images.find(row[image], row), row.number(score), columns=rest)


def _columns(header: list[str], table: Path, higher_is_better: bool | None) -> tuple[str, str]:
    """The names of the image and the score column."""
    chosen = []
    for what, known in (("image", _IMAGE_COLUMNS), ("score", _SCORE_COLUMNS)):
        found = [column for column in header if column.lower() in known]
        if len(found) != 1:
            raise UsageError(
                f"{table.name}, line 1: {len(found)} columns may be the {what}; exactly one should be called "
                f"{', '.join(known[:-1])} or {known[-1]}; there are: {', '.join(header)}"
            )
        chosen.append(found[0])
    if chosen[1].lower() == "dmos" and higher_is_better is None:
        raise UsageError(
            f"{table.name}, line 1: {chosen[1]} falls with quality in some sets and rises in others; "
            "say --lower-is-better or --higher-is-better"
        )
    return chosen[0], chosen[1]
