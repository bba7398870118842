"""What the table of peers is held to."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def module(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(repository)
    return importlib.import_module("benchmarks.speed.targets")


def figures(large: float, rated: float, peak: float = 100.0) -> dict[str, Any]:
    return {
        "large": {"photographs_per_second": large, "peak_mb": peak},
        "rated": {"photographs_per_second": rated, "peak_mb": peak},
    }


def test_a_target_is_met_from_the_wanted_ratio_on(module: Any) -> None:
    ways = {"dgqa-infer": figures(30, 80, 512.0), "the same network, plain": figures(3, 10.5)}
    judged = {each["target"]: each for each in module.targets(ways)}
    assert judged["large: times as fast as the same network, plain"]["met"]
    small = judged["rated: times as fast as the same network, plain"]
    assert (small["reached"], small["wanted"], small["met"]) == (7.62, 8.0, False)
    assert not judged["large: MB of all processes, at most"]["met"]


def test_what_was_not_measured_is_not_judged(module: Any) -> None:
    assert module.targets({"NIQE": figures(1, 1)}) == []


def test_the_table_says_what_was_missed(module: Any) -> None:
    ways = {"dgqa-infer": figures(10, 10), "ResNet-50, 5 crops": figures(1, 1)}
    shown = module.table(module.targets(ways))
    assert "| large: times as fast as ResNet-50, 5 crops | 15 | 10 | missed |" in shown
