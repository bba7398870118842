"""What every data set is read into: one frozen `Sample` an image, and the `Facts` of the set."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dgqa_infer.errors import UsageError


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of a data set.

    Attributes:
        path: the image.
        score: on the set's own scale; None in a set without opinions (KADIS-700k).
        reference: the pristine image that it was made from, where there is one.
        distortion: the set's own word for the distortion type, such as "jp2k".
        domain: class of the domain classifier where the set has them: 0 pristine, 1–25 KADID's types.
        level: strength of the distortion as the set counts it, from 1.
        columns: what else the set's table says of this image, as text: split, attributes.
    """

    path: Path
    score: float | None
    reference: Path | None = None
    distortion: str | None = None
    domain: int | None = None
    level: int | None = None
    columns: dict[str, str] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is true of a set as a whole.

    Attributes:
        name: how it is asked for, such as "koniq10k".
        title: how papers call it.
        images: number of images that the protocol uses.
        score: what the score is; empty for a set without opinions.
        higher_is_better: direction of the score.
        bounds: ends of the score's scale, inclusive; None where the scale has no ends.
        obtain: where the set is had from.
        citation: whom to cite.
        licence: what the authors allow, as far as they say.
    """

    name: str
    title: str
    images: int
    score: str
    higher_is_better: bool
    bounds: tuple[float, float] | None
    obtain: str
    citation: str
    licence: str


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """A data set that was read.

    Attributes:
        facts: of the set.
        samples: in the order of the set's own table.
    """

    facts: Facts
    samples: tuple[Sample, ...]

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def scores(self) -> NDArray[np.float64]:
        """The scores, float64 [n], on the set's own scale and in its own direction.

        Raises:
            UsageError: the set has no opinions.
        """
        if any(sample.score is None for sample in self.samples):
            raise UsageError(f"{self.facts.title} has no opinion scores: it can train, not evaluate")
        return np.array([sample.score for sample in self.samples], np.float64)
