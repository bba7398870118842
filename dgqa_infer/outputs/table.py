"""What a person reads in a terminal: a line a photograph, as soon as its score is known, or all in order."""

from __future__ import annotations

import heapq
from enum import StrEnum
from typing import Any, BinaryIO, Self

from dgqa_infer.outputs.reasons import NO_FAULT, SetCounts, measured, reasons
from dgqa_infer.results import Row
from dgqa_infer.text import printable

_SPARE = 1000  # rows that are sorted out at a time


class Order(StrEnum):
    """In which order lines come, if not in that of the inputs."""

    WORST = "worst"
    BEST = "best"
    PATH = "path"


class TableSink:
    """Writes aligned lines: score, spread, path, and what there is to say of it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._others: SetCounts | None = None
        self._line("score", "spread", "photograph", ())

    def write(self, row: Row) -> None:
        """Write one row's line."""
        remarks: list[str] = []
        if (error := row.get("error")) is not None:
            score = spread = "–"
            remarks.append(f"{error['code']}: {error['message']}")
        else:
            score, spread = f"{row['score']:.1f}", f"{row['spread']:.2f}"
            if (found := row.get("distortions")) is not None:
                said = [f"{each['name']} {each['probability']:.2f}" for each in found]
                said += reasons(measured(row), self._others)
                remarks += said or [NO_FAULT]
            remarks += row["warnings"]
        if (gate := row.get("gate")) is not None and not gate["passed"] and error is None:
            remarks.insert(0, f"FAILED: {', '.join(gate['reasons'])}")
        self._line(score, spread, str(row["path"]), remarks)

    def _line(self, score: str, spread: str, path: str, remarks: list[str] | tuple[()]) -> None:
        words = f"  ({', '.join(remarks)})" if remarks else ""
        line = f"{score:>6} {spread:>6}  {printable(path)}{printable(words)}\n"
        self._stream.write(line.encode())
        self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class SortedTableSink(TableSink):
    """Writes the same lines when all rows are there, in order; photographs without a score come last."""

    def __init__(self, stream: BinaryIO, order: Order, most: int | None = None) -> None:
        """Prepare.

        Args:
            stream: where the lines go.
            order: of the lines.
            most: how many are written, without those that have no score; None: all of them.
        """
        super().__init__(stream)
        self._others = self._all = SetCounts()
        self._order, self._most = order, most
        self._rows: list[tuple[tuple[Any, ...], int, Row]] = []
        self._taken = 0

    def write(self, row: Row) -> None:
        """Take one row; of many that are not written no more are kept than will be."""
        self._taken += 1
        self._all.add(measured(row))
        if self._most is None:
            self._rows.append((self._key(row), self._taken, row))
        elif "error" not in row:
            self._rows.append((self._key(row), self._taken, row))
            if len(self._rows) >= 2 * self._most + _SPARE:
                self._rows = heapq.nsmallest(self._most, self._rows)

    def _key(self, row: Row) -> tuple[Any, ...]:
        if self._order is Order.PATH:
            return (str(row["path"]),)
        if "error" in row:
            return (1, 0.0)
        return (0, row["score"] if self._order is Order.WORST else -row["score"])

    def __exit__(self, kind: object = None, *_: object) -> None:
        if kind is None:
            # No two have the same number, so rows are never compared.
            for entry in sorted(self._rows)[: self._most]:
                super().write(entry[-1])
