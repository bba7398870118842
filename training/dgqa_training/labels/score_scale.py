"""What a score means: raw quality is linked to people's opinion of synthetic images.

A regressor draws its judgements together: it gives few images the ends of the label scale. So raw quality
and opinion are linked by rank (equipercentile linking; Kolen & Brennan, "Test Equating, Scaling, and
Linking", ch. 2), over the images that the model was trained on: a score of s says that as many of them look
worse to the model as have an opinion below s. Nobody rates a photograph for it, and the order of scores does
not change.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dgqa_infer.bundle.card import Calibration
from dgqa_infer.errors import UsageError
from dgqa_training.labels.labels import PRISTINE_LABEL

STEPS = (20, 40, 60, 80)
"""Scores at which the link is kept, beside the ends; between them it is a straight line."""

PERCENTILES = (2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 98)
"""Scores at which a scale of percentiles is kept."""

_LEAST = 1e-3  # of raw quality between two steps
FEWEST = 20


def link(raw: NDArray[np.floating], labels: NDArray[np.float64]) -> Calibration:
    """Raw quality → score, such that raw quality and labels have the same ranks.

    Args:
        raw: float [n], of images.
        labels: float [n], opinion of the same images, 0–10, higher is better.

    Returns:
        A calibration of the whole label scale: 0 stays 0, 10 becomes 100. Where labels do not reach, or raw
        quality does not differ, it is a straight line.
    """
    values, counts = np.unique(labels, return_counts=True)
    middles = (np.cumsum(counts) - counts / 2) / len(labels)
    scores = 100 * values / PRISTINE_LABEL
    inner = [step for step in STEPS if scores[0] < step < scores[-1]]
    raws = np.interp(inner, scores, np.quantile(raw, middles))
    knots = [(0.0, 0.0)]
    for at, score in zip(raws.tolist(), inner, strict=True):
        if knots[-1][0] + _LEAST <= at <= PRISTINE_LABEL - _LEAST:
            knots.append((round(at, 4), float(score)))
    knots.append((PRISTINE_LABEL, 100.0))
    return Calibration(*(tuple(ends) for ends in zip(*knots, strict=True)))


def percentiles(raw: NDArray[np.floating]) -> Calibration:
    """Raw quality → percentile among ordinary photographs: 50 is the median, 90 the border of the best tenth.

    Args:
        raw: float [n], of ordinary photographs, at least 20.

    Returns:
        A calibration of the whole label scale: 0 stays 0, 10 becomes 100.

    Raises:
        UsageError: there are too few photographs.
    """
    if len(raw) < FEWEST:
        raise UsageError(f"{len(raw)} photographs are too few for a scale; {FEWEST} are the fewest")
    knots = [(0.0, 0.0)]
    for score in PERCENTILES:
        at = float(np.quantile(raw, score / 100))
        if knots[-1][0] + _LEAST <= at <= PRISTINE_LABEL - _LEAST:
            knots.append((round(at, 4), float(score)))
    knots.append((PRISTINE_LABEL, 100.0))
    return Calibration(*(tuple(ends) for ends in zip(*knots, strict=True)))
