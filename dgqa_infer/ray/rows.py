"""Rows of a dataset's tables: their photographs as a pipeline takes them, and the actor that scores them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgqa_infer.errors import ImageError, UsageError
from dgqa_infer.inputs.files import Input
from dgqa_infer.ray import columns

if TYPE_CHECKING:
    import pyarrow
    from ray import ObjectRef

    from dgqa_infer.ray.settings import Settings


def pool(actors: int) -> Any:
    """Up to so many actors; Ray Data starts them as it leaves room for what comes before them."""
    import ray.data

    return ray.data.ActorPoolStrategy(min_size=1, max_size=actors)


class RowScorer:
    """An actor that adds our columns to tables."""

    def __init__(self, settings: ObjectRef[Settings], column: str, prefix: str) -> None:
        """Load the model.

        Args:
            settings: what every actor is told.
            column: that holds the photographs.
            prefix: of the new columns.
        """
        import ray

        self._column, self._prefix = column, prefix
        self._stack = ExitStack()
        _, self._pipeline = self._stack.enter_context(ray.get(settings).open())

    def __call__(self, table: pyarrow.Table) -> pyarrow.Table:
        """The table with our columns."""
        columns.check(table.column_names, self._column, self._prefix)
        with inputs(table[self._column]) as found:
            rows = [outcome.row() for outcome in self._pipeline.run(found)]
        if is_binary(table[self._column].type):
            rows = [of_bytes(row, data) for row, data in zip(rows, table[self._column], strict=True)]
        return columns.append(table, rows, self._prefix)


@contextmanager
def inputs(column: pyarrow.ChunkedArray) -> Iterator[list[Input]]:
    """A column's photographs as a pipeline takes them. Those in memory become files for as long as it lasts.

    Raises:
        UsageError: the column holds neither text nor bytes.
    """
    import pyarrow

    values = column.to_pylist()
    nothing = ImageError("not_found", "the row holds no photograph")
    if pyarrow.types.is_string(column.type) or pyarrow.types.is_large_string(column.type):
        yield [nothing if value is None else value for value in values]
        return
    if not is_binary(column.type):
        raise UsageError(f"the column of photographs holds {column.type}, neither text nor bytes")
    with tempfile.TemporaryDirectory(prefix="dgqa-rows-") as folder:
        found: list[Input] = []
        for number, value in enumerate(values):
            if value is None:
                found.append(nothing)
                continue
            path = Path(folder) / str(number)
            path.write_bytes(value)
            found.append(str(path))
        del values
        yield found


def of_bytes(row: dict[str, Any], data: Any) -> dict[str, Any]:
    """The row of a photograph from memory: nothing of the file that it was for a while."""
    return {**row, "path": None, "mtime": None, "size": len(data.as_buffer()) if data.is_valid else None}


def is_binary(kind: Any) -> bool:
    """Whether a column's Arrow type holds bytes."""
    import pyarrow

    return bool(pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind))
