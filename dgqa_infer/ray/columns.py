"""The columns that scoring adds to a table: those of our Parquet files, without the path and the gate's.

`score` (float64, 0–100, higher is better), `raw` (float64, 0–10), `spread` (float64), `width`
and `height` (int64, pixels), `warnings` (list of text), `distortions` (list of name, probability and
severity; null unless explained), `sharpness`, `brightness`, `clipped` and `noise` (float64; null unless
explained), `error_code` and `error_message` (text; null where there is a score), `model` (text), `size`
(int64, bytes) and `mtime` (float64, seconds since 1970; null for bytes and where unknown). With
`explain="all"` also the probability of each class, such as `p_motion_blur` (float64).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dgqa_infer.errors import UsageError
from dgqa_infer.outputs.columns import ATTRIBUTES, encodable, flatten, probability_column
from dgqa_infer.outputs.parquet import schema
from dgqa_infer.results import Row

if TYPE_CHECKING:
    import pyarrow

ADDED = (
    *("score", "raw", "spread", "width", "height", "warnings", "distortions", *ATTRIBUTES),
    *("error_code", "error_message", "model", "size", "mtime"),
)
"""Their names, without a prefix."""


def check(names: Sequence[str], column: str, prefix: str) -> None:
    """Whether a table can be given our columns.

    Args:
        names: of the columns that it has.
        column: that holds the photographs.
        prefix: of ours.

    Raises:
        UsageError: it lacks the column of photographs, or has one of ours already.
    """
    if column not in names:
        raise UsageError(f"the dataset has no column {column!r}; it has {', '.join(map(repr, names))}")
    if taken := [prefix + name for name in ADDED if prefix + name in names]:
        raise UsageError(
            f"the dataset has a column {taken[0]!r} already: drop it, or give the new ones a prefix,"
            " as in prefix='dgqa_'"
        )


def append(
    table: pyarrow.Table, rows: Sequence[Row], prefix: str, classes: Sequence[str] = ()
) -> pyarrow.Table:
    """A table with our columns.

    Args:
        table: with one photograph a row.
        rows: as `Outcome.row` makes them, in the same order.
        prefix: before the name of each new column.
        classes: whose probabilities have columns.
    """
    import pyarrow

    kinds = schema(classes)
    flat = [flatten(row, classes) for row in rows]
    for name in (*ADDED, *map(probability_column, classes)):
        values = [encodable(value) if isinstance(value := row[name], str) else value for row in flat]
        table = table.append_column(prefix + name, pyarrow.array(values, kinds.field(name).type))
    return table
