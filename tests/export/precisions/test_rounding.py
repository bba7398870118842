"""Weights as int8: what a convolution gives is kept, better than by the nearest codes."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from dgqa_export.graphs.contract import parse
from dgqa_export.precisions.calibration import calibrate
from dgqa_export.precisions.precision import convertible
from dgqa_export.precisions.quantization import quantizable, quantize
from dgqa_export.precisions.rounding import Moments, Rounded, compensated, measure, nearest, round_weights
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.images.arrays import Pixels


def _moments(read: np.ndarray) -> Moments:
    """Of samples [n, d] that a single group reads."""
    return Moments(read.mean(0)[np.newaxis], (read.T @ read / len(read))[np.newaxis])


def _values(rounded: Rounded) -> np.ndarray:
    codes = rounded.codes.astype(np.float64)
    return codes.reshape(len(codes), -1) * rounded.scale[:, np.newaxis].astype(np.float64)


def test_moments_are_those_of_what_the_reference_evaluator_says_each_convolution_reads(
    small_graph: bytes, sample_crops: list[Pixels]
) -> None:
    crops = np.concatenate(sample_crops)[:2]
    found = measure(small_graph, crops)
    model = parse(small_graph)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes = [node for node in convertible(model) if node.op_type == "Conv"]
    assert set(found) == {node.output[0] for node in nodes}
    for node in nodes:
        # The mean of what a convolution gives follows from the mean of what it reads, weight by weight.
        weight, bias = constants[node.input[1]], constants[node.input[2]]
        mean = np.repeat(found[node.output[0]].mean, len(weight) // len(found[node.output[0]].mean), axis=0)
        expected = (weight.reshape(len(weight), -1) * mean).sum(1) + bias
        given_out = helper.make_tensor_value_info(node.output[0], 1, None)
        whole = parse(small_graph)
        del whole.graph.output[:]
        whole.graph.output.append(given_out)
        (value,) = ReferenceEvaluator(whole).run(None, {"crops": crops})
        if value.shape[2] * value.shape[3] <= 256:  # else only some of the places are looked at
            assert expected == pytest.approx(value.mean((0, 2, 3)), abs=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_the_output_moves_less_than_by_the_nearest_codes_and_not_at_all_in_the_mean(seed: int) -> None:
    random = np.random.default_rng(seed)
    read = random.gamma(0.5, size=(400, 12)) @ random.random((12, 12))
    weight = random.normal(size=(64, 12, 1, 1)).astype(np.float32)
    bias = random.normal(size=64).astype(np.float32)
    exact = read @ weight.reshape(64, 12).T.astype(np.float64) + bias

    def moved(rounded: Rounded) -> np.ndarray:
        return np.asarray(read @ _values(rounded).T + rounded.bias - exact)

    plain, better = moved(nearest(weight, bias)), moved(compensated(weight, bias, _moments(read)))
    assert np.abs(better.mean(0)).max() < 1e-5
    # Beside the mean, which the bias takes: what varies from place to place.
    assert better.std(0).mean() < 0.8 * plain.std(0).mean()


def test_codes_keep_to_127_and_a_channel_of_zeros_stays_zero() -> None:
    random = np.random.default_rng(1)
    weight = random.normal(size=(3, 4, 3, 3)).astype(np.float32)
    weight[1] = 0
    read = random.random((100, 36))
    read[:, 5] = 0  # an input that photographs never reach
    rounded = compensated(weight, np.zeros(3, np.float32), _moments(read))
    assert rounded.codes.dtype == np.int8
    assert np.abs(rounded.codes.astype(int)).max() == 127
    assert not rounded.codes[1].any()
    assert rounded.bias[1] == 0


def test_a_depthwise_channel_is_compensated_by_what_it_reads_itself() -> None:
    """Two channels, the same filter that sums to zero; one reads flat pictures, the other noise."""
    random = np.random.default_rng(2)
    weight = np.tile(random.normal(size=9), (2, 1)).astype(np.float32)
    weight -= weight.mean(1, keepdims=True)
    plain = _values(nearest(weight.reshape(2, 1, 3, 3), np.zeros(2, np.float32)))
    flat, noise = np.repeat(random.random((300, 1)), 9, axis=1) * 6, random.normal(size=(300, 9))
    moments = Moments(
        np.stack([flat.mean(0), noise.mean(0)]), np.stack([flat.T @ flat, noise.T @ noise]) / 300
    )
    first, second = _values(compensated(weight.reshape(2, 1, 3, 3), np.zeros(2, np.float32), moments))
    step = np.abs(weight).max() / 127
    assert abs(first.sum()) <= step / 2 < abs(plain[0].sum())
    assert np.abs(second - weight[1]).max() <= step


def test_a_graph_of_compensated_weights_stays_nearer_on_photographs_that_were_not_measured(
    small_graph: bytes, many_crops: list[Pixels]
) -> None:
    crops = np.concatenate(many_crops[:40])
    ranges = calibrate(small_graph, crops, "minmax")
    others = np.concatenate(many_crops[40:])
    with OnnxRuntimeBackend(small_graph) as backend:
        right = backend.infer(others)["quality"]

    def moved(weights: dict[str, Rounded]) -> float:
        with OnnxRuntimeBackend(quantize(small_graph, ranges, quantizable(small_graph), weights)) as backend:
            return float(np.abs(backend.infer(others)["quality"] - right).mean())

    assert moved(round_weights(small_graph, measure(small_graph, crops))) < moved(round_weights(small_graph))
