"""Taking turns, by a clock that moves only when somebody works."""

from __future__ import annotations

import time

import pytest

from dgqa_infer.bench.rounds import Effort, Way, durations, rates


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def worker(name: str, clock: list[float], called: list[str], seconds: float, photographs: int) -> Way:
    def work() -> int:
        called.append(name)
        clock[0] += seconds
        return photographs

    return work


def test_rates_are_photographs_by_seconds_and_the_first_call_does_not_count(clock: list[float]) -> None:
    called: list[str] = []
    ways = {
        "slow": worker("slow", clock, called, 2.0, 1),
        "quick": worker("quick", clock, called, 0.25, 8),
    }
    found = rates(ways, Effort(rounds=3, seconds=0.5))
    assert found == {"slow": [0.5, 0.5, 0.5], "quick": [32.0, 32.0, 32.0]}
    assert called == ["slow", "quick", *["slow", "quick", "quick"] * 3]


def test_even_no_time_at_all_is_time_for_one_call(clock: list[float]) -> None:
    assert rates({"a": worker("a", clock, [], 1.0, 3)}, Effort(rounds=2, seconds=0)) == {"a": [3.0, 3.0]}


def test_durations_are_of_single_calls_in_turns(clock: list[float]) -> None:
    called: list[str] = []
    ways = {"a": worker("a", clock, called, 0.5, 1), "b": worker("b", clock, called, 1.0, 1)}
    found = durations(ways, Effort(rounds=2, seconds=0.25))
    assert found == {"a": [0.5] * 4, "b": [1.0] * 2}
    assert called == ["a", "b", *["a", "a", "b"] * 2]


def test_no_more_calls_are_timed_than_one_in_a_thousand_needs(clock: list[float]) -> None:
    found = durations({"a": worker("a", clock, [], 0.001, 1)}, Effort(rounds=4, seconds=1000))
    assert len(found["a"]) == 1000
