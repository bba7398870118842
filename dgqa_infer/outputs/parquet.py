"""Parquet, for millions of rows; needs pyarrow."""

from __future__ import annotations

from types import TracebackType
from typing import Any, BinaryIO, Self

from dgqa_infer.errors import UsageError
from dgqa_infer.outputs.columns import COLUMNS, INTEGERS, NUMBERS, encodable, flatten
from dgqa_infer.results import Row

_ROWS_AT_ONCE = 10_000


def schema() -> Any:
    """The columns and their types, as an Arrow schema."""
    import pyarrow

    text = pyarrow.string()
    found = pyarrow.struct([("name", text), ("probability", pyarrow.float64())])
    kinds = {
        **dict.fromkeys(NUMBERS, pyarrow.float64()),
        **dict.fromkeys(INTEGERS, pyarrow.int64()),
        **dict.fromkeys(("warnings", "verdict_reasons"), pyarrow.list_(text)),
        "distortions": pyarrow.list_(found),
        "within_tolerance": pyarrow.bool_(),
    }
    return pyarrow.schema([(name, kinds.get(name, text)) for name in COLUMNS])


class ParquetSink:
    """Gathers some thousand rows and writes them as one group."""

    def __init__(self, stream: BinaryIO) -> None:
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError as error:
            raise UsageError("Parquet needs pyarrow: pip install 'dgqa-infer[parquet]'") from error
        self._schema = schema()
        self._table = pyarrow.Table
        self._writer = parquet.ParquetWriter(stream, self._schema)
        self._rows: list[dict[str, Any]] = []

    def write(self, row: Row) -> None:
        """Take one row; it is written with its group."""
        flat = flatten(row)
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None and self._rows:
            self._write_group()
        self._writer.close()
