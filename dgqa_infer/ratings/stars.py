"""How many stars a score is worth."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from dgqa_infer.errors import UsageError

SHARES: Final = (0.1, 0.3, 0.7, 0.9)
"""Of the set, without thresholds: a tenth has one star, a fifth two, two fifths three, a fifth four."""

REJECTED: Final = -1
"""XMP's rating of a photograph that is rejected (XMP Specification Part 2, xmp:Rating)."""


@dataclass(frozen=True, slots=True)
class Stars:
    """Where one more star begins.

    Attributes:
        thresholds: four scores, ascending; from the first on two stars, from the last on five.
        reject_below: a lower score is a rejected photograph; None: none is.
    """

    thresholds: tuple[float, float, float, float]
    reject_below: float | None = None

    @classmethod
    def of_set(cls, scores: Sequence[float], reject_below: float | None = None) -> Self:
        """Thresholds at the set's own quantiles.

        Args:
            scores: of the set, at least one.
            reject_below: as in the attribute.
        """
        low, lower, higher, high = np.quantile(scores, SHARES).tolist()
        return cls((low, lower, higher, high), reject_below)

    @classmethod
    def parse(cls, text: str, reject_below: float | None = None) -> Self:
        """Thresholds as people write them: "20,40,60,80".

        Raises:
            UsageError: they are not four ascending scores.
        """
        try:
            values = [float(part) for part in text.split(",")]
        except ValueError:
            values = []
        if len(values) != 4 or values != sorted(set(values)) or not all(map(math.isfinite, values)):
            raise UsageError(
                f"invalid --thresholds {text!r}: expected four ascending scores, e.g. 20,40,60,80"
            )
        return cls((values[0], values[1], values[2], values[3]), reject_below)

    def of(self, score: float) -> int:
        """Stars of a score, 1–5, or `REJECTED`."""
        if self.reject_below is not None and score < self.reject_below:
            return REJECTED
        return 1 + bisect_right(self.thresholds, score)
