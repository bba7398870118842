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

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from dgqa_infer.domains.classes import CLASSES, WORDS
from dgqa_infer.errors import ModelError, UsageError

TOP: Final = 4
"""Classes that each photograph votes for."""
LEAST: Final = 0.05
"""A twentieth of the votes: sets that differ by less are not called far from each other."""

_QUANTILE = 0.99
_RESAMPLES = 1000
_BLOCK = 100
_NAMED = 3


def votes_of(logits: NDArray[np.floating[Any]]) -> tuple[int, ...]:
    """The classes that a photograph votes for, likeliest first; of equal logits the lower class.

    Args:
        logits: [26], the mean over its crops.
    """
    return tuple(np.argsort(-logits, kind="stable")[:TOP].tolist())


@dataclass(slots=True)
class Profile:
    """How often each ballot was cast; its size is bounded by the number of ballots that there can be.

    Attributes:
        ballots: the four classes of a photograph, ascending → number of photographs.
    """

    ballots: Counter[tuple[int, ...]] = field(default_factory=Counter)

    def add(self, votes: Sequence[int], photos: int = 1) -> None:
        """Count a photograph, or some with the same votes.

        Args:
            votes: as `votes_of` gives them, in any order.
            photos: number of photographs.

        Raises:
            UsageError: they are not four different classes.
        """
        ballot = tuple(sorted(set(votes)))
        if len(ballot) != TOP or len(votes) != TOP or not 0 <= ballot[0] <= ballot[-1] < len(CLASSES):
            raise UsageError(f"{list(votes)} are not four different classes from 0 to {len(CLASSES) - 1}")
        self.ballots[ballot] += photos

    @property
    def photos(self) -> int:
        """Number of photographs."""
        return self.ballots.total()

    @property
    def votes(self) -> NDArray[np.int64]:
        """Photographs that voted for each class, int64 [26]."""
        kinds, counts = _matrix(self.ballots)
        votes: NDArray[np.int64] = counts @ kinds
        return votes

    @property
    def shares(self) -> NDArray[np.float64]:
        """Each class's share of all votes, float64 [26]; they sum to 1."""
        return self.votes / max(1, TOP * self.photos)

    def as_card(self) -> dict[str, Any]:
        """What a card holds as `domains.profile`."""
        ballots = {",".join(map(str, ballot)): count for ballot, count in sorted(self.ballots.items())}
        return {"photos": self.photos, "votes": self.votes.tolist(), "ballots": ballots}

    @classmethod
    def from_card(cls, data: Mapping[str, Any]) -> Self | None:
        """Read a card's `domains.profile`: the number of `photos`, and their `ballots` or at least `votes`.

        Where only the votes of each class are known, they are dealt out to the photographs, the most frequent
        class first, so that no photograph has a class twice and each class has its votes.

        Returns:
            None where the card says nothing: the field is empty.

        Raises:
            ModelError: it says what cannot be.
        """
        if not data:
            return None
        profile = cls()
        try:
            if "ballots" in data:
                for text, photos in data["ballots"].items():
                    profile.add([int(number) for number in text.split(",")], _count(photos, 1))
            else:
                votes = np.array([_count(each, 0) for each in data["votes"]])
                if len(votes) != len(CLASSES):
                    raise ValueError(f"there are votes for {len(votes)} classes")
                order = np.argsort(-votes, kind="stable")
                # Of a class that lies in one piece of at most so many votes, no photograph has two.
                for ballot in (
                    np.repeat(order, votes[order]).reshape(TOP, _count(data["photos"], 1)).T.tolist()
                ):
                    profile.add(ballot)
            if data["photos"] != profile.photos:
                raise ValueError(f"these are the votes of {profile.photos} photographs")
        except (KeyError, AttributeError, TypeError, ValueError, UsageError) as error:
            raise ModelError(f"the card's domains.profile cannot be read ({error})") from error
        return profile


@dataclass(frozen=True, slots=True)
class Drift:
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


def drift(here: Profile, there: Profile, seed: int = 0) -> Drift:
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
    return Drift(
        distance=float(np.abs(changes).sum() / 2),
        threshold=_threshold(here, there, seed),
        photos=here.photos,
        target_photos=there.photos,
        changes=tuple(changes.tolist()),
    )


def _threshold(here: Profile, there: Profile, seed: int) -> float:
    kinds, counts = _matrix(here.ballots + there.ballots)
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


def _count(value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{value!r} is no number of photographs")
    return value


def _matrix(ballots: Mapping[tuple[int, ...], int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The classes of each ballot, int64 0 or 1 [ballots, 26], and its photographs, int64 [ballots]."""
    kinds = np.zeros((len(ballots), len(CLASSES)), np.int64)
    # Sorted, so that the same sets are resampled the same however they were counted.
    order = sorted(ballots)
    for row, ballot in zip(kinds, order, strict=True):
        row[list(ballot)] = 1
    return kinds, np.array([ballots[ballot] for ballot in order], np.int64)
