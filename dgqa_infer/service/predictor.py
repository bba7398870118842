"""The predictor of a service: one batch may hold photographs to be explained and others."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from dgqa_infer.images.arrays import Pixels
from dgqa_infer.pipeline.predictor import Photo
from dgqa_infer.results import Result
from dgqa_infer.scorer import Scorer
from dgqa_infer.service.metrics import Metrics


class ServicePredictor:
    """See `dgqa_infer.pipeline.predictor.Predictor`.

    Explaining takes as long as scoring, so it is done only for photographs whose attributes were measured:
    `Encoded.measure` says so.
    """

    def __init__(self, plain: Scorer, explaining: Scorer | None, metrics: Metrics) -> None:
        """Say who scores.

        Args:
            plain: scores.
            explaining: the same model and limits, with explanations; None where the model has none.
            metrics: told of each batch.
        """
        self._plain, self._explaining, self._metrics = plain, explaining, metrics
        self.batch_size, self.limits, self.strict = plain.batch_size, plain.limits, plain.strict
        self.measure = explaining is not None
        self.jpeg_device = plain.jpeg_device
        self.memory_bytes = plain.memory_bytes + (explaining.memory_bytes if explaining else 0)
        self.preprocessing, self.model_id = plain.preprocessing, plain.model_id

    def predict(self, crops: Pixels, photos: Sequence[Photo]) -> list[Result]:
        """One result a photograph, in order; see `Scorer.predict`."""
        begun = time.perf_counter()
        wanted = np.array([photo.attributes is not None for photo in photos])
        results: list[Result | None] = [None] * len(photos)
        each = crops.reshape(len(photos), -1, *crops.shape[1:])
        for scorer, chosen in ((self._plain, ~wanted), (self._explaining, wanted)):
            places = np.flatnonzero(chosen).tolist()
            if scorer is None or not places:
                continue
            picked = each if len(places) == len(photos) else each[places]
            found = scorer.predict(picked.reshape(-1, *crops.shape[1:]), [photos[i] for i in places])
            for place, result in zip(places, found, strict=True):
                results[place] = result
        self._metrics.batch(len(photos), time.perf_counter() - begun)
        for photo in photos:
            self._metrics.decoded(photo.decode_seconds)
        return [result for result in results if result is not None]
