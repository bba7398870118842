"""Ways to do a thing take turns, so that what else the machine does falls on all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Way = Callable[[], int]
"""Does some work and says how many photographs it was."""

_SAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure.

    Attributes:
        rounds: how often each way has its turn.
        seconds: how long a turn lasts at least, unless one call takes longer.
    """

    rounds: int = 6
    seconds: float = 0.5


def rates(ways: Mapping[str, Way], effort: Effort) -> dict[str, list[float]]:
    """Photographs a second of each way in each round, after one call that does not count.

    Args:
        ways: name → what to do.
        effort: rounds and seconds.
    """
    for way in ways.values():
        way()
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(effort.rounds):
        for name, way in ways.items():
            done, began = 0, time.perf_counter()
            while (passed := time.perf_counter() - began) < effort.seconds or not done:
                done += way()
            found[name].append(done / passed)
    return found


def durations(ways: Mapping[str, Way], effort: Effort) -> dict[str, list[float]]:
    """Seconds of single calls of each way, taking turns, after one call that does not count.

    As many as fit into four times the effort, but no more than are needed for one in a thousand.
    """
    for way in ways.values():
        way()
    found: dict[str, list[float]] = {name: [] for name in ways}
    share = -(-_SAMPLES // effort.rounds)
    for _ in range(effort.rounds):
        for name, way in ways.items():
            ends = time.perf_counter() + 4 * effort.seconds
            for _ in range(share):
                began = time.perf_counter()
                way()
                now = time.perf_counter()
                found[name].append(now - began)
                if now >= ends:
                    break
    return found
