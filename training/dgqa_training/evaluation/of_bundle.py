"""A bundle on a labelled set: its raw scores, the agreement with opinions, and what could not be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgqa_infer.errors import UsageError
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.pipeline.pipeline import Pipeline
from dgqa_infer.pipeline.predictor import Photo
from dgqa_infer.results import Failure, Result, Score
from dgqa_infer.scorer import Scorer
from dgqa_training.datasets import LabelledSet, Sample
from dgqa_training.evaluation.metrics import Comparison, Evaluation, compare, evaluate, evaluate_groups
from dgqa_training.evaluation.protocols import OURS, Protocol


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a bundle says of the images of a set.

    Attributes:
        model: name and hash of the bundle, as rows name it.
        raw: raw quality of each image, 0–10, higher is better, float64 [n]; NaN where there is none.
        failures: why there is none, in order.
    """

    model: str
    raw: NDArray[np.float64]
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """How a bundle did on a set.

    Attributes:
        model: the bundle.
        data: title of the set.
        protocol: how the figures came about.
        pooled: figures of all images that were scored.
        groups: figures of each group on its own, None where it has nothing to rank; empty without groups.
        failures: images that could not be scored; no figure counts them.
    """

    model: str
    data: str
    protocol: Protocol
    pooled: Evaluation
    groups: dict[str, Evaluation | None]
    failures: tuple[Failure, ...]

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "model": self.model,
            "set": self.data,
            "protocol": str(self.protocol),
            "pooled": self.pooled.as_dict(),
            "groups": {name: group and group.as_dict() for name, group in self.groups.items()},
            "unreadable": [failure.row() for failure in self.failures],
        }


def predict(
    scorers: Sequence[Scorer],
    samples: Sequence[Sample],
    scored: Callable[[], None] = lambda: None,
    workers: int | None = None,
) -> list[Predictions]:
    """Score the images of a set as the `score` command does: other processes decode, within limits.

    Args:
        scorers: the bundles, each on a device. Those that see photographs alike share one pass.
        samples: the images.
        scored: called after each image of each pass.
        workers: number of processes that decode; None for one a core.

    Returns:
        What each bundle says, in order.

    Raises:
        BackendError: the runtime failed.
    """
    first = scorers[0]
    if any(other.preprocessing != first.preprocessing for other in scorers):
        return [found for scorer in scorers for found in predict([scorer], samples, scored, workers)]
    raws = np.full((len(scorers), len(samples)), np.nan)
    failures: list[list[Failure]] = [[] for _ in scorers]
    with Pipeline(_Together(scorers), workers=workers, limits=first.options.worker_limits) as pipeline:
        for index, outcome in enumerate(pipeline.run(str(sample.path) for sample in samples)):
            for place, scorer in enumerate(scorers):
                found = outcome.result if isinstance(outcome.result, Failure) else outcome.result[place]
                if isinstance(found, Score):
                    raws[place, index] = found.raw
                else:
                    failures[place].append(replace(found, model=scorer.model_id))
            scored()
    return [
        Predictions(scorer.model_id, raw, tuple(failed))
        for scorer, raw, failed in zip(scorers, raws, failures, strict=True)
    ]


class _Together:
    """Several scorers that see photographs alike; see `dgqa_infer.pipeline.predictor.Predictor`."""

    def __init__(self, scorers: Sequence[Scorer]) -> None:
        self._scorers = scorers
        first = scorers[0]
        self.preprocessing, self.model_id = first.preprocessing, first.model_id
        self.batch_size, self.limits = first.batch_size, first.limits
        self.strict, self.jpeg_device = first.strict, first.jpeg_device
        self.measure = False
        self.memory_bytes = sum(scorer.memory_bytes for scorer in scorers)

    def predict(self, crops: Pixels, photos: Sequence[Photo]) -> list[tuple[Result, ...]]:
        return list(zip(*(scorer.predict(crops, photos) for scorer in self._scorers), strict=True))


def report(predictions: Predictions, labelled: LabelledSet, groups: Sequence[str] | None = None) -> Report:
    """Hold predictions against the opinions of the set they were made on.

    Args:
        predictions: of all its images, in order.
        labelled: the set.
        groups: the group of each image, [n], for figures of each group beside the pooled ones.

    Raises:
        UsageError: the set has no opinions, or what could be scored cannot be ranked.
    """
    here = np.isfinite(predictions.raw)
    raw, scores = predictions.raw[here], labelled.scores[here]
    up = labelled.facts.higher_is_better
    apart = (
        evaluate_groups(raw, scores, np.asarray(groups)[here].tolist(), higher_is_better=up) if groups else {}
    )
    return Report(
        predictions.model,
        labelled.facts.title,
        OURS,
        evaluate(raw, scores, higher_is_better=up),
        apart,
        predictions.failures,
    )


def versus(first: Predictions, second: Predictions, labelled: LabelledSet) -> Comparison:
    """Compare two bundles on the images that both could score.

    Raises:
        UsageError: as `report` does.
    """
    both = np.isfinite(first.raw) & np.isfinite(second.raw)
    return compare(
        first.raw[both],
        second.raw[both],
        labelled.scores[both],
        higher_is_better=labelled.facts.higher_is_better,
    )


def group_by_column(samples: Sequence[Sample], column: str) -> list[str]:
    """The group of each image: what a column of the set's table says, or its distortion.

    Raises:
        UsageError: the table has no such column.
    """
    if column == "distortion" and all(sample.distortion for sample in samples):
        return [sample.distortion or "" for sample in samples]
    known = sorted(set.intersection(*(set(sample.columns) for sample in samples)))
    if column not in known:
        raise UsageError(
            f"there is no column {column!r} to group by; there are: {', '.join(known) or 'none'}"
        )
    return [sample.columns[column] for sample in samples]


def group_by_prefix(samples: Sequence[Sample], letters: int) -> list[str]:
    """The group of each image: the first letters of its file's name."""
    return [sample.path.name[:letters] for sample in samples]
