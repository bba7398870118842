"""What a bundle's domain classifier says of photographs that the pipeline has cut into crops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgqa_infer.backends.base import Backend
from dgqa_infer.backends.batches import infer_photographs, require_values
from dgqa_infer.bundle.card import Domains
from dgqa_infer.domains.classes import is_kadid
from dgqa_infer.domains.explanation import explain, probabilities_by_class, with_score
from dgqa_infer.domains.profile import votes_of
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.results import Distortion


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is said of one photograph.

    Attributes:
        distortions: what is wrong with it, the most harmful first.
        votes: the four domains that it resembles; None where the classes are not KADID's.
        probabilities: of each class.
    """

    distortions: tuple[Distortion, ...]
    votes: tuple[int, ...] | None
    probabilities: Mapping[str, float]


def explain_photographs(
    backend: Backend, crops: Pixels, scores: NDArray[np.float64], grid: int, domains: Domains
) -> list[Explanation | None]:
    """Explain some photographs.

    Args:
        backend: with the domain graph.
        crops: uint8 [photographs × grid, crop, crop, 3], the crops of each photograph side by side.
        scores: float64 [photographs], 0–100.
        grid: crops of a photograph.
        domains: what the card says of the classifier, and which of the crops it looks at.

    Returns:
        One a photograph, in order; None where the classifier gave no finite numbers.

    Raises:
        BackendError: the runtime failed, or the graph has other outputs than the card says.
    """
    logits = mean_logits(backend, crops, grid, domains)
    weighed = with_score(logits, scores, domains.score_weight)
    return [
        Explanation(
            explain(with_its_score, domains),
            votes_of(seen) if is_kadid(domains) else None,
            probabilities_by_class(with_its_score, domains),
        )
        if np.isfinite(seen).all()
        else None
        for seen, with_its_score in zip(logits, weighed, strict=True)
    ]


def mean_logits(backend: Backend, crops: Pixels, grid: int, domains: Domains) -> NDArray[np.float64]:
    """The raw logits that explanations rest on, float64 [photographs, classes]: means over `Domains.crops`.

    Arguments and errors are those of `explain_photographs`.
    """
    chosen = list(domains.crops or range(grid))
    photographs = crops.reshape(-1, grid, *crops.shape[1:])
    looked_at = photographs[:, chosen].reshape(-1, *crops.shape[1:])
    logits = infer_photographs(backend, looked_at, len(chosen))["domain_logits"].astype(np.float64)
    require_values(logits, len(domains.classes))
    return np.asarray(logits.reshape(len(photographs), len(chosen), -1).mean(axis=1))
