"""Two sets compared: what changed, and whether that may pass."""

from __future__ import annotations

from typing import Any

import pytest

from dgqa_infer.comparison.compare import compare
from dgqa_infer.comparison.pairing import pair
from dgqa_infer.errors import UsageError


def row(path: str, score: float, *faults: str, model: str = "tiny@0") -> Any:
    found = [{"name": name, "probability": 0.9} for name in faults]
    return {"path": path, "score": score, "raw": score / 10, "model": model, "distortions": found}


def failed(path: str) -> Any:
    return {"path": path, "error": {"code": "corrupt", "message": "broken"}, "model": "tiny@0"}


def test_folders_faults_and_the_worst_are_told() -> None:
    old = [row(f"o/{place}.jpg", 60, "grain") for place in ("a/1", "a/2", "b/3", "b/4")]
    new = [
        row("n/a/1.jpg", 50, "grain", "motion blur"),
        row("n/a/2.jpg", 58, "motion blur"),
        row("n/b/3.jpg", 64),
        row("n/b/4.jpg", 30),
    ]
    found = compare(pair(old, new))
    assert found.all.mean.value == pytest.approx((-10 - 2 + 4 - 30) / 4)
    assert found.all.median.value == pytest.approx(-6)
    assert found.all.win_rate.value == 0.25
    assert found.folders["b"].mean.value == -13
    assert found.gained == {"motion blur": 2}
    assert found.lost == {"grain": 3}
    assert [each.name for each in found.worst(2)] == ["b/4.jpg", "a/1.jpg"]
    assert len(found.worst()) == 3
    assert found.verdict is None


def test_faults_that_are_equally_frequent_come_by_name_in_every_run() -> None:
    names = ("noise", "blocks", "haze", "glare", "mud", "banding", "softness")
    old = [row("o/1.jpg", 60, *names[4:]), row("o/2.jpg", 60)]
    new = [row("n/1.jpg", 60, *names[:3]), row("n/2.jpg", 60, "glare")]
    found = compare(pair(old, new))
    assert found.faults_changed() == [*sorted(names[:4]), *sorted(names[4:])]
    faults = found.as_json()["faults"]
    assert list(faults["gained"]) == sorted(names[:4])
    assert list(faults["lost"]) == sorted(names[4:])


def test_a_photograph_that_lost_its_score_is_told_and_no_figure_counts_it() -> None:
    found = compare(
        pair(
            [row("o/1.jpg", 50), row("o/2.jpg", 50), failed("o/3.jpg")],
            [row("n/1.jpg", 51), failed("n/2.jpg"), row("n/3.jpg", 9)],
        )
    )
    assert found.all.pairs == 1
    assert [each.name for each in found.new_failures] == ["2.jpg"]
    assert found.as_json()["no_score"] == {
        "old": ["3.jpg"],
        "new": [{"name": "2.jpg", "code": "corrupt", "message": "broken"}],
    }


def test_rows_of_different_models_are_refused() -> None:
    with pytest.raises(UsageError, match=r"different models \(tiny@0, tiny@1\)"):
        compare(pair([row("o/1.jpg", 50)], [row("n/1.jpg", 50, model="tiny@1")]))


def test_sets_without_two_scores_in_a_pair_are_refused() -> None:
    with pytest.raises(UsageError, match="nothing to compare"):
        compare(pair([row("o/1.jpg", 50)], [failed("n/1.jpg")]))


@pytest.mark.parametrize(
    ("changes", "passed", "words"),
    [
        ([0.0] * 20, True, "a drop of 1 is allowed"),
        ([-3.0] * 20, False, "it drops by more than 1"),
        ([-40.0, *[0.0] * 19], True, "20 pairs are too few to say"),
    ],
)
def test_the_verdict_says_why(changes: list[float], passed: bool, words: str) -> None:
    old = [row(f"o/{number}.jpg", 60) for number in range(20)]
    new = [row(f"n/{number}.jpg", 60 + change) for number, change in enumerate(changes)]
    verdict = compare(pair(old, new), max_drop=1).verdict
    assert verdict is not None
    assert verdict.passed is passed
    assert words in verdict.sentence
