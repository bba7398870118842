"""The report says how far scores lie apart, and whether that is allowed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import nn

from dgqa_export.verification import Predict, backend_predictor, network_predictor, verify
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.errors import ModelError, UsageError
from dgqa_infer.images.arrays import Pixels

TOLERANCES = {"fp32": 1e-4, "fp16": 0.02, "int8": 0.08}


def grey(crops: Pixels) -> NDArray[np.float32]:
    """Quality is the mean value, in tenths of white."""
    return crops.mean((1, 2, 3), dtype=np.float32) / np.float32(25.5)


def plus(offset: float) -> Predict:
    return lambda crops: grey(crops) + np.float32(offset)


def test_a_graph_and_its_network_are_equal(
    small_network: nn.Module, small_graph: bytes, sample_crops: list[Pixels]
) -> None:
    with OnnxRuntimeBackend(small_graph) as backend:
        report = verify(
            network_predictor(small_network),
            {"onnx": ("fp32", backend_predictor(backend))},
            sample_crops[:6],
            TOLERANCES,
            largest_batch=16,
        )
    (drift,) = report.drifts
    assert report.passed
    assert drift.photographs == 6
    assert drift.max_abs < 1e-4
    assert drift.batches < 1e-4
    assert drift.srcc == pytest.approx(1)


@pytest.mark.parametrize(
    ("precision", "offset", "passes"),
    [("fp32", 9e-5, True), ("fp32", 2e-4, False), ("fp16", 0.019, True), ("fp16", 0.021, False)],
)
def test_the_largest_difference_decides(
    sample_crops: list[Pixels], precision: str, offset: float, passes: bool
) -> None:
    report = verify(grey, {"moved": (precision, plus(offset))}, sample_crops, TOLERANCES)
    assert report.passed is passes
    assert report.drifts[0].max_abs == pytest.approx(offset, rel=0.05)
    assert report.drifts[0].mean_abs == pytest.approx(offset, rel=0.05)


def test_for_int8_the_mean_difference_and_the_order_decide(sample_crops: list[Pixels]) -> None:
    noise = {crops.tobytes(): value for crops, value in zip(sample_crops, _spread(0.05), strict=True)}

    def wobbly(crops: Pixels) -> NDArray[np.float32]:
        return grey(crops) + np.float32(noise.get(crops.tobytes(), 0))

    def backwards(crops: Pixels) -> NDArray[np.float32]:
        return np.float32(5) + np.float32(1e-3) * -grey(crops)

    # Any batch of other crops than a photograph's own has no noise: only single photographs are moved.
    report = verify(
        grey, {"wobbly": ("int8", wobbly), "backwards": ("int8", backwards)}, sample_crops, TOLERANCES
    )
    moved, turned = report.drifts
    right = [float(np.mean(grey(crops))) for crops in sample_crops]
    found = [float(np.mean(wobbly(crops))) for crops in sample_crops]
    assert moved.srcc == pytest.approx(spearmanr(right, found).statistic)
    assert moved.mean_abs == pytest.approx(0.05, rel=0.01)
    assert turned.srcc == pytest.approx(-1, abs=0.01)
    assert not turned.passed


def _spread(size: float) -> list[float]:
    return [size if number % 2 else -size for number in range(20)]


def test_a_judge_whose_answer_depends_on_the_batch_is_caught(sample_crops: list[Pixels]) -> None:
    def crowded(crops: Pixels) -> NDArray[np.float32]:
        return grey(crops) + np.float32(0.5 if len(crops) > 8 else 0)

    report = verify(grey, {"crowded": ("fp32", crowded)}, sample_crops, TOLERANCES, largest_batch=9)
    assert report.drifts[0].max_abs == 0
    assert report.drifts[0].batches == pytest.approx(0.5, rel=1e-3)
    assert not report.passed


def test_a_judge_whose_answer_depends_on_the_neighbours_is_caught(sample_crops: list[Pixels]) -> None:
    def leaking(crops: Pixels) -> NDArray[np.float32]:
        return grey(crops) + np.float32(0.01) * np.roll(grey(crops), 1) * (len(crops) not in (1, 5))

    report = verify(grey, {"leaking": ("fp32", leaking)}, sample_crops, TOLERANCES)
    assert report.drifts[0].batches > 1e-3
    assert not report.passed


def test_not_a_number_is_an_error_and_no_drift(sample_crops: list[Pixels]) -> None:
    with pytest.raises(ModelError, match="broken gives nan"):
        verify(grey, {"broken": ("fp32", plus(float("nan")))}, sample_crops, TOLERANCES)


def test_no_photographs_prove_nothing() -> None:
    with pytest.raises(UsageError, match="no photographs"):
        verify(grey, {"same": ("fp32", grey)}, [], TOLERANCES)


def test_a_precision_without_tolerance_is_refused(sample_crops: list[Pixels]) -> None:
    with pytest.raises(ModelError, match="no tolerance for fp16"):
        verify(grey, {"half": ("fp16", grey)}, sample_crops, {"fp32": 1e-4})


def test_a_constant_candidate_has_no_order(sample_crops: list[Pixels]) -> None:
    def constant(crops: Pixels) -> NDArray[np.float32]:
        return np.full(len(crops), 5, np.float32)

    assert verify(grey, {"c": ("int8", constant)}, sample_crops, TOLERANCES).drifts[0].srcc == 0


def test_too_few_photographs_have_no_order_either(sample_crops: list[Pixels]) -> None:
    report = verify(grey, {"same": ("fp16", grey)}, sample_crops[:2], TOLERANCES)
    assert report.drifts[0].srcc is None
    assert report.passed


def test_rows_are_json(sample_crops: list[Pixels]) -> None:
    report = verify(grey, {"same": ("fp32", grey)}, sample_crops, TOLERANCES, reference_name="grey")
    (row,) = json.loads(json.dumps(report.rows()))
    assert row["reference"] == "grey"
    assert row["candidate"] == "same"
    assert row["passed"] is True
