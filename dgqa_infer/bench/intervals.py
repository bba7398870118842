"""Medians and other quantiles of measurements, with intervals that assume nothing of their distribution.

The k-th smallest of n measurements lies below the true quantile q exactly as often as a binomial count says,
so two of the measurements themselves bound it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

CONFIDENCE = 0.95


def quantile(values: Sequence[float], q: float) -> tuple[float, float, float | None] | None:
    """A quantile and its interval.

    Args:
        values: measurements, in any order, at least one.
        q: 0.5 for the median, 0.99 for what one in a hundred exceeds.

    Returns:
        The quantile, and the lower and upper end of its 95 % interval; the upper end is None where so few
        measurements bound nothing above. None where there are too few to speak of that quantile at all: at
        least 1 / (1 - q).
    """
    if len(values) * (1 - q) < 1 - 1e-9 and q > 0.5:
        return None
    ordered = sorted(values)
    below, above = order_statistics(len(ordered), q)
    high = ordered[above - 1] if above <= len(ordered) else None
    return float(np.quantile(ordered, q)), ordered[max(below, 1) - 1], high


def median(values: Sequence[float]) -> tuple[float, float, float]:
    """The median and its interval: from the smallest to the largest where there are six or fewer values.

    Up to five bound it less surely than by 95 %: see `coverage`.
    """
    ordered = sorted(values)
    below, above = order_statistics(len(ordered), 0.5)
    low, high = ordered[max(below, 1) - 1], ordered[min(above, len(ordered)) - 1]
    return float(np.median(ordered)), low, high


def coverage(count: int) -> float:
    """How surely the interval of `median` holds the true median, for so many values."""
    below, above = order_statistics(count, 0.5)
    chances = _binomial(count, 0.5)
    return sum(chances[max(below, 1) : min(above, count)])


def order_statistics(count: int, q: float) -> tuple[int, int]:
    """Which of the sorted measurements bound a quantile.

    Args:
        count: of measurements.
        q: the quantile, between 0 and 1.

    Returns:
        Their places, from 1 on: the largest and the smallest with at most 2.5 % of error each. 0 and
        count + 1 where none does.
    """
    error = (1 - CONFIDENCE) / 2
    below, above = 0, count + 1
    # P(fewer than k measurements are below the quantile) is the error of taking the k-th as the lower end.
    summed = 0.0
    chances = _binomial(count, q)
    for place in range(1, count + 1):
        summed += chances[place - 1]
        if summed > error:
            break
        below = place
    summed = 0.0
    for place in range(count, 0, -1):
        summed += chances[place]
        if summed > error:
            break
        above = place
    return below, above


def _binomial(count: int, q: float) -> list[float]:
    """The chance of 0, 1, … of `count` measurements below the quantile q."""
    log_q, log_rest = math.log(q), math.log1p(-q)
    whole = math.lgamma(count + 1)
    return [
        math.exp(whole - math.lgamma(k + 1) - math.lgamma(count - k + 1) + k * log_q + (count - k) * log_rest)
        for k in range(count + 1)
    ]
