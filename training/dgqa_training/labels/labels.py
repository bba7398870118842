"""Quality labels for synthetic images of contents without ratings, lent by KADID-10k.

All labels run from 0 to 10, higher is better: KADID's DMOS, mapped so that the least of its 10,125 images is
0 and the best is 10. A pristine image counts as 10.

`kadid-mean`: every content gets the mean DMOS of the type and level. It knows nothing of the content.

`kadid-quantile`: within a type and level our contents are ordered by a full-reference metric and take DMOS
from KADID's distribution over its own contents there, so that the worst of ours is as bad as the worst of
KADID's. It assumes that the metric orders contents as people do, and that ours are as mixed as KADID's.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from dgqa_training.labels.kadid_scores import PROBABILITIES, KadidScores, built_in

PRISTINE_LABEL = 10.0
"""Label of an undistorted image."""

Labelling: TypeAlias = Literal["kadid-mean", "kadid-quantile"]
"""Names of the ways to label."""

LABELLINGS: tuple[Labelling, ...] = get_args(Labelling)


def to_label(dmos: NDArray[np.float64], scores: KadidScores) -> NDArray[np.float64]:
    """KADID's DMOS (1–5) → label (0–10), linear; 0 and 10 are KADID's least and greatest DMOS.

    Args:
        dmos: float64, any shape.
        scores: whose bounds count.

    Returns:
        float64, same shape.
    """
    low, high = scores.bounds
    return np.asarray(10 * (dmos - low) / (high - low))


def kadid_mean(scores: KadidScores | None = None) -> NDArray[np.float64]:
    """Labels that depend on type and level alone.

    Args:
        scores: KADID's; those that travel with the package by default.

    Returns:
        float64 [25, 5], 0–10: at [type − 1, level − 1].
    """
    scores = scores or built_in()
    return to_label(scores.mean, scores)


def kadid_quantile(
    qualities: NDArray[np.float64], type_number: int, level: int, scores: KadidScores | None = None
) -> NDArray[np.float64]:
    """Labels that vary with content: KADID's distribution, in the order of a full-reference metric.

    Args:
        qualities: float64 [n], the metric of our n contents at one type and level, higher is better; equal
            values get equal labels.
        type_number: 1–25.
        level: 1–5.
        scores: KADID's; those that travel with the package by default.

    Returns:
        float64 [n], 0–10.
    """
    scores = scores or built_in()
    return to_label(dmos_by_rank(qualities, type_number, level, scores), scores)


def dmos_by_rank(
    qualities: NDArray[np.float64], type_number: int, level: int, scores: KadidScores
) -> NDArray[np.float64]:
    """As `kadid_quantile`, on KADID's own scale of DMOS, 1–5.

    Raises:
        ValueError: a quality is not finite: it could not be ordered.
    """
    if not np.isfinite(qualities).all():
        raise ValueError(f"qualities of type {type_number}, level {level} are not all finite")
    # The i-th of n stands in the middle of its n-th: neither end of the distribution is taken for granted.
    positions = (_ranks(qualities) - 0.5) / max(len(qualities), 1)
    quantiles = scores.quantiles[type_number - 1, level - 1]
    return np.asarray(np.interp(positions, PROBABILITIES, quantiles))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 for the least to n for the greatest; equal values share the mean of their ranks."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((counts.cumsum() - (counts - 1) / 2)[group])
