"""What the measuring programs work out; what they measure is not tested."""

from __future__ import annotations

import importlib
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def program(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a program by its name."""
    monkeypatch.syspath_prepend(repository)

    def load(name: str) -> ModuleType:
        return importlib.import_module(f"benchmarks.speed.{name}")

    return load


def test_cores_help_until_the_parent_has_no_time_left(program: Any) -> None:
    """100 ms of work, 0.5 of them the parent's: 10 a second and core, at most 2,000, with 200 cores."""
    model = program("scaling_model")
    parts = model.Parts(read=1.0, decode=50.0, crops=28.5, infer=20.0, parent=0.5)
    found = model.on_cores(parts, (1, 8, 1000))
    assert found["photographs_per_second"] == {"1": 10.0, "8": 80.0, "1000": 2000.0}
    assert found["saturates_at_cores"] == 200.0


def test_a_gpu_needs_the_cores_that_feed_it(program: Any) -> None:
    """79.5 ms of decoding and 0.5 of the parent for 1,000 a second are 80 cores; 5,000 it cannot feed."""
    model = program("scaling_model")
    parts = model.Parts(read=1.0, decode=50.0, crops=28.5, infer=20.0, parent=0.5)
    found = model.on_gpus(parts, (1000, 5000), (1, 4))
    assert found["1000 a second"] == {
        "reached_by_a_gpu": 1000,
        "bounded_by": "the GPU",
        "cores_needed": {"1": 80.0, "4": 320.0},
    }
    assert found["5000 a second"]["reached_by_a_gpu"] == 2000.0
    assert found["5000 a second"]["bounded_by"] == "the parent process"


def test_a_way_judges_each_photograph_once_or_until_the_time_is_over(program: Any) -> None:
    ways = program("peer_ways")

    def lengths(paths: Iterable[str]) -> Iterator[float]:
        return (float(len(path)) for path in paths)

    assert ways.work(lengths, {"paths": ["a", "bb"], "seconds": None})["given"] == [1.0, 2.0]
    assert ways.work(lengths, {"paths": ["a", "bb"], "seconds": 0})["given"] == [1.0]
    assert ways.work(lengths, {"paths": ["a", "bb"], "seconds": 0.05})["done"] > 2


def test_a_way_that_reads_ahead_is_not_given_hundreds_of_photographs(program: Any) -> None:
    ways = program("peer_ways")
    taken: deque[str] = deque()

    def greedy(paths: Iterable[str]) -> Iterator[float]:
        ended = threading.Event()

        def read() -> None:
            taken.extend(paths)
            ended.set()

        threading.Thread(target=read, daemon=True).start()
        ended.wait(0.2)
        assert len(taken) == ways.AHEAD
        for number in range(10**6):
            while len(taken) <= number:
                if ended.is_set():
                    return
            yield 1.0

    answer = ways.work(greedy, {"paths": ["a"], "seconds": 0.3})
    assert answer["done"] == len(taken)
    assert len(set(answer["given"])) == 1


def test_what_is_named_as_a_way_can_be_made(program: Any) -> None:
    ways = program("peer_ways").WAYS
    assert list(ways)[:2] == ["dgqa-infer", "dgqa-infer, fp32"]
    assert all(callable(make) and better in (-1, 1) and packages for make, better, packages in ways.values())
