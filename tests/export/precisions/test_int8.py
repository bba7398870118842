"""The search for an int8 graph: the harmful nodes are left out, and what cannot be kept is refused."""

from __future__ import annotations

import numpy as np
import pytest

from dgqa_export.graphs.contract import parse
from dgqa_export.precisions import int8
from dgqa_export.precisions.calibration import calibrate
from dgqa_export.precisions.int8 import Int8Graph, to_int8
from dgqa_export.precisions.precision import precision_of
from dgqa_export.precisions.quantization import quantize
from dgqa_export.precisions.rounding import round_weights
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.errors import ModelError, UsageError
from dgqa_infer.images.arrays import Pixels


@pytest.fixture(scope="module")
def found(small_graph: bytes, many_crops: list[Pixels]) -> Int8Graph:
    return to_int8(small_graph, many_crops[0::4], many_crops[1::4], 0.08)


def test_the_graph_that_is_kept_passed_its_trial(found: Int8Graph) -> None:
    (chosen,) = [trial for trial in found.trials if trial.chosen]
    assert chosen.mean_abs <= 0.08
    assert chosen.srcc >= 0.995
    assert chosen.left_out == len(found.left_out)
    rivals = [(trial.rounding, trial.method) for trial in found.trials if trial.left_out == 0]
    methods = ("minmax", "percentile", "entropy")
    assert rivals == [(rounding, method) for rounding in ("nearest", "compensated") for method in methods]
    assert precision_of(parse(found.graph)) == "int8"


def test_nodes_are_ranked_by_the_harm_that_each_does_alone(
    small_graph: bytes, many_crops: list[Pixels]
) -> None:
    ranges = calibrate(small_graph, np.concatenate(many_crops[:16]), "minmax")
    photographs = many_crops[1::8]
    weights = round_weights(small_graph)
    ranked = int8._rank(small_graph, ranges, weights, photographs, lambda _: None)
    crops = np.concatenate([photograph[:1] for photograph in photographs])

    def harm(node: str) -> float:
        with (
            OnnxRuntimeBackend(small_graph) as single,
            OnnxRuntimeBackend(quantize(small_graph, ranges, [node])) as quantized,
        ):
            difference = single.infer(crops)["quality"] - quantized.infer(crops)["quality"]
        return float(np.abs(difference).mean())

    found = [harm(node) for node in ranked]
    assert found == pytest.approx(sorted(found, reverse=True), abs=1e-6)


def test_progress_is_told(small_graph: bytes, many_crops: list[Pixels]) -> None:
    said: list[str] = []
    with pytest.raises(ModelError):
        to_int8(small_graph, many_crops[0::4], many_crops[1::4], 0.0, said.append)
    assert said[:3] == ["calibrating: minmax", "calibrating: percentile", "calibrating: entropy"]
    assert any(line.startswith("ranking nodes: 1 of 7") for line in said)


def test_a_tolerance_that_cannot_be_met_is_refused_with_the_best_that_was_reached(
    small_graph: bytes, many_crops: list[Pixels]
) -> None:
    with pytest.raises(ModelError, match=r"int8 moves what this model says by 0\.\d+ .* use fp16"):
        to_int8(small_graph, many_crops[0::4], many_crops[1::4], 1e-9)


def test_too_few_photographs_are_refused(small_graph: bytes, many_crops: list[Pixels]) -> None:
    with pytest.raises(UsageError, match="at least 64 photographs"):
        to_int8(small_graph, many_crops[:15], many_crops[20:60], 0.08)
