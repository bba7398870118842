"""DGQA's selection of domains: which distortion types do these photographs resemble?

The rule is the authors' (Li-aobo/DGQA, `sel_dist.py`), number for number. It works on logits, wherever they
come from, and needs NumPy only.

    >>> import numpy as np
    >>> logits = np.zeros((100, 26))
    >>> logits[:, [0, 1, 3, 25]] = 1  # every photograph resembles pristine ones and types 1, 3 and 25 most
    >>> select(logits).selected
    (1, 3, 25)
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dgqa_infer.domains.classes import CLASSES
from dgqa_infer.domains.profile import TOP, DomainProfile, likeliest
from dgqa_infer.errors import UsageError

Logits: TypeAlias = NDArray[np.floating[Any]]
ENOUGH = 20
"""Photographs below which a selection is not to be relied on: one vote more or less moves a score past the
threshold."""
_Z95 = 1.959963984540054  # the normal distribution's 97.5 % quantile


@dataclass(frozen=True, slots=True)
class Rule:
    """The parameters of the rule; the defaults are the paper's.

    Attributes:
        top: classes that each photograph votes for, its highest logits (`ntop`).
        counted: votes a photograph that make up the denominator: one less than `top`, since one usually goes
            to "pristine".
        threshold: least score of a type that is selected.
        decimals: to which a score is rounded before it is compared.
    """

    top: int = TOP
    counted: int = 3
    threshold: float = 0.04
    decimals: int = 2

    def __post_init__(self) -> None:
        if not (1 <= self.top <= len(CLASSES) and self.counted >= 1 and self.decimals >= 0):
            raise UsageError(f"{self} is no rule of selection: top is 1–{len(CLASSES)}, counted at least 1")

    @property
    def least(self) -> float:
        """The least score that rounds to the threshold: 0.035 by the paper's numbers."""
        scale = 10.0**self.decimals
        return (math.ceil(round(self.threshold * scale, 9)) - 0.5) / scale

    def passes(self, score: float) -> bool:
        """Whether a type with this score is selected."""
        return round(score, self.decimals) >= self.threshold


PAPER = Rule()


@dataclass(frozen=True, slots=True)
class DomainSelection:
    """What the rule says of a set of photographs.

    Attributes:
        votes: of each class 0–25: photographs that have it among their `rule.top` likeliest.
        photos: number of photographs it rests on.
        rule: that was applied.
    """

    votes: tuple[int, ...]
    photos: int
    rule: Rule = PAPER

    @classmethod
    def of(cls, profile: DomainProfile) -> DomainSelection:
        """What the paper's rule says of photographs whose votes are counted already.

        Args:
            profile: of at least one photograph.
        """
        return cls(tuple(profile.votes.tolist()), profile.photos)

    @property
    def scores(self) -> tuple[float, ...]:
        """Score of each class: votes / (`rule.counted` × photographs); 0–1/`rule.counted`."""
        return tuple(votes / (self.rule.counted * self.photos) for votes in self.votes)

    @property
    def selected(self) -> tuple[int, ...]:
        """The selected types, ascending; "pristine" is never one."""
        return tuple(kind for kind in range(1, len(CLASSES)) if self.rule.passes(self.scores[kind]))

    @property
    def reliable(self) -> bool:
        """Whether there are enough photographs to rely on it."""
        return self.photos >= ENOUGH

    @property
    def intervals(self) -> tuple[tuple[float, float], ...]:
        """Of each class, the 95 % interval of its score in photographs of this kind.

        Each photograph votes for a class or not, so this is Wilson's interval of a proportion (Wilson 1927).
        Unlike a bootstrap it does not shrink to a point for a class that no photograph voted for.
        """
        return tuple(self._interval(votes) for votes in self.votes)

    @property
    def undecided(self) -> tuple[int, ...]:
        """Types that other photographs of this kind might add or drop: the threshold is in their interval."""
        passes = self.rule.passes
        ends = ((kind, *self.intervals[kind]) for kind in range(1, len(CLASSES)))
        return tuple(kind for kind, low, high in ends if passes(low) != passes(high))

    def _interval(self, votes: int) -> tuple[float, float]:
        n, share, z2 = self.photos, votes / self.photos, _Z95**2
        centre = (share + z2 / (2 * n)) / (1 + z2 / n)
        half = _Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
        low, high = max(centre - half, 0.0), min(centre + half, 1.0)
        return low / self.rule.counted, high / self.rule.counted


def ballots(logits: Logits, rule: Rule = PAPER) -> NDArray[np.intp]:
    """The classes that each photograph votes for.

    Args:
        logits: [n, 26], for each photograph the mean of its crops' raw logits.
        rule: says how many.

    Returns:
        [n, rule.top], likeliest first; of equal logits the lower class comes first.

    Raises:
        UsageError: the logits are not of this shape, or one is not finite.
    """
    if logits.ndim != 2 or logits.shape[1] != len(CLASSES):
        raise UsageError(
            f"the rule needs logits [photographs, {len(CLASSES)}]; these are {list(logits.shape)}"
        )
    if not np.isfinite(logits).all():
        raise UsageError("the rule needs finite logits")
    return likeliest(logits, rule.top)


def select(logits: Logits, rule: Rule = PAPER) -> DomainSelection:
    """Apply the rule to all photographs at once.

    Args:
        logits: [n, 26], for each photograph the mean of its crops' raw logits.
        rule: its parameters.

    Raises:
        UsageError: the logits are not of this shape, one is not finite, or there is no photograph.
    """
    votes = np.bincount(ballots(logits, rule).ravel(), minlength=len(CLASSES))
    if not len(logits):
        raise UsageError("no domains can be selected: there is no usable photograph")
    return DomainSelection(tuple(votes.tolist()), len(logits), rule)


def overlap(first: Iterable[int], second: Iterable[int]) -> float:
    """Jaccard overlap of two selections: common types / types in either; 1 for two empty ones."""
    one, other = set(first), set(second)
    return len(one & other) / len(one | other) if one | other else 1.0
