"""Which distortion types to learn from: those whose judgements of unrated photographs agree.

Trained on one type alone, a head ranks photographs; so each of the 25 types has an opinion of every
photograph. What people see in a photograph is what these opinions share, and what a type gets wrong is mostly
its own: then the more a judge agrees with the others, the more it agrees with the truth. For judges whose
errors are independent it is a theorem: F. Parisi, F. Strino, B. Nadler and Y. Kluger, Ranking and combining
multiple predictors without labeled data, PNAS 111(4), 2014. DGQA asks which types the photographs resemble;
this asks which types have something to say about them. `python -m benchmarks type_agreement` holds both
against people's opinion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from dgqa_training.adaptation.moments import Moments
from dgqa_training.distortions import DISTORTIONS

LEAST = 20
"""Fewer photographs say too little."""
ENOUGH = 300
"""More photographs change little: see `benchmarks/results/type_agreement.json`."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far the types agree on some photographs.

    Attributes:
        values: for types 1–25, the rank correlation of the type's judgement with the mean rank that all other
            types give, −1 to 1.
        photographs: that were judged.
    """

    values: tuple[float, ...]
    photographs: int

    @property
    def selected(self) -> tuple[int, ...]:
        """The types that agree at least as much as types do on average, ascending."""
        mean = sum(self.values) / len(self.values)
        return tuple(kind for kind, value in zip(DISTORTIONS, self.values, strict=True) if value >= mean)

    def record(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "photographs": self.photographs,
            "values": {
                str(kind): round(value, 4) for kind, value in zip(DISTORTIONS, self.values, strict=True)
            },
        }


def agreement(features: NDArray[np.float64], moments: Moments, ridge: float) -> Agreement:
    """Let every type judge photographs, and compare.

    Args:
        features: of the photographs, float64 [n, d], as `moments` has them.
        moments: of a synthetic set with all types.
        ridge: penalty, as in `Moments.solve`.
    """
    heads = [moments.solve([kind], ridge) for kind in DISTORTIONS]
    return of_judgements(np.stack([features @ head.weights + head.bias for head in heads]))


def of_judgements(judgements: NDArray[np.float64]) -> Agreement:
    """Compare judges.

    Args:
        judgements: float64 [25, n], a row for each type; only their order counts.
    """
    ranks = np.stack([rankdata(row) for row in judgements])
    ranks -= ranks.mean(axis=1, keepdims=True)
    others = ranks.sum(axis=0) - ranks
    size = np.linalg.norm(ranks, axis=1) * np.linalg.norm(others, axis=1)
    # Who gives all photographs the same rank agrees with nobody.
    values = np.divide((ranks * others).sum(axis=1), size, out=np.zeros(len(ranks)), where=size > 0)
    return Agreement(tuple(values.tolist()), judgements.shape[1])
