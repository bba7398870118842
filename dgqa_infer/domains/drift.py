"""How far photographs are from those that a model was trained for, by the domains that they resemble.

Each photograph votes for the four classes with the highest mean logits, as in DGQA's selection of domains.
The votes of a set, as shares of all its votes, are its domain profile. The distance of two sets is the total
variation between their profiles: the share of votes that would have to go to other classes for the profiles
to be equal, 0 for equal ones and 1 for sets without a common class.

Two samples of the same photographs differ too, the smaller the samples the more. What they differ by is found
by resampling: whole photographs, each with its four votes, are drawn with replacement from both sets
together, as many for each sample as the set has, and the 99 % quantile of the distance between two such
samples is the threshold (a bootstrap of a two-sample test's null distribution: Efron and Tibshirani, "An
Introduction to the Bootstrap", 1993, chapter 16). Photographs and not votes are drawn, since the four votes
of one are not independent. It is seeded: the same sets have the same threshold. Large sets differ measurably
by what no one would train anew for, so a distance below `LEAST` is never called far.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from dgqa_infer.domains.classes import WORDS
from dgqa_infer.domains.profile import TOP, DomainProfile, ballot_matrix
from dgqa_infer.errors import UsageError

LEAST: Final = 0.05
"""A twentieth of the votes: sets that differ by less are not called far from each other."""

_QUANTILE = 0.99
_RESAMPLES = 1000
_BLOCK = 100
_NAMED = 3


@dataclass(frozen=True, slots=True)
class DomainDrift:
    """How far photographs are from those that a model was trained for.

    Attributes:
        distance: total variation between the profiles, 0–1.
        threshold: what two samples of the same photographs differ by at most, 99 times out of 100.
        photos: number of photographs at hand.
        target_photos: number of those that the model was trained for.
        changes: each class's share of the votes here less its share there; float, 26 of them.
    """

    distance: float
    threshold: float
    photos: int
    target_photos: int
    changes: tuple[float, ...]

    @property
    def far(self) -> bool:
        """Whether the photographs are of another kind than those that the model was trained for."""
        return self.distance > max(self.threshold, LEAST)

    def as_json(self) -> dict[str, Any]:
        """For a summary or a document."""
        return {
            "distance": round(self.distance, 4),
            "threshold": round(self.threshold, 4),
            "far": self.far,
            "photos": self.photos,
            "target_photos": self.target_photos,
        }

    def sentence(self, model: str) -> str:
        """For a person, in one line.

        Args:
            model: what the bundle is called.
        """
        told = (
            f"the domain profile is {self.distance:.2f} from that of the {self.target_photos:,} photographs "
            f"that {model} was trained for"
        )
        if not self.far:
            return f"{told}; samples of this size differ by up to {max(self.threshold, LEAST):.2f}"
        order = np.argsort(-np.array(self.changes), kind="stable")[:_NAMED]
        words = list(WORDS.values())
        more = ", ".join(words[number] for number in order if self.changes[number] > 0)
        return (
            f"{told}, and samples of this size differ by {self.threshold:.2f} at most. More here: {more}. "
            "For a model for these photographs run `dgqa-infer adapt PHOTOS`"
        )


def drift(here: DomainProfile, there: DomainProfile, seed: int = 0) -> DomainDrift:
    """Compare photographs with those that a model was trained for.

    Args:
        here: profile of the photographs at hand, at least one.
        there: profile of those that the model was trained for, by the same classifier; at least one.
        seed: of the resampling.

    Raises:
        UsageError: one of them has no photograph.
    """
    if not here.photos or not there.photos:
        raise UsageError("domain profiles can be compared where both have at least one photograph")
    changes = here.shares - there.shares
    return DomainDrift(
        distance=float(np.abs(changes).sum() / 2),
        threshold=_threshold(here, there, seed),
        photos=here.photos,
        target_photos=there.photos,
        changes=tuple(changes.tolist()),
    )


def _threshold(here: DomainProfile, there: DomainProfile, seed: int) -> float:
    kinds, counts = ballot_matrix(here.ballots + there.ballots)
    chances = counts / counts.sum()
    generator = np.random.default_rng(seed)
    distances = []
    # In blocks: there may be thousands of different ballots.
    for _ in range(_RESAMPLES // _BLOCK):
        one, other = (
            generator.multinomial(profile.photos, chances, _BLOCK) @ kinds / (TOP * profile.photos)
            for profile in (here, there)
        )
        distances.append(np.abs(one - other).sum(axis=1) / 2)
    return float(np.quantile(np.concatenate(distances), _QUANTILE))
