"""One pass over a user's photographs: all that adapting asks of them, each listed once and decoded once.

Every photograph is asked which domains it resembles. Some, spread over all, and those that the user rated are
also asked for their features; of a few the crops are kept, so that a new bundle can be verified on them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dgqa_export.graphs.head import FeatureReader
from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.domains.classifier import DomainClassifier, DomainLogits
from dgqa_infer.errors import UsageError
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.inputs.files import Input
from dgqa_infer.pipeline.pipeline import Pipeline
from dgqa_infer.pipeline.predictor import Outcome, Photo
from dgqa_infer.results import Failure
from dgqa_training.adaptation import agreement

SAMPLE: Final = agreement.ENOUGH
"""Photographs that types are chosen by, at most."""
VERIFIED: Final = 32
"""Photographs on which a new bundle is verified, at most."""
SCALED: Final = 256
"""Rated photographs that set the scale of a new bundle, at most: 200 MB of crops."""


@dataclass(frozen=True, slots=True, eq=False)
class Surveyed(DomainLogits):
    """What the pass found of one photograph.

    Attributes:
        path: as it was named.
        logits: float64 [26], the mean of its crops' raw logits.
        features: float64 [d], what the head reads, the mean over its crops; None where nobody asks.
        crops: uint8 [grid, crop, crop, 3]; None where nobody asks.
    """

    features: NDArray[np.float64] | None = None
    crops: Pixels | None = None


class Survey:
    """What is asked of which photograph, and the result.

    Attributes:
        photographs: number of inputs that vote.
        sample: places of the photographs that types are chosen by.
        rated: places of the photographs that the user rated.
    """

    def __init__(self, found: Iterable[Input], rated: Sequence[Path] = (), voted: int = 0) -> None:
        """Plan the pass.

        Args:
            found: the photographs, as they are listed.
            rated: those that the user rated; one that is not among the others is looked at too, but does not
                vote.
            voted: how many of the first photographs an earlier pass has counted already.
        """
        self._inputs: list[Input] = list(found)
        self.photographs = len(self._inputs)
        step = max(1, math.ceil(self.photographs / SAMPLE))
        self.sample = tuple(
            place for place in range(0, self.photographs, step) if isinstance(self._inputs[place], str)
        )
        places = {
            os.path.abspath(each): place  # noqa: PTH100 (as the paths are spelled, links and all)
            for place, each in enumerate(self._inputs)
            if isinstance(each, str)
        }
        self.rated = tuple(self._place(path, places) for path in rated)
        asked = {*self.sample, *self.rated}
        again = sorted(place for place in asked if place < voted)
        self._order = (*again, *range(voted, len(self._inputs)))
        self._voted = voted
        self._asked = asked
        # Twice as many as are needed, since some may not be readable.
        self._scaled = self.rated[:: max(1, math.ceil(len(self.rated) / SCALED))]
        self._kept = {*self.sample[: 2 * VERIFIED], *self._scaled}
        self._features: dict[int, NDArray[np.float64]] = {}
        self._crops: dict[int, Pixels] = {}

    def _place(self, path: Path, places: dict[str, int]) -> int:
        place = places.setdefault(os.path.abspath(path), len(self._inputs))  # noqa: PTH100
        if place == len(self._inputs):
            self._inputs.append(str(path))
        return place

    def votes(self, pipeline: Pipeline[Surveyed]) -> Iterator[Outcome[Surveyed]]:
        """Make the pass, and keep what else was asked for.

        Args:
            pipeline: with a `SurveyPredictor` of this survey.

        Yields:
            The outcome of each photograph that votes, in the order in which they are listed.
        """
        for place, outcome in zip(
            self._order, pipeline.run(self._inputs[place] for place in self._order), strict=True
        ):
            if isinstance(outcome.result, Surveyed):
                if outcome.result.features is not None:
                    self._features[place] = outcome.result.features
                if outcome.result.crops is not None:
                    self._crops[place] = outcome.result.crops
            if self._voted <= place < self.photographs:
                yield outcome

    def asks_features(self, index: int) -> bool:
        """Whether the pass shall read features of its input number `index`."""
        return self._order[index] in self._asked

    def asks_crops(self, index: int) -> bool:
        """Whether the pass shall keep the crops of its input number `index`."""
        return self._order[index] in self._kept

    def features(self, places: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """What a head reads of photographs.

        Args:
            places: `sample` or `rated`.

        Returns:
            Features float64 [m, d] of those that could be read, and which those are, bool [n].

        Raises:
            UsageError: none could be read.
        """
        here = np.array([place in self._features for place in places], bool)
        if not here.any():
            raise UsageError(f"none of {len(places)} photographs can be read")
        return np.stack([self._features[place] for place in places if place in self._features]), here

    def crops_of_rated(self) -> tuple[list[Pixels], NDArray[np.bool_]]:
        """Crops of rated photographs, `SCALED` at most, and which of `rated` they are, bool [n].

        Raises:
            UsageError: none could be read.
        """
        scaled = {place for place in self._scaled if place in self._crops}
        if not scaled:
            raise UsageError(f"none of {len(self.rated)} photographs can be read")
        here = np.array([place in scaled for place in self.rated], bool)
        return [self._crops[place] for place in self.rated if place in scaled], here

    def verification(self) -> tuple[NDArray[np.float64], list[Pixels]]:
        """Photographs to verify a new bundle on: features float64 [n, d], and the crops of each.

        Raises:
            UsageError: none could be read.
        """
        places = [place for place in self.sample if place in self._crops][:VERIFIED]
        if not places:
            wanted = len(self.sample[: 2 * VERIFIED])
            raise UsageError(f"none of the {wanted} photographs to verify the model on can be read")
        features = np.stack([self._features[place] for place in places])
        return features, [self._crops[place] for place in places]


class SurveyPredictor:
    """Domains of every photograph, features of some, crops of few; see `pipeline.predictor.Predictor`."""

    def __init__(self, classifier: DomainClassifier, reader: FeatureReader, survey: Survey) -> None:
        """Combine.

        Args:
            classifier: of domains.
            reader: of features, of the same bundle.
            survey: says of which photographs.
        """
        self._classifier, self._reader, self._survey = classifier, reader, survey
        self.batch_size, self.limits = classifier.batch_size, classifier.limits
        self.strict, self.jpeg_device = classifier.strict, classifier.jpeg_device
        self.measure = classifier.measure
        # The reader runs the other graph of the same network.
        self.memory_bytes = 2 * classifier.memory_bytes

    @property
    def preprocessing(self) -> Preprocessing:
        """How photographs become crops."""
        return self._classifier.preprocessing

    @property
    def model_id(self) -> str:
        """Name and start of the domain graph's hash."""
        return self._classifier.model_id

    def predict(self, crops: Pixels, photos: Sequence[Photo]) -> list[Surveyed | Failure]:
        """What is asked of each photograph.

        Args:
            crops: uint8 [photographs × grid, crop, crop, 3], the crops of each photograph side by side.
            photos: what is known of each.

        Raises:
            BackendError: the runtime failed.
        """
        results: list[Surveyed | Failure] = []
        each = crops.reshape(len(photos), -1, *crops.shape[1:])
        for photo, cut, found in zip(photos, each, self._classifier.predict(crops, photos), strict=True):
            if isinstance(found, Failure):
                results.append(found)
                continue
            features = self._reader(cut) if self._survey.asks_features(photo.index) else None
            kept = cut.copy() if self._survey.asks_crops(photo.index) else None
            results.append(Surveyed(found.path, found.logits, features, kept))
        return results
