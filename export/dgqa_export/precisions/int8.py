"""A graph becomes int8, as much of it as keeps the scores: three calibrations, two ways to round the weights,
and sensitive nodes left out one by one.

All of it is tried first. If no trial keeps the scores of photographs that it was not calibrated on, the nodes
are ranked by the harm that each does alone, and the worst are left out, more and more. Of the trials that
keep them with the fewest nodes left out, the closest is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from dgqa_export.graphs.contract import check
from dgqa_export.graphs.packing import unpack
from dgqa_export.precisions.calibration import METHODS, calibrate
from dgqa_export.precisions.quantization import Ranges, quantizable, quantize
from dgqa_export.precisions.rounding import Rounded, measure, round_weights
from dgqa_export.verification import MIN_SRCC
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.errors import ModelError, UsageError
from dgqa_infer.images.arrays import Pixels

MIN_PHOTOGRAPHS = 16
"""Fewer say too little about ranges, and nothing about order."""

_LEFT_OUT = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24)
_MARGIN = 0.75  # of the tolerance: the photographs that choose are not those that verify
_RANKING_CROPS = 16
_CALIBRATION_CROPS = 160
_COMPENSATED = "compensated"


@dataclass(frozen=True, slots=True)
class Trial:
    """One calibration with some nodes left in float32, judged on photographs that it has not seen.

    Differences are to what the float32 graph says of a photograph: its raw quality, or the mean logit of each
    class.

    Attributes:
        method: of the calibration, one of `dgqa_export.precisions.calibration.METHODS`.
        rounding: of the weights: "nearest", or "compensated" as in `dgqa_export.precisions.rounding`.
        left_out: number of nodes that stay in float32, worst first.
        mean_abs: mean absolute difference.
        max_abs: the largest.
        srcc: Spearman's rank correlation of the photographs; of classes the mean.
        chosen: whether this is the graph that was kept.
    """

    method: str
    rounding: str
    left_out: int
    mean_abs: float
    max_abs: float
    srcc: float
    chosen: bool = False

    def row(self) -> dict[str, Any]:
        """The trial, JSON-able."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Int8Graph:
    """An int8 graph and how it was found.

    Attributes:
        graph: the serialized model.
        left_out: the nodes that stay in float32, named by their outputs.
        trials: all that was tried.
    """

    graph: bytes
    left_out: tuple[str, ...]
    trials: tuple[Trial, ...]


def to_int8(
    graph: bytes,
    calibration: Sequence[Pixels],
    choosing: Sequence[Pixels],
    tolerance: float,
    report: Callable[[str], None] = lambda _: None,
) -> Int8Graph:
    """Quantise a graph.

    Args:
        graph: an ONNX model in float32 that keeps `dgqa_export.graphs.contract`; of quality or of domains.
        calibration: the crops of photographs, each uint8 [grid, side, side, 3]; ranges are measured on them.
        choosing: others, to choose a calibration and what to leave out.
        tolerance: of int8: mean absolute difference, on the label scale or of logits.
        report: called with a few words on what is being done.

    Raises:
        UsageError: too few photographs.
        ModelError: so much must stay in float32 that nothing is gained.
    """
    if min(len(calibration), len(choosing)) < MIN_PHOTOGRAPHS:
        raise UsageError(
            f"int8 needs at least {4 * MIN_PHOTOGRAPHS} photographs to calibrate and verify on: "
            "give it a folder with more"
        )
    search = _Search(unpack(graph), calibration, choosing, report)
    nodes: Sequence[str] = quantizable(search.graph)
    for count in _LEFT_OUT:
        if count > len(nodes) // 2:
            break
        if count == 1:
            nodes = search.ranking()
        # The nearest codes are what others would try; from then on only the better way is.
        roundings = ("nearest", _COMPENSATED) if count == 0 else (_COMPENSATED,)
        candidates = search.trials(nodes[count:], count, roundings)
        if passed := [trial for trial in candidates if _passes(trial, tolerance)]:
            best = min(passed, key=lambda trial: trial.mean_abs)
            tried = tuple(replace(trial, chosen=trial is best) for trial in search.tried)
            return Int8Graph(candidates[best], tuple(nodes[:count]), tried)
    closest = min(search.tried, key=lambda trial: trial.mean_abs)
    raise ModelError(
        f"int8 moves what this model says by {closest.mean_abs:.3f} in the mean with {closest.left_out} of "
        f"{len(nodes)} nodes in fp32, and {tolerance} is allowed; use fp16"
    )


