"""What a person reads in a terminal: a line a photograph, as soon as its score is known."""

from __future__ import annotations

from typing import BinaryIO, Self

from dgqa_infer.outputs.columns import NONE_FOUND
from dgqa_infer.results import Row
from dgqa_infer.text import printable


class TableSink:
    """Writes aligned lines: score, spread, path, and what there is to say of it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
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
                remarks += [f"{each['name']} {each['probability']:.2f}" for each in found] or [NONE_FOUND]
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
