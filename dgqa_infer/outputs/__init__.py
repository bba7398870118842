"""Sinks that rows are written to, one a format."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, BinaryIO, Protocol, Self

from dgqa_infer.errors import UsageError
from dgqa_infer.results import Row

# Format → where its sink is. A sink is called with a binary stream, which it does not close.
_SINKS = {
    "html": ("dgqa_infer.outputs.html", "HtmlSink"),
    "csv": ("dgqa_infer.outputs.csv", "CsvSink"),
    "jsonl": ("dgqa_infer.outputs.jsonl", "JsonlSink"),
    "parquet": ("dgqa_infer.outputs.parquet", "ParquetSink"),
    "table": ("dgqa_infer.outputs.table", "TableSink"),
}
FORMATS = tuple(sorted(_SINKS))


class Sink(Protocol):
    """Where rows go; a context manager that completes the output when it is left without an error."""

    def write(self, row: Row) -> None:
        """Write one row, as `Outcome.row` makes it.

        Raises:
            OSError: the stream does not take it.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, /, *_: object) -> None: ...


def open_sink(format: str, stream: BinaryIO, model: str | None = None, classes: Sequence[str] = ()) -> Sink:
    """A sink for a format.

    Args:
        format: one of `FORMATS`.
        stream: where the bytes go.
        model: name or folder of the bundle that scores: a report shows where its scores come from.
        classes: of the classifier, whose probabilities have columns in a table.

    Raises:
        UsageError: no format has this name, or the extra that writes it is missing.
    """
    if format not in _SINKS:
        raise UsageError(f"format {format!r} is none of {', '.join(FORMATS)}")
    module, name = _SINKS[format]
    options: dict[str, Any] = {"model": model} if format == "html" and model is not None else {}
    if format in ("csv", "parquet"):
        options["classes"] = classes
    sink: Sink = getattr(importlib.import_module(module), name)(stream, **options)
    return sink
