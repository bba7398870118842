"""What a report says of all rows together, counted as they come: its memory does not grow with them."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from dgqa_infer.domains.profile import DomainProfile
from dgqa_infer.errors import UsageError
from dgqa_infer.images.content import NOT_A_PHOTOGRAPH
from dgqa_infer.outputs.map_picture import COLOURS
from dgqa_infer.outputs.reasons import Measured, SetCounts
from dgqa_infer.results import DistortionRow, Row
from dgqa_infer.statistics import ScoreCounts, ranked
from dgqa_infer.text import printable

BARS: Final = 20
"""Of the histogram, each five points of the score wide: there is room for its number."""
THUMBNAILS: Final = 2000
"""Photographs, the worst first, that may have a picture."""
BEST: Final = 12
"""Photographs with the highest scores that are shown."""

_MAX_NAMES = 200  # of distortions, reasons and models: ours are far fewer
_OTHER = "other"
_UNKNOWN = Measured()


@dataclass(frozen=True, slots=True)
class Shown:
    """A photograph that is shown as a picture.

    Attributes:
        place: its row's number, from 0.
        path: as the row names it.
        score: 0–100.
        raw: its quality, 0–10.
        size: of its file, in bytes; None where the row does not say.
        model: that scored it.
        row: as `compact` gives it.
        photograph: whether it looks like one; what does not is among neither the worst nor the best.
        measured: what reasons are made of.
    """

    place: int
    path: str
    score: float
    raw: float
    size: int | None
    model: str
    row: list[Any]
    photograph: bool
    measured: Measured


class Digest:
    """Rows counted.

    Attributes:
        total: number of rows.
        models: that scored, and how many rows each.
        names: of the distortions, in the order in which they were first seen, each with its number.
        profile: the domains that the photographs vote for.
        measured: of all photographs, what reasons compare with.
    """

    def __init__(self, worst: int) -> None:
        """Begin.

        Args:
            worst: how many of the worst are shown; 0: neither worst nor best.
        """
        self.total = 0
        self.models: Counter[str] = Counter()
        self.names: dict[str, int] = {}
        self.profile = DomainProfile()
        self.measured = SetCounts()
        self._shown_worst = worst
        self._scores = ScoreCounts()
        self._failures: Counter[str] = Counter()
        self._gate: Counter[bool] = Counter()
        self._named: Counter[str] = Counter()
        self._explained = self._clean = self._photographs = 0
        self._worst: list[tuple[float, int, Shown]] = []
        self._best: list[tuple[float, int, Shown]] = []

    def count(self, row: Row, short: list[Any], measured: Measured = _UNKNOWN) -> None:
        """Count a row.

        Args:
            row: as it was written.
            short: what `compact` made of it.
            measured: what reasons are made of.
        """
        place, self.total = self.total, self.total + 1
        model = row.get("model")
        _count(self.models, printable(str(model)))
        if (gate := row.get("gate")) is not None:
            self._gate[bool(gate["passed"])] += 1
        if (error := row.get("error")) is not None:
            _count(self._failures, printable(error["code"]))
            return
        score, raw = short[1], short[2]
        self._scores.add(score)
        self.measured.add(measured)
        if (found := row.get("distortions")) is not None:
            self._explained += 1
            self._clean += not found
            self._named.update({_name(self.names, each["name"]) for each in found})
        with suppress(UsageError, TypeError):
            self.profile.add(row.get("votes") or ())
        if isinstance(row["path"], str):
            size = row.get("size") if isinstance(row.get("size"), int) else None
            photograph = NOT_A_PHOTOGRAPH not in row["warnings"]
            shown = Shown(place, row["path"], score, raw, size, str(model), short, photograph, measured)
            _remember(self._worst, (-score, -place, shown), max(THUMBNAILS, self._shown_worst))
            if photograph:
                self._photographs += 1
                _remember(self._best, (score, place, shown), BEST)

    @property
    def explained(self) -> int:
        """Number of rows that say what is wrong."""
        return self._explained

    @property
    def scored(self) -> int:
        """Number of rows with a score."""
        return self.total - self._failures.total()

    def worst(self) -> list[Shown]:
        """The worst photographs, the worst first; half of them where there are few."""
        found = [shown for shown in self.from_the_worst() if shown.photograph]
        return found[: min(self._shown_worst, (self._photographs + 1) // 2)]

    def best(self) -> list[Shown]:
        """The best photographs, the best first; none of the worst."""
        found = [shown for *_, shown in sorted(self._best, reverse=True)]
        return found[: min(BEST, self._shown_worst, self._photographs // 2)]

    def from_the_worst(self) -> list[Shown]:
        """The photographs that may have a picture, the worst first."""
        return [shown for *_, shown in sorted(self._worst, reverse=True)]

    def histogram(self) -> list[int]:
        """Photographs by score: from each bar's lower end on to below the next one's; 100 is in the last."""
        bars = [0] * BARS
        for step, number in self._scores.steps.items():
            bars[min(step * BARS // 10_000, BARS - 1)] += number
        return bars

    def as_json(self) -> dict[str, Any]:
        """What the page shows of all this."""
        distortions = None
        if self._explained:
            distortions = {
                "photos": self._explained,
                "none": self._clean,
                "named": [list(each) for each in ranked(self._named, 12)],
            }
        quantiles = {"median": self._scores.quantile(0.5), "tenth": self._scores.quantile(0.1)}
        return {
            "total": self.total,
            "failed": self._failures.total(),
            "failures": dict(ranked(self._failures)),
            "models": [name for name, _ in ranked(self.models, 8)],
            "quantiles": quantiles if self.scored else None,
            "histogram": self.histogram(),
            "gate": {"failed": self._gate[False], "passed": self._gate[True]} if self._gate else None,
            "distortions": distortions,
            "names": list(self.names),
            "colours": COLOURS,
        }


def compact(row: Row, names: dict[str, int]) -> list[Any]:
    """A row as the page's script reads it: values by place, the empty ones at the end left out.

    Args:
        row: from a run, or from a file that anybody may have written.
        names: numbers of the distortions; new ones are added.

    Returns:
        [path, score, raw, spread, width, height, warnings, [[distortion, probability], …], error code, error
        message, reasons why the gate was not passed]; a distortion's severity comes third where the row has
        it. Texts have no control characters.

    Raises:
        ValueError: it is no row of ours; says why.
    """
    with refused():
        path = "(from memory)" if row["path"] is None else _text(row["path"])
        gate = row.get("gate")
        verdict = None if gate is None else [] if gate["passed"] else [*map(_text, gate["reasons"])]
        if (error := row.get("error")) is not None:
            values: list[Any] = [path, *[None] * 7, _text(error["code"]), _text(error["message"]), verdict]
        else:
            found = row.get("distortions")
            seen = None if found is None else [_distortion(each, names) for each in found]
            values = [
                path,
                _number(row["score"], 0, 100),
                *(_number(row[name], -math.inf, math.inf) for name in ("raw", "spread")),
                *(int(_number(row[name], 1, 1e9)) for name in ("width", "height")),
                ", ".join(map(_text, row["warnings"])) or None,
                seen,
                *(None, None, verdict),
            ]
    while values[-1] is None:
        values.pop()
    return values


@contextmanager
def refused() -> Iterator[None]:
    """Around what reads a row that anybody may have written: says in a `ValueError` why it is none."""
    try:
        yield
    except KeyError as error:
        raise ValueError(f"it lacks {error}") from error
    except (TypeError, AttributeError) as error:
        raise ValueError(f"it is not as rows are: {error}") from error


def _remember(heap: list[tuple[float, int, Shown]], entry: tuple[float, int, Shown], size: int) -> None:
    """Keep the greatest entries; no two have the same place, so photographs are never compared."""
    (heapq.heappush if len(heap) < size else heapq.heappushpop)(heap, entry)


def _distortion(found: DistortionRow, names: dict[str, int]) -> list[float]:
    severity = found.get("severity")
    harm = [] if severity is None else [round(_number(severity, 0, 4), 1)]
    return [names[_name(names, found["name"])], _number(found["probability"], 0, 1), *harm]


def _name(names: dict[str, int], name: object) -> str:
    """A distortion's name, numbered; all beyond a number that no model of ours has are one."""
    text = _text(name)
    if text not in names and len(names) >= _MAX_NAMES:
        text = _OTHER
    names.setdefault(text, len(names))
    return text


def _count(counts: Counter[str], name: str) -> None:
    counts[name if name in counts or len(counts) < _MAX_NAMES else _OTHER] += 1


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where a text should be")
    return printable(value)


def _number(value: object, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{type(value).__name__} where a number should be")
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(f"{value} where there should be a number from {low:g} to {high:g}")
    return value
