"""Bootstrap intervals of paired differences.

Pairs are drawn with replacement, as many as there are; the 2.5 % and 97.5 % quantiles of a statistic over the
draws are its 95 % interval (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 13). It is
seeded: the same differences have the same interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

DRAWS: Final = 2000
TIE: Final = 0.05
"""Scores that differ by less are alike: they are printed with one digit."""

_BLOCK = 4_000_000  # numbers at a time, 32 MB


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    def as_json(self) -> dict[str, float]:
        """Ready for JSON."""
        return {"value": round(self.value, 4), "low": round(self.low, 4), "high": round(self.high, 4)}

    def signed(self) -> str:
        """For a person, as a difference: "−1.2 [−1.9, −0.4]"."""
        return f"{_signed(self.value)} [{_signed(self.low)}, {_signed(self.high)}]"

    def percent(self) -> str:
        """For a person, as a share: "40% [31%, 49%]"."""
        return f"{self.value:.0%} [{self.low:.0%}, {self.high:.0%}]"


@dataclass(frozen=True, slots=True)
class Differences:
    """What paired differences, new less old, amount to.

    Attributes:
        pairs: how many there are.
        mean: of the differences, in points of the score.
        median: likewise.
        win_rate: share of the pairs in which the new photograph scores higher, those alike counted half.
    """

    pairs: int
    mean: Interval
    median: Interval
    win_rate: Interval

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "pairs": self.pairs,
            "mean_difference": self.mean.as_json(),
            "median_difference": self.median.as_json(),
            "win_rate": self.win_rate.as_json(),
        }


def summarise(differences: NDArray[np.float64], seed: int = 0) -> Differences:
    """Mean, median and win rate with their intervals.

    Args:
        differences: [n], new less old, finite; at least one.
        seed: of the draws.
    """
    wins = np.where(np.abs(differences) < TIE, 0.5, differences > 0).astype(np.float64)
    generator = np.random.default_rng(seed)
    drawn: dict[str, list[NDArray[np.float64]]] = {"mean": [], "median": [], "wins": []}
    count = len(differences)
    size = max(1, min(DRAWS, _BLOCK // count))
    for start in range(0, DRAWS, size):
        chosen = generator.integers(0, count, (min(size, DRAWS - start), count))
        values = differences[chosen]
        drawn["mean"].append(values.mean(axis=1))
        drawn["median"].append(np.median(values, axis=1))
        drawn["wins"].append(wins[chosen].mean(axis=1))
    ends = {name: _ends(np.concatenate(each)) for name, each in drawn.items()}
    return Differences(
        count,
        Interval(float(differences.mean()), *ends["mean"]),
        Interval(float(np.median(differences)), *ends["median"]),
        Interval(float(wins.mean()), *ends["wins"]),
    )


def drops_beyond(found: Differences, margin: float) -> bool:
    """Whether the mean drop surely exceeds a margin: the whole interval lies beyond it."""
    return found.mean.high < -margin


def by_group(groups: Mapping[str, list[float]]) -> dict[str, Differences]:
    """The same for each group."""
    return {name: summarise(np.array(values, np.float64)) for name, values in groups.items()}


def _ends(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def _signed(value: float) -> str:
    text = f"{value:+.1f}".replace("-", "−")
    return "0.0" if text in ("+0.0", "−0.0") else text
