"""Predictions of a set held against its opinions; scoring itself is tested with the command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dgqa_infer.errors import UsageError
from dgqa_infer.results import Failure
from dgqa_training.datasets import DATASETS, LabelledSet, Sample
from dgqa_training.evaluation.metrics import compare, evaluate
from dgqa_training.evaluation.of_bundle import Predictions, group_by_column, report, versus


def labelled(scores: list[float], name: str = "live") -> LabelledSet:
    samples = [
        Sample(Path(f"{index}.bmp"), score, distortion=("jp2k", "wn")[index % 2])
        for index, score in enumerate(scores)
    ]
    return LabelledSet(DATASETS[name].facts, tuple(samples))


def predictions(raw: list[float], model: str = "a@1") -> Predictions:
    failures = [
        Failure(f"{i}.bmp", "empty", "no bytes", model) for i, value in enumerate(raw) if np.isnan(value)
    ]
    return Predictions(model, np.array(raw), tuple(failures))


def test_difference_scores_are_turned_and_missing_predictions_left_out() -> None:
    # LIVE's scores fall with quality.
    result = report(predictions([9, 7, float("nan"), 4, 2]), labelled([10, 30, 50, 60, 90]))
    assert result.pooled.images == 4
    assert result.pooled.srcc.value == pytest.approx(1)
    assert [failure.path for failure in result.failures] == ["2.bmp"]


def test_groups_keep_to_their_images_when_some_are_missing() -> None:
    scores = [10.0, 90, 20, 80, 30, 70, 40, 60]
    raw = [9.0, 1, 8, 2, float("nan"), 3, 6, 4]
    data = labelled(scores)
    result = report(predictions(raw), data, group_by_column(data.samples, "distortion"))
    counts = {name: group.images for name, group in result.groups.items() if group}
    assert counts == {"jp2k": 3, "wn": 4}
    assert result.groups["wn"] == evaluate([1, 2, 3, 4], [90, 80, 70, 60], higher_is_better=False)


def test_two_bundles_meet_on_the_images_that_both_could_score() -> None:
    generator = np.random.default_rng(0)
    scores = generator.uniform(0, 100, 30)
    first, second = (-scores + 20 * generator.normal(size=30) for _ in range(2))
    first[3] = second[8] = np.nan
    result = versus(
        predictions(first.tolist()), predictions(second.tolist(), "b@2"), labelled(scores.tolist())
    )
    both = np.delete(np.arange(30), [3, 8])
    assert result == compare(first[both], second[both], scores[both], higher_is_better=False)


def test_a_column_that_no_image_has_is_refused() -> None:
    with pytest.raises(UsageError, match="no column 'camera' to group by; there are: none"):
        group_by_column(labelled([1, 2]).samples, "camera")
