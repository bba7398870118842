"""Rows of a dataset's tables: their photographs as a pipeline takes them, and the actor that scores them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from dgqa_infer.errors import ImageError, UsageError
from dgqa_infer.inputs.files import Encoded, Input
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
            settings: the settings of every actor.
            column: that holds the photographs.
            prefix: of the new columns.
        """
        import ray

        self._column, self._prefix = column, prefix
        self._stack = ExitStack()
        self._scorer, self._pipeline = self._stack.enter_context(ray.get(settings).open())

    def __call__(self, table: pyarrow.Table) -> pyarrow.Table:
        """The table with our columns."""
        columns.check(table.column_names, self._column, self._prefix)
        rows = [outcome.row() for outcome in self._pipeline.run(inputs(table[self._column]))]
        return columns.append(table, rows, self._prefix, self._scorer.probability_classes)


def inputs(column: pyarrow.ChunkedArray) -> list[Input | Encoded]:
    """A column's photographs as a pipeline takes them.

    Raises:
        UsageError: the column holds neither text nor bytes.
    """
    import pyarrow

    kind = column.type
    if pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind):
        make: Callable[[Any], Input | Encoded] = Encoded
    elif pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind):
        make = str
    else:
        raise UsageError(f"the column of photographs holds {kind}, neither text nor bytes")
    nothing = ImageError("not_found", "the row holds no photograph")
    return [nothing if value is None else make(value) for value in column.to_pylist()]
