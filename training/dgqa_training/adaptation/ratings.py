"""What some tens of a user's own ratings can do for a model that was trained without any.

They tell what its scores mean on the user's scale, and how far it agrees. They may also finetune its ranking
(`finetune`), which is kept only if it agrees better with ratings that it has not seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from dgqa_infer.bundle.card import Calibration
from dgqa_infer.errors import UsageError
from dgqa_training.adaptation.moments import LinearHead

ENOUGH = 10
"""Ratings below which nothing is fitted."""

_RIDGES = tuple(float(10.0**power) for power in np.arange(-1, 4.1, 0.5))


def check(ratings: NDArray[np.float64], bounds: tuple[float, float]) -> None:
    """Refuse ratings to which no scale can be fitted, whatever the model says of their photographs.

    Args:
        ratings: float64 [n].
        bounds: least and greatest rating that the scale has.

    Raises:
        UsageError: too few ratings, all equal, or they do not lie on the scale.
    """
    low, high = bounds
    if len(ratings) < ENOUGH:
        raise UsageError(
            f"{len(ratings)} rated photographs are too few to fit a scale to; {ENOUGH} are needed"
        )
    if not (low < high and math.isfinite(high - low)) or ratings.min() < low or ratings.max() > high:
        raise UsageError(
            f"ratings from {ratings.min():g} to {ratings.max():g} do not lie on a scale from {low:g} to "
            f"{high:g}"
        )
    if np.ptp(ratings) == 0:
        raise UsageError("all ratings are equal: there is no scale to fit")


def calibration(
    raw: NDArray[np.float64], ratings: NDArray[np.float64], bounds: tuple[float, float]
) -> Calibration:
    """Raw quality → 0–100, where 0 and 100 are the ends of the scale that the user rates on.

    A straight line by least squares: some tens of ratings do not tell more.

    Args:
        raw: float64 [n], of the rated photographs.
        ratings: float64 [n], higher is better.
        bounds: worst and best rating that the scale has.

    Raises:
        UsageError: see `check`; or all raw scores are equal, or ratings run against them.
    """
    check(ratings, bounds)
    low, high = bounds
    if np.ptp(raw) == 0:
        raise UsageError("all raw scores are equal: there is no scale to fit")
    slope, offset = np.polyfit(raw, 100 * (ratings - low) / (high - low), 1)
    if slope <= 0:
        raise UsageError(
            "the ratings run against the model's judgement (is a higher rating a better photograph?); "
            "no scale can be fitted"
        )
    return Calibration((float(-offset / slope), float((100 - offset) / slope)), (0.0, 100.0))


def srcc(raw: NDArray[np.float64], ratings: NDArray[np.float64]) -> float:
    """Spearman's rank correlation, −1–1."""
    return float(spearmanr(raw, ratings).statistic)


@dataclass(frozen=True, slots=True)
class FinetuneResult:
    """What became of a head that was given ratings.

    Attributes:
        head: to be used: the finetuned one, or the one that there was where bending it did not help.
        before: rank correlation of what there was.
        after: rank correlation of finetuned heads, each with a rating that it was not fitted to.
    """

    head: LinearHead
    before: float
    after: float

    @property
    def helped(self) -> bool:
        """Whether the finetuned head is the better one."""
        return self.after > self.before


def finetune(
    head: LinearHead,
    features: NDArray[np.float64],
    basis: NDArray[np.float64],
    ratings: NDArray[np.float64],
    before: float | None = None,
) -> FinetuneResult:
    """Correct a head by the ratings of a few photographs.

    What the ratings say beyond the head is regressed on the features' principal components: a ridge
    regression whose penalty is the one that predicts ratings left out best (leave one out, in closed form).

    Args:
        head: trained without ratings.
        features: float64 [n, d], of the rated photographs.
        basis: float64 [d, k], of the components, such as `Moments.basis`.
        ratings: float64 [n], higher is better; on any scale.
        before: rank correlation of what would be used otherwise; None for that of the head.

    Raises:
        UsageError: too few ratings, or all equal.
    """
    if len(ratings) < ENOUGH or np.ptp(ratings) == 0:
        raise UsageError(
            f"{len(ratings)} ratings, {np.unique(ratings).size} different, cannot finetune a ranking"
        )
    raw = features @ head.weights + head.bias
    # On the head's own scale, so that it and its correction are of one kind.
    targets = raw.mean() + raw.std() * (ratings - ratings.mean()) / ratings.std()
    centre = features.mean(0)
    components = (features - centre) @ basis
    left, values, right = np.linalg.svd(components, full_matrices=False)
    residual = targets - raw
    best: tuple[float, NDArray[np.float64]] = (-np.inf, np.zeros(basis.shape[1]))
    for ridge in _RIDGES:
        shrunk = values**2 / (values**2 + ridge * len(ratings))
        leverage = (left**2 * shrunk).sum(1) + 1 / len(ratings)
        fitted = left @ (shrunk * (left.T @ residual))
        unseen = raw + residual - (residual - fitted) / np.maximum(1 - leverage, 1e-6)
        if (reached := srcc(unseen, ratings)) > best[0]:
            scale = values / (values**2 + ridge * len(ratings))
            best = reached, right.T @ (scale * (left.T @ residual))
    before, (after, correction) = srcc(raw, ratings) if before is None else before, best
    if after <= before:
        return FinetuneResult(head, before, after)
    change = basis @ correction
    return FinetuneResult(
        LinearHead(head.weights + change, head.bias - float(centre @ change)), before, after
    )
