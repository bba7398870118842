"""Proof that a graph still gives the same scores: torch ↔ fp32 ↔ fp16 ↔ int8 ↔ engine, on photographs.

The raw quality of a photograph is compared, the mean over its crops, as a user would see it; and the
quality of each crop must not depend on the batch that it came in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import nn

from dgqa_infer.backends.base import Backend
from dgqa_infer.errors import ModelError, UsageError
from dgqa_infer.images.arrays import Pixels

Predict: TypeAlias = Callable[[Pixels], NDArray[np.float32]]
"""Crops uint8 [n, side, side, 3] → quality float32 [n] on the label scale."""

Candidates: TypeAlias = dict[str, tuple[str, Predict]]
"""Name, such as "fp16, onnxruntime cpu" → precision and predictor."""

MIN_SRCC = {"int8": 0.995}
"""Order that a precision must keep, where its tolerance bounds the mean difference and not the largest."""

_SMALL_BATCHES = (1, 2, 7)
_SEED = 7


@dataclass(frozen=True, slots=True)
class ScoreDrift:
    """How far one candidate's scores lie from the reference's.

    Attributes:
        candidate: what was judged, such as "fp16, onnxruntime cpu".
        reference: what it was compared with, such as "torch".
        precision: fp32, fp16, int8, or packed: fp32 with weights stored as float16.
        photographs: how many were compared.
        max_abs: largest difference of a photograph's raw quality.
        mean_abs: mean absolute difference.
        srcc: Spearman's rank correlation with the reference; None for fewer than three photographs.
        batches: largest difference of a crop's quality between batch sizes 1, 2, 7, the largest, and
            shuffled.
        tolerance: of the precision, on the label scale.
    """

    candidate: str
    reference: str
    precision: str
    photographs: int
    max_abs: float
    mean_abs: float
    srcc: float | None
    batches: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the difference is within the tolerance: the largest, or for int8 the mean and the order."""
        if self.precision in MIN_SRCC:
            in_order = self.srcc is not None and self.srcc >= MIN_SRCC[self.precision]
            return in_order and self.mean_abs <= self.tolerance and self.batches <= self.tolerance
        return self.max_abs <= self.tolerance and self.batches <= self.tolerance


@dataclass(frozen=True, slots=True)
class DriftReport:
    """All candidates against one reference.

    Attributes:
        drifts: of each candidate.
        not_compared: candidates that could not be loaded → why.
    """

    drifts: tuple[ScoreDrift, ...]
    not_compared: Mapping[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every candidate is within its tolerance."""
        return all(drift.passed for drift in self.drifts)

    def rows(self) -> list[dict[str, Any]]:
        """One JSON-able record a candidate: the fields of `ScoreDrift`, and `passed`."""
        return [{**asdict(drift), "passed": drift.passed} for drift in self.drifts]


def network_predictor(network: nn.Module) -> Predict:
    """A torch network as a predictor, in evaluation mode on the CPU."""
    network = network.eval().cpu()

    def predict(crops: Pixels) -> NDArray[np.float32]:
        with torch.no_grad():
            return np.asarray(network(torch.from_numpy(crops))["quality"], np.float32)

    return predict


def backend_predictor(backend: Backend) -> Predict:
    """A loaded backend as a predictor."""
    return lambda crops: backend.infer(crops)["quality"]


def verify(
    reference: Predict,
    candidates: Candidates,
    photographs: Iterable[Pixels],
    tolerances: Mapping[str, float],
    *,
    reference_name: str = "torch",
    largest_batch: int = 32,
) -> DriftReport:
    """Predict the same photographs with the reference and every candidate.

    Args:
        reference: what is right by definition.
        candidates: name → (precision, predictor).
        photographs: crops of each, uint8 [grid, side, side, 3]; read once, one at a time.
        tolerances: precision → largest difference on the label scale, as in a card.
        reference_name: how reports call the reference.
        largest_batch: the MAX of the batch sizes that are compared.

    Returns:
        One `ScoreDrift` a candidate, in their order.

    Raises:
        UsageError: there are no photographs.
        ModelError: a precision has no tolerance, or a predictor returns NaN or infinity.
    """
    if unknown := {precision for precision, _ in candidates.values()} - set(tolerances):
        raise ModelError(f"there is no tolerance for {', '.join(sorted(unknown))}")
    right: list[float] = []
    found: dict[str, list[float]] = {name: [] for name in candidates}
    pool: list[Pixels] = []
    for crops in photographs:
        right.append(_raw(reference_name, reference, crops))
        for name, (_, predict) in candidates.items():
            found[name].append(_raw(name, predict, crops))
        if sum(map(len, pool)) < largest_batch + max(_SMALL_BATCHES):
            pool.append(crops)
    if not right:
        raise UsageError("there are no photographs to compare on: none could be decoded")
    sample = np.concatenate(pool)
    drifts = []
    for name, (precision, predict) in candidates.items():
        difference = np.abs(np.subtract(found[name], right))
        drifts.append(
            ScoreDrift(
                candidate=name,
                reference=reference_name,
                precision=precision,
                photographs=len(right),
                max_abs=float(difference.max()),
                mean_abs=float(difference.mean()),
                srcc=_srcc(right, found[name]),
                batches=_batch_difference(predict, sample, largest_batch),
                tolerance=tolerances[precision],
            )
        )
    return DriftReport(tuple(drifts))


def _raw(name: str, predict: Predict, crops: Pixels) -> float:
    raw = float(np.mean(predict(crops), dtype=np.float64))
    if not np.isfinite(raw):
        raise ModelError(f"{name} gives {raw} for a photograph")
    return raw


def _srcc(right: Sequence[float], found: Sequence[float]) -> float | None:
    if len(right) < 3:
        return None
    if len(set(right)) == 1 or len(set(found)) == 1:
        # A constant has no order: it agrees with nothing but itself.
        return 1.0 if list(right) == list(found) else 0.0
    return float(spearmanr(right, found).statistic)


def _batch_difference(predict: Predict, crops: Pixels, largest: int) -> float:
    """Largest difference of one crop's quality between batch sizes, and between orders."""
    alone = np.concatenate([predict(crops[start : start + 1]) for start in range(len(crops))])
    worst = 0.0
    order = np.random.default_rng(_SEED).permutation(len(crops))
    for size in sorted({*_SMALL_BATCHES, largest}):
        for arrangement in (np.arange(len(crops)), order):
            for start in range(0, len(crops), size):
                places = arrangement[start : start + size]
                worst = max(worst, float(np.abs(predict(crops[places]) - alone[places]).max()))
    return worst
