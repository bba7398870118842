"""One measured figure, and how figures become a table, JSON, and a comparison with an earlier run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dgqa_infer.bench import intervals
from dgqa_infer.errors import UsageError

FORMAT = 1
RATE = "photographs/s"
_MORE_IS_BETTER = (RATE, "%")
_AS_BEFORE = "as before"
_KEY = ("group", "subject", "name")


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Attributes:
        group: what kind of figure, such as "latency"; a table of its own.
        subject: what was measured, such as "dgqa-lite0 on cpu"; a row of that table.
        name: which figure, such as "p50"; a column.
        unit: "ms", "s", "MB", "photographs/s" or "%".
        value: the figure.
        low: lower end of its 95 % interval; None where there is none.
        high: upper end.
    """

    group: str
    subject: str
    name: str
    unit: str
    value: float
    low: float | None = None
    high: float | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it the same figure in two runs."""
        return self.group, self.subject, self.name


def of_rounds(group: str, subject: str, name: str, unit: str, values: Sequence[float]) -> Figure:
    """The median of several rounds as a figure."""
    return Figure(group, subject, name, unit, *intervals.median(values))


def as_document(
    conditions: Mapping[str, Any],
    figures: Sequence[Figure],
    before: tuple[Mapping[str, Any], Iterable[Figure]] | None = None,
) -> dict[str, Any]:
    """A run as JSON.

    Args:
        conditions: it was measured under.
        figures: of it.
        before: conditions and figures of an earlier run, as `read` returns them, to compare it with.
    """
    rows = [
        {
            key: float(f"{value:.6g}") if isinstance(value, float) else value
            for key, value in asdict(figure).items()
        }
        for figure in figures
    ]
    document = {"format": FORMAT, "conditions": dict(conditions), "figures": rows}
    if before is not None:
        changed, earlier = differences(conditions, before[0]), {each.key: each for each in before[1]}
        document["comparison"] = {
            "conditions_changed": changed,
            "figures": [
                {**dict(zip(_KEY, each.key, strict=True)), "unit": each.unit}
                | {"before": old.value, "now": each.value, "verdict": _better_or_worse(each, old)}
                for each in figures
                if (old := earlier.get(each.key)) is not None
            ],
        }
    return document


def read(path: str) -> tuple[dict[str, Any], list[Figure]]:
    """A run that `as_document` wrote: its conditions and figures.

    Raises:
        UsageError: the file cannot be read, or is no such run.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']}")
        if not isinstance(document["conditions"], dict):
            raise TypeError("its conditions are no object")
        return document["conditions"], [_figure(row) for row in document["figures"]]
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise UsageError(f"{path} is no result of `dgqa-infer bench --json`: {error}") from error


def _figure(row: dict[str, Any]) -> Figure:
    figure = Figure(**row)
    if not all(isinstance(text, str) for text in (*figure.key, figure.unit)):
        raise TypeError("a figure has a name that is no text")
    if not all(math.isfinite(value) for value in (figure.value, figure.low or 0, figure.high or 0)):
        raise ValueError("a figure is not finite")
    return figure


def tables(figures: Iterable[Figure], before: Iterable[Figure] = ()) -> dict[str, list[dict[str, str]]]:
    """Figures as tables: one a group, one row a subject, one column a figure.

    Args:
        figures: of this run.
        before: of an earlier one; each figure that both have says how the two compare.

    Returns:
        Group → rows, in the figures' order; every row of a group has the same columns.
    """
    earlier = {figure.key: figure for figure in before}
    groups: dict[str, dict[str, dict[str, str]]] = {}
    for figure in figures:
        text = _cell(figure)
        if (old := earlier.get(figure.key)) is not None:
            text += f"; {verdict(figure, old)}"
        row = groups.setdefault(figure.group, {}).setdefault(figure.subject, {"": figure.subject})
        row[f"{figure.name} ({figure.unit})"] = text
    shown: dict[str, list[dict[str, str]]] = {}
    for group, subjects in groups.items():
        columns = list(dict.fromkeys(column for row in subjects.values() for column in row))
        shown[group] = [{column: row.get(column, "") for column in columns} for row in subjects.values()]
    return shown


def verdict(now: Figure, before: Figure) -> str:
    """In words: how many times better or worse, or that the two cannot be told apart."""
    word = _better_or_worse(now, before)
    if word == _AS_BEFORE:
        return f"{word} ({before.value:.4g})"
    ratio = max(now.value, before.value) / max(min(now.value, before.value), 1e-12)
    return f"{ratio:.2f} × {word} ({before.value:.4g})"


def _better_or_worse(now: Figure, before: Figure) -> str:
    intervals_apart = (
        None not in (now.low, now.high, before.low, before.high)
        and before.value != 0
        and (now.low > before.high or now.high < before.low)  # type: ignore[operator]
    )
    if not intervals_apart:
        return _AS_BEFORE
    more = now.value > before.value
    return "better" if more == (now.unit in _MORE_IS_BETTER) else "worse"


def differences(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """The conditions that are not the same in two runs, as "name: before → now"."""
    one, two = _flat(before), _flat(now)
    return [
        f"{name}: {one.get(name)} → {two.get(name)}"
        for name in sorted({*one, *two})
        if one.get(name) != two.get(name)
    ]


def _cell(figure: Figure) -> str:
    if figure.low is None or figure.high is None:
        return f"{figure.value:.4g}"
    return f"{figure.value:.4g} [{figure.low:.4g}, {figure.high:.4g}]"


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found
