"""What scores and faults of a set amount to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgqa_infer.statistics import ScoreCounts, Statistics

SCORES = st.integers(0, 10_000).map(lambda number: number / 100)


@settings(max_examples=60, deadline=None)
@given(st.lists(SCORES, min_size=1, max_size=80), st.sampled_from([5, 10, 25, 50, 90, 95]), SCORES)
def test_figures_are_those_of_the_scores(scores: list[float], percentile: int, limit: float) -> None:
    counts = ScoreCounts()
    for score in scores:
        counts.add(score)
    # The inverted distribution function, in whole numbers: Hyndman and Fan's first definition.
    place = -(-percentile * len(scores) // 100)
    assert counts.quantile(percentile / 100) == sorted(scores)[place - 1]
    assert counts.mean == pytest.approx(np.mean(scores))
    assert counts.share_below(limit) == pytest.approx(np.mean(np.array(scores) < limit))


def row(path: str, score: float, *faults: str) -> Any:
    return {
        "path": path,
        "score": score,
        "distortions": [{"name": name, "probability": 1} for name in faults],
    }


def test_a_set_is_told_whole_and_by_folder() -> None:
    statistics = Statistics()
    for each in (
        row("a/1.jpg", 10, "grain", "motion blur"),
        row("a/2.jpg", 30),
        row("b/3.jpg", 90, "grain"),
        {"path": "b/4.jpg", "error": {"code": "empty", "message": "x"}},
        {"path": "5.jpg", "score": 50},
    ):
        statistics.count(each)
    found = statistics.as_json()
    assert found["scores"]["mean"] == 45
    assert found["scores"]["median"] == 30
    assert found["scores"]["share_below"] == {"20": 0.25, "40": 0.5, "60": 0.75, "80": 0.75}
    assert found["faults"] == {
        "photographs": 3,
        "nothing_found": 1,
        "named": {"grain": 2, "motion blur": 1},
    }
    assert [*found["folders"]] == [".", "a", "b"]
    assert found["folders"]["b"]["scored"] == found["folders"]["b"]["failed"] == 1
    assert found["folders"]["a"]["scores"]["median"] == 10
    assert statistics.sentence() == (
        "median score 30.0, mean 45.0, the worst tenth up to 10.0; most often wrong: grain 2, motion blur 1"
    )


def test_a_set_without_scores_has_no_figures() -> None:
    assert Statistics().as_json() == {"scores": None, "faults": None, "folders": {}}
    assert Statistics().sentence() is None


def test_faults_that_are_equally_frequent_come_by_name() -> None:
    statistics = Statistics()
    for each in (row("a.jpg", 10, "noise"), row("b.jpg", 20, "haze"), row("c.jpg", 30, "blur", "noise")):
        statistics.count(each)
    assert list(statistics.as_json()["faults"]["named"]) == ["noise", "blur", "haze"]
    assert str(statistics.sentence()).endswith("most often wrong: noise 2, blur 1, haze 1")
