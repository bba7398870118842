"""What scores and faults of a set amount to, counted as rows come."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from dgqa_infer.results import Row
from dgqa_infer.text import printable

PERCENTILES: Final = (5, 10, 25, 75, 90, 95)
THRESHOLDS: Final = (20, 40, 60, 80)
FOLDERS: Final = 1000
"""Folders that have figures of their own; photographs in others are counted for the set alone."""


def ranked(counts: Counter[str], most: int | None = None) -> list[tuple[str, int]]:
    """Names with their numbers, the most frequent first, and equally frequent ones by name."""
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:most]


@dataclass(slots=True)
class ScoreCounts:
    """Scores counted in hundredths, as finely as rows give them: exact, and small for any number of them.

    Attributes:
        steps: score in hundredths → number of photographs.
    """

    steps: Counter[int] = field(default_factory=Counter)

    def add(self, score: float, rounded: Callable[[float], int] = round) -> None:
        """Count a score.

        Args:
            score: 0–100.
            rounded: to whole hundredths; `math.floor` or `math.ceil` for a bound.
        """
        self.steps[rounded(score * 100)] += 1

    @property
    def total(self) -> int:
        """Number of scores."""
        return self.steps.total()

    @property
    def mean(self) -> float | None:
        """Their mean; None without any."""
        return (
            sum(step * count for step, count in self.steps.items()) / 100 / self.total if self.steps else None
        )

    def quantile(self, share: float) -> float | None:
        """The score that this share of the photographs does not exceed; None without any."""
        left = max(1, math.ceil(share * self.total - 1e-9))
        for step in sorted(self.steps):
            left -= self.steps[step]
            if left <= 0:
                return step / 100
        return None

    def share_below(self, score: float) -> float:
        """Share of the photographs with a lower score."""
        below = sum(count for step, count in self.steps.items() if step < round(score * 100))
        return below / self.total if self.total else 0.0

    def as_json(self) -> dict[str, Any] | None:
        """Ready for JSON; None without a score."""
        if not self.steps:
            return None
        return {
            "mean": round(self.mean or 0.0, 2),
            "median": self.quantile(0.5),
            "percentiles": {str(each): self.quantile(each / 100) for each in PERCENTILES},
            "share_below": {str(each): round(self.share_below(each), 4) for each in THRESHOLDS},
        }


@dataclass(slots=True)
class Statistics:
    """A set in figures.

    Attributes:
        scores: of all photographs that have one.
        failed: rows without a score.
        explained: rows that say what is wrong.
        clean: of these, those in which nothing was found.
        faults: name → photographs in which it was found.
        folders: folder → the same of its photographs; None where these figures are a folder's.
    """

    scores: ScoreCounts = field(default_factory=ScoreCounts)
    failed: int = 0
    explained: int = 0
    clean: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    folders: dict[str, Statistics] | None = field(default_factory=dict)

    def count(self, row: Row) -> None:
        """Count a row."""
        self._count(row)
        if self.folders is None or not isinstance(row["path"], str):
            return
        folder = printable(row["path"].rpartition("/")[0] or ".")
        if folder not in self.folders and len(self.folders) < FOLDERS:
            self.folders[folder] = Statistics(folders=None)
        if (figures := self.folders.get(folder)) is not None:
            figures._count(row)

    def _count(self, row: Row) -> None:
        if "error" in row:
            self.failed += 1
            return
        self.scores.add(row["score"])
        if (found := row.get("distortions")) is not None:
            self.explained += 1
            self.clean += not found
            self.faults.update({printable(each["name"]) for each in found})

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        faults = None
        if self.explained:
            faults = {
                "photographs": self.explained,
                "nothing_found": self.clean,
                "named": dict(ranked(self.faults)),
            }
        figures: dict[str, Any] = {"scores": self.scores.as_json(), "faults": faults}
        if self.folders is None:
            return {"scored": self.scores.total, "failed": self.failed} | figures
        return figures | {"folders": {name: each.as_json() for name, each in sorted(self.folders.items())}}

    def sentence(self) -> str | None:
        """For a person, in one line; None without a score."""
        if (median := self.scores.quantile(0.5)) is None:
            return None
        tenth, mean = self.scores.quantile(0.1), self.scores.mean
        line = f"median score {median:.1f}, mean {mean:.1f}, the worst tenth up to {tenth:.1f}"
        if self.faults:
            named = ", ".join(f"{name} {count:,}" for name, count in ranked(self.faults, 3))
            line += f"; most often wrong: {named}"
        return line
