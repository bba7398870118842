"""The domain profile of a set: how often each class is among the four that a photograph resembles most.

Each photograph votes for the four classes with the highest mean logits, as in DGQA's selection of domains.
The votes of a set, as shares of all its votes, are its domain profile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from dgqa_infer.domains.classes import CLASSES
from dgqa_infer.errors import ModelError, UsageError

TOP: Final = 4
"""Classes that each photograph votes for."""


def likeliest(logits: NDArray[np.floating[Any]], top: int = TOP) -> NDArray[np.intp]:
    """DGQA's rule of voting: the classes with the highest logits, likeliest first; of equal ones the lower.

    Args:
        logits: [..., 26], of each photograph the mean over its crops.
        top: how many classes a photograph votes for.

    Returns:
        [..., top].
    """
    return np.argsort(-logits, axis=-1, kind="stable")[..., :top]


def votes_of(logits: NDArray[np.floating[Any]]) -> tuple[int, ...]:
    """The four classes that a photograph votes for, by `likeliest`.

    Args:
        logits: [26], the mean over its crops.
    """
    return tuple(likeliest(logits).tolist())


@dataclass(slots=True)
class DomainProfile:
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
        kinds, counts = ballot_matrix(self.ballots)
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


def ballot_matrix(ballots: Mapping[tuple[int, ...], int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The classes of each ballot, int64 0 or 1 [ballots, 26], and its photographs, int64 [ballots]."""
    kinds = np.zeros((len(ballots), len(CLASSES)), np.int64)
    # Sorted, so that the same sets are resampled the same however they were counted.
    order = sorted(ballots)
    for row, ballot in zip(kinds, order, strict=True):
        row[list(ballot)] = 1
    return kinds, np.array([ballots[ballot] for ballot in order], np.int64)


def _count(value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{value!r} is no number of photographs")
    return value
