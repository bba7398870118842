"""A bundle's domain classifier on a device: which synthetic domains does each photograph resemble?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dgqa_infer.backends.batches import infer_photographs, memory_bytes
from dgqa_infer.backends.choice import open_backend
from dgqa_infer.bundle.bundle import DOMAIN_GRAPH, Bundle
from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.domains.classes import require_kadid
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.images.decode import DecodeLimits
from dgqa_infer.pipeline.predictor import Photo
from dgqa_infer.results import Failure


@dataclass(frozen=True, slots=True, eq=False)
class DomainLogits:
    """What the classifier says of one photograph.

    Attributes:
        path: the input as it was named.
        logits: float64 [26], the mean of its crops' raw logits.
    """

    path: str | None
    logits: NDArray[np.float64]


class DomainClassifier:
    """Predicts domains for the pipeline, as `Scorer` predicts quality. A context manager.

    Attributes:
        bundle: the model; its classes are KADID's.
        device: where it runs, such as "cpu" or "cuda:0".
        unused_gpu: why that is the CPU although there is a GPU; None if not so, or the device was asked for.
        batch_size: photographs that are predicted at once.
        limits: what an input may ask for.
        strict: whether damaged JPEG data is refused; it is not.
        measure: whether attributes are measured; they are not.
        memory_bytes: bytes of memory that the graph takes while it runs.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Bundle,
        *,
        device: str = "auto",
        threads: int | None = None,
        batch_size: int = 8,
    ) -> None:
        """Load the classifier.

        Args:
            model: name of a built-in bundle, a bundle's folder, or a bundle.
            device: "auto", "cpu", "cuda" or "cuda:N".
            threads: of the CPU for one batch; None for every core.
            batch_size: changes speed and memory, not logits.

        Raises:
            ModelError: the bundle is missing or damaged, has no classifier, or one with other classes.
            BackendError: the device or its runtime is missing.
        """
        self.bundle = model if isinstance(model, Bundle) else Bundle.load(model)
        require_kadid(self.bundle.card.domains, self.bundle.card.name)
        self.batch_size = batch_size
        self.limits = DecodeLimits()
        self.strict = False
        self.measure = False
        self.jpeg_device: str | None = None
        self.memory_bytes = memory_bytes(self.bundle.graph_memory(DOMAIN_GRAPH), threads)
        reasons: list[str] = []
        self._backend = open_backend(self.bundle, DOMAIN_GRAPH, device, threads, reasons.append)
        self.unused_gpu = "; ".join(reasons) or None
        self.device = self._backend.device

    @property
    def preprocessing(self) -> Preprocessing:
        """How photographs become crops."""
        return self.bundle.card.preprocessing

    @property
    def model_id(self) -> str:
        """Name and start of the domain graph's hash, such as "dgqa-lite0@8c1d0a44"."""
        card = self.bundle.card
        return f"{card.name}@{card.files[DOMAIN_GRAPH].sha256[:8]}"

    def predict(self, crops: Pixels, photos: Sequence[Photo]) -> list[DomainLogits | Failure]:
        """The mean raw logits of some photographs; see `pipeline.predictor.Predictor`.

        Args:
            crops: uint8 [photographs × grid, crop, crop, 3], the crops of each photograph side by side.
            photos: what is known of each.

        Returns:
            One result a photograph, in order; a failure where the graph gave no finite numbers.

        Raises:
            BackendError: the runtime failed.
        """
        grid = self.preprocessing.grid
        logits = infer_photographs(self._backend, crops, grid)["domain_logits"].astype(np.float64)
        means = logits.reshape(len(photos), grid, -1).mean(axis=1)
        return [self._result(photo.path, mean) for photo, mean in zip(photos, means, strict=True)]

    def _result(self, path: str | None, logits: NDArray[np.float64]) -> DomainLogits | Failure:
        if not np.isfinite(logits).all():
            return Failure(path, "not_finite", "the classifier gave no finite numbers for it", self.model_id)
        return DomainLogits(path, logits)

    def close(self) -> None:
        """Free the device."""
        self._backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
