"""Parquet, for millions of rows; needs pyarrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO, Self

from dgqa_infer.errors import UsageError
from dgqa_infer.outputs.columns import COLUMNS, INTEGERS, NUMBERS, encodable, flatten, probability_column
from dgqa_infer.results import Row

_ROWS_AT_ONCE = 10_000


def schema(classes: Sequence[str] = ()) -> Any:
    """The columns and their types, as an Arrow schema.

    Args:
        classes: whose probabilities have columns.
    """
    import pyarrow

    text = pyarrow.string()
    number = pyarrow.float64()
    found = pyarrow.struct([("name", text), ("probability", number), ("severity", number)])
    kinds = {
        **dict.fromkeys(NUMBERS, number),
        **dict.fromkeys(INTEGERS, pyarrow.int64()),
        **dict.fromkeys(("warnings", "verdict_reasons"), pyarrow.list_(text)),
        "distortions": pyarrow.list_(found),
        "within_tolerance": pyarrow.bool_(),
    }
    shares = [(probability_column(name), number) for name in classes]
    return pyarrow.schema([(name, kinds.get(name, text)) for name in COLUMNS] + shares)


class ParquetSink:
    """Gathers some thousand rows and writes them as one group."""

    def __init__(self, stream: BinaryIO, classes: Sequence[str] = ()) -> None:
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError as error:
            raise UsageError("Parquet needs pyarrow: pip install 'dgqa-infer[parquet]'") from error
        self._schema = schema(classes)
        self._classes = classes
        self._table = pyarrow.Table
        self._writer = parquet.ParquetWriter(stream, self._schema)
        self._rows: list[dict[str, Any]] = []

    def write(self, row: Row) -> None:
        """Take one row; it is written with its group."""
        flat = flatten(row, self._classes)
        self._rows.append(
            {name: encodable(value) if isinstance(value, str) else value for name, value in flat.items()}
        )
        if len(self._rows) >= _ROWS_AT_ONCE:
            self._write_group()

    def _write_group(self) -> None:
        self._writer.write_table(self._table.from_pylist(self._rows, self._schema))
        self._rows.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, /, *_: object) -> None:
        if kind is None and self._rows:
            self._write_group()
        self._writer.close()
