"""A graph becomes int8, as much of it as keeps the scores: three calibrations, sensitive nodes left out one
by one.

The nodes are ranked by the harm that each does alone. Then the worst are left out, more and more, until a
calibration keeps the scores of photographs that it has not seen; of those that do, the closest is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from dgqa_export.calibration import METHODS, calibrate
from dgqa_export.packing import unpack
from dgqa_export.quantization import Ranges, quantizable, quantize
from dgqa_export.verification import MIN_SRCC
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.errors import ModelError, UsageError
from dgqa_infer.images.arrays import Pixels

MIN_PHOTOGRAPHS = 16
"""Fewer say too little about ranges, and nothing about order."""

_LEFT_OUT = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24)
_MARGIN = 0.75  # of the tolerance: the photographs that choose are not those that verify
_RANKING_CROPS = 16


@dataclass(frozen=True, slots=True)
class Trial:
    """One calibration with some nodes left in float32, judged on photographs that it has not seen.

    Attributes:
        method: of the calibration, one of `dgqa_export.calibration.METHODS`.
        left_out: number of nodes that stay in float32, worst first.
        mean_abs: mean absolute difference of the raw quality to the float32 graph's.
        max_abs: the largest.
        srcc: Spearman's rank correlation with the float32 graph's.
        chosen: whether this is the graph that was kept.
    """

    method: str
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
        graph: an ONNX model in float32 that keeps `dgqa_export.contract`.
        calibration: the crops of photographs, each uint8 [grid, side, side, 3]; ranges are measured on them.
        choosing: others, to choose a calibration and what to leave out.
        tolerance: of int8: mean absolute difference on the label scale.
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
    graph = unpack(graph)
    # One crop of each photograph, from another place each time: more contents for the same work.
    crops = np.stack([photograph[place % len(photograph)] for place, photograph in enumerate(calibration)])
    ranges = {}
    for method in METHODS:
        report(f"calibrating: {method}")
        ranges[method] = calibrate(graph, crops, method)
    ranking = _rank(graph, ranges[METHODS[0]], choosing, report)
    right = _predict(graph, choosing)
    trials: list[Trial] = []
    for count in _LEFT_OUT:
        if count > len(ranking) // 2:
            break
        kept = ranking[count:]
        passed: list[tuple[Trial, bytes]] = []
        for method in METHODS:
            report(f"trying {method} with {count} nodes in fp32")
            candidate = quantize(graph, ranges[method], kept)
            trial = _trial(method, count, right, _predict(candidate, choosing))
            trials.append(trial)
            if _passes(trial, tolerance):
                passed.append((trial, candidate))
        if passed:
            best, candidate = min(passed, key=lambda pair: pair[0].mean_abs)
            place = trials.index(best)
            trials[place] = Trial(**{**asdict(best), "chosen": True})
            return Int8Graph(candidate, tuple(ranking[:count]), tuple(trials))
    closest = min(trials, key=lambda trial: trial.mean_abs)
    raise ModelError(
        f"int8 moves this model's scores by {closest.mean_abs:.3f} in the mean with {closest.left_out} of "
        f"{len(ranking)} nodes in fp32, and {tolerance} is allowed; use fp16"
    )


def _rank(
    graph: bytes, ranges: Ranges, photographs: Sequence[Pixels], report: Callable[[str], None]
) -> list[str]:
    """The quantizable nodes, the one that does most harm alone first."""
    crops = [photograph[:1] for photograph in photographs[:_RANKING_CROPS]]
    right = _predict(graph, crops)
    harm: dict[str, float] = {}
    nodes = quantizable(graph)
    for number, node in enumerate(nodes, 1):
        report(f"ranking nodes: {number} of {len(nodes)}")
        found = _predict(quantize(graph, ranges, [node]), crops)
        harm[node] = float(np.abs(found - right).mean())
    return sorted(harm, key=lambda node: -harm[node])


def _predict(graph: bytes, photographs: Sequence[Pixels]) -> NDArray[np.float64]:
    """The raw quality of each photograph, by ONNX Runtime on the CPU."""
    with OnnxRuntimeBackend(graph) as backend:
        return np.array([backend.infer(crops)["quality"].mean(dtype=np.float64) for crops in photographs])


def _trial(method: str, left_out: int, right: NDArray[np.float64], found: NDArray[np.float64]) -> Trial:
    difference = np.abs(found - right)
    constant = np.ptp(found) == 0 or np.ptp(right) == 0
    srcc = 0.0 if constant else float(spearmanr(right, found).statistic)
    return Trial(method, left_out, float(difference.mean()), float(difference.max()), srcc)


def _passes(trial: Trial, tolerance: float) -> bool:
    disorder = _MARGIN * (1 - MIN_SRCC["int8"])
    return trial.mean_abs <= _MARGIN * tolerance and 1 - trial.srcc <= disorder