class _Search:
    """What trials have in common.

    Attributes:
        graph: in float32.
        tried: so far.
    """

    def __init__(
        self,
        graph: bytes,
        calibration: Sequence[Pixels],
        choosing: Sequence[Pixels],
        report: Callable[[str], None],
    ) -> None:
        self.graph, self.tried = graph, list[Trial]()
        self._choosing, self._report = choosing, report
        crops = _spread(calibration)
        self._ranges: dict[str, Ranges] = {}
        for method in METHODS:
            report(f"calibrating: {method}")
            self._ranges[method] = calibrate(graph, crops, method)
        report("rounding weights")
        self._weights: dict[str, Mapping[str, Rounded]] = {
            "nearest": round_weights(graph),
            _COMPENSATED: round_weights(graph, measure(graph, crops)),
        }
        self._right = _predict(graph, choosing)

    def trials(self, nodes: Sequence[str], left_out: int, roundings: Sequence[str]) -> dict[Trial, bytes]:
        """Every calibration of these nodes with every rounding, each with its graph."""
        found = {}
        for rounding in roundings:
            for method, ranges in self._ranges.items():
                self._report(f"trying {method}, {rounding}, with {left_out} nodes in fp32")
                candidate = quantize(self.graph, ranges, nodes, self._weights[rounding])
                trial = _trial(method, rounding, left_out, self._right, _predict(candidate, self._choosing))
                self.tried.append(trial)
                found[trial] = candidate
        return found

    def ranking(self) -> list[str]:
        """The quantizable nodes, the one that does most harm alone first."""
        ranges, weights = self._ranges[METHODS[0]], self._weights[_COMPENSATED]
        return _rank(self.graph, ranges, weights, self._choosing, self._report)


def _spread(photographs: Sequence[Pixels]) -> Pixels:
    """Crops of every photograph, as many of each as are affordable, from another place each time."""
    most = max(1, _CALIBRATION_CROPS // len(photographs))
    return np.concatenate(
        [np.roll(crops, -place, axis=0)[: min(most, len(crops))] for place, crops in enumerate(photographs)]
    )


def _rank(
    graph: bytes,
    ranges: Ranges,
    weights: Mapping[str, Rounded],
    photographs: Sequence[Pixels],
    report: Callable[[str], None],
) -> list[str]:
    """The quantizable nodes, the one that does most harm alone first."""
    crops = [photograph[:1] for photograph in photographs[:_RANKING_CROPS]]
    right = _predict(graph, crops)
    harm: dict[str, float] = {}
    nodes = quantizable(graph)
    for number, node in enumerate(nodes, 1):
        report(f"ranking nodes: {number} of {len(nodes)}")
        found = _predict(quantize(graph, ranges, [node], weights), crops)
        harm[node] = float(np.abs(found - right).mean())
    return sorted(harm, key=lambda node: -harm[node])


def _predict(graph: bytes, photographs: Sequence[Pixels]) -> NDArray[np.float64]:
    """What a graph says of photographs on the CPU, float64 [n, k]: raw quality, or logits of k classes."""
    output = check(graph).outputs[0]
    with OnnxRuntimeBackend(graph) as backend:
        found = [backend.infer(crops)[output].mean(axis=0, dtype=np.float64) for crops in photographs]
    return np.array(found).reshape(len(photographs), -1)


def _trial(
    method: str, rounding: str, left_out: int, right: NDArray[np.float64], found: NDArray[np.float64]
) -> Trial:
    difference = np.abs(found - right)
    orders = [_srcc(*columns) for columns in zip(right.T, found.T, strict=True)]
    return Trial(
        method, rounding, left_out, float(difference.mean()), float(difference.max()), float(np.mean(orders))
    )


def _srcc(right: NDArray[np.float64], found: NDArray[np.float64]) -> float:
    constant = np.ptp(found) == 0 or np.ptp(right) == 0
    return 0.0 if constant else float(spearmanr(right, found).statistic)


def _passes(trial: Trial, tolerance: float) -> bool:
    disorder = _MARGIN * (1 - MIN_SRCC["int8"])
    return trial.mean_abs <= _MARGIN * tolerance and 1 - trial.srcc <= disorder
