"""int8 by Q/DQ pairs, where it was asked for and nowhere else."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from dgqa_export.graphs.contract import check, parse
from dgqa_export.precisions import quantization
from dgqa_export.precisions.calibration import METHODS, calibrate
from dgqa_export.precisions.precision import precision_of
from dgqa_export.precisions.quantization import Ranges, quantizable, quantize, symmetric
from dgqa_infer.backends import onnx_runtime
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.errors import ModelError, UsageError
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.processor import multiplies_int8


@pytest.fixture(scope="module")
def ranges(small_graph: bytes, sample_crops: list[Pixels]) -> Ranges:
    return calibrate(small_graph, np.concatenate(sample_crops), "minmax")


@pytest.fixture(scope="module")
def int8_graph(small_graph: bytes, ranges: Ranges) -> bytes:
    return quantize(small_graph, ranges, quantizable(small_graph))


def _constants(graph: bytes) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in parse(graph).graph.initializer}


def _makers(graph: bytes) -> dict[str, onnx.NodeProto]:
    return {name: node for node in parse(graph).graph.node for name in node.output}


def test_the_backbones_convolutions_and_its_residual_may_be_int8_but_not_the_head(small_graph: bytes) -> None:
    makers = _makers(small_graph)
    kinds = [makers[name].op_type for name in quantizable(small_graph)]
    assert sorted(kinds) == ["Add"] + ["Conv"] * 6


def test_weights_have_a_scale_for_each_output_channel_and_lie_within_half_a_step(
    small_graph: bytes, int8_graph: bytes
) -> None:
    before, after = _constants(small_graph), _constants(int8_graph)
    weights = [name.removesuffix("_codes") for name in after if name.endswith("_codes")]
    assert len(weights) == 6
    for name in weights:
        codes, scale = after[f"{name}_codes"], after[f"{name}_scale"]
        assert codes.dtype == np.int8
        assert np.abs(codes.astype(int)).reshape(len(codes), -1).max(1).tolist() == [127] * len(codes)
        step = scale.reshape(-1, 1, 1, 1)
        assert scale.shape == (len(codes),)
        assert np.all(np.abs(codes * step - before[name]) <= step / 2 * 1.0001)


def test_all_of_the_backbone_reads_dequantized_values_and_the_head_is_float(int8_graph: bytes) -> None:
    makers = _makers(int8_graph)
    for node in parse(int8_graph).graph.node:
        if node.op_type == "Conv":
            sources = [makers[name].op_type for name in node.input[:2] if name in makers]
            assert sources in (["DequantizeLinear", "DequantizeLinear"], ["Concat"])


def test_a_tensor_is_quantized_once_whoever_reads_it(int8_graph: bytes) -> None:
    sources = [node.input[0] for node in parse(int8_graph).graph.node if node.op_type == "QuantizeLinear"]
    assert len(sources) == len(set(sources))


def test_a_node_left_out_computes_with_its_own_weights_from_what_was_not_quantized(
    small_graph: bytes, ranges: Ranges
) -> None:
    nodes = quantizable(small_graph)
    graph = quantize(small_graph, ranges, nodes[1:])
    first = next(node for node in parse(graph).graph.node if node.op_type == "Conv")
    makers = _makers(graph)
    assert first.output[0] == nodes[0]
    assert makers[first.input[0]].op_type == "Div"
    assert _constants(graph)[first.input[1]].dtype == np.float32


def test_no_nodes_change_nothing(small_graph: bytes, ranges: Ranges, sample_crops: list[Pixels]) -> None:
    crops, same_graph = sample_crops[0], quantize(small_graph, ranges, ())
    with OnnxRuntimeBackend(small_graph) as single, OnnxRuntimeBackend(same_graph) as same:
        assert np.array_equal(single.infer(crops)["quality"], same.infer(crops)["quality"])


def test_onnx_runtime_computes_it_as_the_standard_says(int8_graph: bytes, sample_crops: list[Pixels]) -> None:
    # onnx's own reference evaluator, which fuses nothing, is the authority on what Q and DQ mean.
    crops = sample_crops[0][:2]
    (right, _) = ReferenceEvaluator(parse(int8_graph)).run(None, {"crops": crops})
    with OnnxRuntimeBackend(int8_graph) as backend:
        assert np.abs(backend.infer(crops)["quality"] - np.asarray(right)).max() < 0.05


def test_scores_stay_near(small_graph: bytes, int8_graph: bytes, sample_crops: list[Pixels]) -> None:
    crops = np.concatenate(sample_crops)
    with OnnxRuntimeBackend(small_graph) as single, OnnxRuntimeBackend(int8_graph) as quantized:
        right, found = single.infer(crops)["quality"], quantized.infer(crops)["quality"]
    assert np.abs(found - right).mean() < 0.3 * right.std()


def test_the_first_convolution_reads_the_pixels_as_codes_and_exactly_what_it_read_before(
    small_graph: bytes, int8_graph: bytes, sample_crops: list[Pixels]
) -> None:
    kinds = [node.op_type for node in parse(int8_graph).graph.node]
    assert "Sub" not in kinds
    assert "Div" not in kinds
    crops = np.concatenate(sample_crops)[:2]

    def read(graph: bytes, name: str) -> np.ndarray:
        model = parse(graph)
        del model.graph.output[:]
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
        (value,) = ReferenceEvaluator(model).run(None, {"crops": crops})
        return np.asarray(value)

    assert np.array_equal(read(int8_graph, "div_dequantized"), read(small_graph, "div"))


def test_a_network_that_normalises_channels_differently_does_so_as_before(
    small_graph: bytes, ranges: Ranges
) -> None:
    model = parse(small_graph)
    (subtraction,) = [node for node in model.graph.node if node.op_type == "Sub"]
    for constant in model.graph.initializer:
        if constant.name == subtraction.input[1]:
            means = np.array([124, 116, 104], np.float32).reshape(1, 3, 1, 1)
            constant.CopyFrom(numpy_helper.from_array(means, constant.name))
    del model.graph.value_info[:]  # it was one number
    graph = model.SerializeToString()
    kinds = [node.op_type for node in parse(quantize(graph, ranges, quantizable(graph))).graph.node]
    assert {"Sub", "Div"} <= set(kinds)


def test_symmetric_has_zero_points_of_zero(int8_graph: bytes, sample_crops: list[Pixels]) -> None:
    graph = symmetric(int8_graph)
    check(graph)
    zeros = [value for name, value in _constants(graph).items() if name.endswith("_zero_point")]
    assert zeros
    assert all(value.dtype == np.int8 and not value.any() for value in zeros)
    crops = np.concatenate(sample_crops)
    with OnnxRuntimeBackend(int8_graph) as one, OnnxRuntimeBackend(graph) as other:
        right, found = one.infer(crops)["quality"], other.infer(crops)["quality"]
    assert np.abs(found - right).mean() < 0.3 * right.std()


def test_symmetric_leaves_other_graphs_as_they_are(small_graph: bytes) -> None:
    assert parse(symmetric(small_graph)) == parse(small_graph)


def test_contract_and_precision_of_the_result(int8_graph: bytes) -> None:
    assert check(int8_graph).outputs == ("quality", "quality_map")
    assert precision_of(parse(int8_graph)) == "int8"


def test_a_graph_in_int8_is_not_quantized_again(int8_graph: bytes) -> None:
    with pytest.raises(ModelError, match="in int8 already"):
        quantizable(int8_graph)


def test_a_missing_range_is_named(small_graph: bytes, int8_graph: bytes, ranges: Ranges) -> None:
    nodes = quantizable(small_graph)
    quantized = [node.input[0] for node in parse(int8_graph).graph.node if node.op_type == "QuantizeLinear"]
    wanted = quantized[-1]
    lacking = {name: ends for name, ends in ranges.items() if name != wanted}
    with pytest.raises(ModelError, match=rf"no range for \['{wanted}'\]"):
        quantize(small_graph, lacking, nodes)


def test_a_foreign_node_is_named(small_graph: bytes, ranges: Ranges) -> None:
    with pytest.raises(ModelError, match=r"cannot compute \['quality'\]"):
        quantize(small_graph, ranges, ["quality"])


@given(ends=st.tuples(st.floats(-1e4, 1e4, width=32), st.floats(-1e4, 1e4, width=32)), share=st.floats(0, 1))
def test_zero_is_exact_and_what_lies_in_the_range_is_half_a_step_off_at_most(
    ends: tuple[float, float], share: float
) -> None:
    low, high = sorted(ends)
    graph = helper.make_graph([], "one", [], [])
    nodes = quantization._quantize_tensor(graph, "x", low, high)
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "one",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
            [helper.make_tensor_value_info("x_dequantized", TensorProto.FLOAT, [2])],
            graph.initializer,
        ),
        opset_imports=[helper.make_opsetid("", 20)],
    )
    value = np.float32(low + share * (high - low))
    (found,) = ReferenceEvaluator(model).run(None, {"x": np.array([0, value], np.float32)})
    step = (max(high, 0) - min(low, 0)) / 255
    assert found[0] == 0
    # Half a step for the value, half for the zero point, which is a whole number too.
    assert abs(float(found[1]) - value) <= step * 1.001 + 1e-6


def test_percentile_and_entropy_ranges_lie_within_the_minmax_range(
    small_graph: bytes, sample_crops: list[Pixels], ranges: Ranges
) -> None:
    crops = np.concatenate(sample_crops)[:32]
    widest = calibrate(small_graph, crops, "minmax")
    for method in METHODS[1:]:
        for name, (low, high) in calibrate(small_graph, crops, method).items():
            slack = 0.02 * (widest[name][1] - widest[name][0])
            assert low >= widest[name][0] - slack, (method, name)
            assert high <= widest[name][1] + slack, (method, name)


def test_the_minmax_range_of_the_first_convolution_is_that_of_the_normalised_pixels(
    sample_crops: list[Pixels], ranges: Ranges
) -> None:
    pixels = (np.concatenate(sample_crops).astype(np.float32) - 127) / 128
    assert ranges["div"] == pytest.approx((pixels.min(), pixels.max()))


def test_calibration_needs_photographs(small_graph: bytes) -> None:
    with pytest.raises(UsageError, match="no photographs to calibrate on"):
        calibrate(small_graph, np.zeros((0, 64, 64, 3), np.uint8), "minmax")


def test_a_processor_without_dot_products_gives_the_same_qualities(
    int8_graph: bytes, sample_crops: list[Pixels], monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime's kernels for such processors add up in 16 bits, unless they are told not to."""
    if not multiplies_int8():
        pytest.skip("this processor has no dot products, so it cannot say what is right")
    crops = np.concatenate(sample_crops)
    with OnnxRuntimeBackend(int8_graph) as backend:
        right = backend.infer(crops)["quality"]
    monkeypatch.setattr(onnx_runtime, "multiplies_int8", lambda: False)
    told = onnx_runtime.open_session(int8_graph, "cpu").get_session_options()
    assert told.get_session_config_entry("session.x64quantprecision") == "1"
    with OnnxRuntimeBackend(int8_graph) as backend:
        assert backend.infer(crops)["quality"].tolist() == right.tolist()
