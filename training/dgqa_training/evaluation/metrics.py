"""How well predictions agree with opinions: SRCC, KRCC, PLCC and RMSE with bootstrap intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from dgqa_infer.errors import UsageError
from dgqa_training.evaluation.correlation import Vector, Weights, kendall, logistic_mapping, pearson, spearman

Figure: TypeAlias = Callable[[Weights], Vector]
"""Weights [draws, n] → one number a draw, [draws]."""

DRAWS = 1000
"""Bootstrap draws: enough for the second digit of a 95 % interval's ends."""

_FEWEST = 3
_BLOCK = 4_000_000
"""Weights at a time, in numbers; they take 32 MB."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its bootstrap 95 % interval (percentiles).

    Attributes:
        value: of the sample itself.
        low: 2.5 % of the draws lie below.
        high: 2.5 % of the draws lie above.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Agreement of predictions with opinions; positive where both rise with quality.

    Attributes:
        images: number of them.
        srcc: Spearman's rank correlation, −1 to 1.
        krcc: Kendall's tau-b, −1 to 1.
        plcc: Pearson's correlation of the predictions as they are, −1 to 1.
        plcc_mapped: the same after the 4-parameter logistic mapping, 0 to 1.
        rmse: of the mapped predictions, on the opinions' scale.
    """

    images: int
    srcc: Interval
    krcc: Interval
    plcc: Interval
    plcc_mapped: Interval
    rmse: Interval

    def __str__(self) -> str:
        return (
            f"{self.images} images: SRCC {self.srcc}, KRCC {self.krcc}, PLCC {self.plcc}, "
            f"mapped {self.plcc_mapped}, RMSE {self.rmse}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON; rounded to six digits after the point."""
        return {key: _rounded(value) for key, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Comparison:
    """The first of two models against the second on the same images: differences, from paired draws.

    Attributes:
        images: number of them.
        srcc: SRCC of the first minus that of the second.
        krcc: likewise.
        plcc: likewise, without mapping.
        share_better: share of the draws in which the first has the higher SRCC, 0–1.
    """

    images: int
    srcc: Interval
    krcc: Interval
    plcc: Interval
    share_better: float

    def __str__(self) -> str:
        return (
            f"{self.images} images: SRCC {self.srcc}, KRCC {self.krcc}, PLCC {self.plcc}; "
            f"ahead in {self.share_better:.1%} of draws"
        )

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON; rounded to six digits after the point."""
        return {key: _rounded(value) for key, value in asdict(self).items()}


def evaluate(
    predictions: ArrayLike,
    scores: ArrayLike,
    *,
    higher_is_better: bool = True,
    draws: int = DRAWS,
    seed: int = 0,
) -> Evaluation:
    """Compare predictions, which rise with quality, with opinions.

    Args:
        predictions: [n], a model's.
        scores: [n], opinions on any scale.
        higher_is_better: direction of the opinions; where they fall with quality their sign is turned first.
        draws: bootstrap draws.
        seed: of the draws; the same seed and n draw the same images.

    Returns:
        All figures with intervals. The logistic mapping is fitted once and kept in the draws: the intervals
        of the two figures after it leave out what the fit itself varies.

    Raises:
        UsageError: fewer than three images, unequal numbers, a number that is not finite, or all are equal.
    """
    x, y = _checked(predictions, scores, higher_is_better)
    _refuse_constants(x, y)
    mapped = logistic_mapping(x, y)
    figures: dict[str, Figure] = {
        "srcc": lambda weights: spearman(x, y, weights),
        "krcc": lambda weights: kendall(x, y, weights),
        "plcc": lambda weights: pearson(x, y, weights),
        "plcc_mapped": lambda weights: pearson(mapped, y, weights),
        "rmse": lambda weights: np.sqrt(weights @ (mapped - y) ** 2 / len(y)),
    }
    drawn = _bootstrap(figures, len(y), draws, seed)
    return Evaluation(len(y), **{name: _interval(values) for name, values in drawn.items()})


def evaluate_groups(
    predictions: ArrayLike,
    scores: ArrayLike,
    groups: Sequence[str],
    *,
    higher_is_better: bool = True,
) -> dict[str, Evaluation | None]:
    """Evaluate each group of images on its own.

    Args:
        predictions: [n].
        scores: [n].
        groups: name of each image's group, [n].
        higher_is_better: direction of the opinions.

    Returns:
        By group, in alphabetical order; None where a group is too small or has nothing to rank.
    """
    x, y = _checked(predictions, scores, higher_is_better)
    names = np.asarray(groups)
    results: dict[str, Evaluation | None] = {}
    for name in sorted(set(groups)):
        members = names == name
        rankable = members.sum() >= _FEWEST and np.ptp(x[members]) > 0 and np.ptp(y[members]) > 0
        results[name] = evaluate(x[members], y[members]) if rankable else None
    return results


def compare(
    first: ArrayLike,
    second: ArrayLike,
    scores: ArrayLike,
    *,
    higher_is_better: bool = True,
    draws: int = DRAWS,
    seed: int = 0,
) -> Comparison:
    """Compare two models on the same images: both see the same draws, which cancels what the images vary.

    Args:
        first: predictions of one model, [n].
        second: predictions of the other, [n].
        scores: opinions, [n].
        higher_is_better: direction of the opinions.
        draws: bootstrap draws.
        seed: of the draws.

    Raises:
        UsageError: as `evaluate` does.
    """
    a, y = _checked(first, scores, higher_is_better)
    b, _ = _checked(second, scores, higher_is_better)
    _refuse_constants(a, b, y)
    figures: dict[str, Figure] = {
        "srcc": lambda weights: spearman(a, y, weights) - spearman(b, y, weights),
        "krcc": lambda weights: kendall(a, y, weights) - kendall(b, y, weights),
        "plcc": lambda weights: pearson(a, y, weights) - pearson(b, y, weights),
    }
    drawn = _bootstrap(figures, len(y), draws, seed)
    return Comparison(
        len(y),
        **{name: _interval(values) for name, values in drawn.items()},
        share_better=float((drawn["srcc"][1:] > 0).mean()),
    )


# -- draws and checks -----------------------------------------------------------------------------------


def _bootstrap(figures: Mapping[str, Figure], count: int, draws: int, seed: int) -> dict[str, Vector]:
    """Each figure of the sample itself and then of each draw, [1 + draws]."""
    values = {name: [figure(np.ones((1, count)))] for name, figure in figures.items()}
    generator = np.random.default_rng(seed)
    at_once = max(1, _BLOCK // count)
    for start in range(0, draws, at_once):
        rows = min(at_once, draws - start)
        drawn = generator.integers(count, size=(rows, count)) + count * np.arange(rows)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count).astype(np.float64)
        for name, figure in figures.items():
            values[name].append(figure(weights))
    return {name: np.concatenate(blocks) for name, blocks in values.items()}


def _interval(values: Vector) -> Interval:
    # A draw of a very small sample may be constant and have no correlation.
    low, high = np.nanpercentile(values[1:], (2.5, 97.5))
    return Interval(float(values[0]), float(low), float(high))


def _checked(predictions: ArrayLike, scores: ArrayLike, higher_is_better: bool) -> tuple[Vector, Vector]:
    """Predictions and scores that both rise with quality."""
    x, y = np.asarray(predictions, np.float64), np.asarray(scores, np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise UsageError(f"{x.size} predictions do not match {y.size} scores")
    if len(x) < _FEWEST:
        raise UsageError(f"{len(x)} images say nothing about agreement; {_FEWEST} are the fewest")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise UsageError("predictions and scores must be finite numbers")
    return x, y if higher_is_better else -y


def _refuse_constants(*columns: Vector) -> None:
    for values in columns:
        if np.ptp(values) == 0:
            raise UsageError(
                f"all {len(values)} numbers of a column are {values[0]:g}: nothing can be ranked"
            )


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value
