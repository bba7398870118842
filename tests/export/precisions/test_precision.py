"""float16 inside the backbone and nowhere else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from dgqa_export.graphs.contract import check, parse
from dgqa_export.precisions.precision import backbone_nodes, precision_of, to_fp16
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.errors import ModelError
from dgqa_infer.images.arrays import Pixels


@pytest.fixture(scope="module")
def half_graph(small_graph: bytes) -> bytes:
    return to_fp16(small_graph)


def _types(graph: bytes) -> dict[str, int]:
    known = onnx.shape_inference.infer_shapes(parse(graph), strict_mode=True).graph
    types = {value.name: value.type.tensor_type.elem_type for value in (*known.value_info, *known.output)}
    return types | {tensor.name: tensor.data_type for tensor in known.initializer}


def test_convolutions_compute_in_half_and_all_after_pooling_in_single(half_graph: bytes) -> None:
    types = _types(half_graph)
    nodes = parse(half_graph).graph.node
    convolutions = [node for node in nodes if node.op_type == "Conv"]
    *backbone, head = convolutions
    assert len(backbone) == 6
    assert all(types[name] == TensorProto.FLOAT16 for node in backbone for name in node.input)
    assert all(types[name] == TensorProto.FLOAT for name in head.input)
    pooling = [node for node in nodes if node.op_type in ("AveragePool", "ReduceMean")]
    assert pooling
    assert all(types[node.input[0]] == TensorProto.FLOAT for node in pooling)


def test_normalisation_computes_in_single(half_graph: bytes) -> None:
    types = _types(half_graph)
    arithmetic = [node for node in parse(half_graph).graph.node if node.op_type in ("Sub", "Div")]
    assert len(arithmetic) == 2
    assert all(types[node.output[0]] == TensorProto.FLOAT for node in arithmetic)


def test_the_graphs_borders_keep_their_types(small_graph: bytes, half_graph: bytes) -> None:
    before, after = parse(small_graph).graph, parse(half_graph).graph
    assert list(after.input) == list(before.input)
    assert list(after.output) == list(before.output)
    assert parse(half_graph).metadata_props == parse(small_graph).metadata_props


def test_weights_take_half_the_room(small_graph: bytes, half_graph: bytes) -> None:
    size = {
        name: sum(numpy_helper.to_array(tensor).nbytes for tensor in parse(graph).graph.initializer)
        for name, graph in (("single", small_graph), ("half", half_graph))
    }
    assert size["half"] < 0.6 * size["single"]


def test_scores_stay_within_the_tolerance_of_half(
    small_graph: bytes, half_graph: bytes, sample_crops: list[Pixels]
) -> None:
    crops = np.concatenate(sample_crops)
    with OnnxRuntimeBackend(small_graph) as single, OnnxRuntimeBackend(half_graph) as half:
        difference = np.abs(single.infer(crops)["quality"] - half.infer(crops)["quality"])
    assert 0 < difference.max() < 0.02


def test_a_weight_beyond_half_precision_is_refused_by_name(small_graph: bytes) -> None:
    model = parse(small_graph)
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == "network.stem.1.weight")
    values = numpy_helper.to_array(weight).copy()
    values[0] = 1e6
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    with pytest.raises(ModelError, match=r"'network.stem.1.weight' is beyond float16's range of ±65504"):
        to_fp16(model.SerializeToString())


def test_a_graph_in_half_is_not_halved_again(half_graph: bytes) -> None:
    assert precision_of(parse(half_graph)) == "fp16"
    with pytest.raises(ModelError, match="in fp16 already"):
        to_fp16(half_graph)


def test_a_graph_without_convolutions_is_refused(grey_model: Callable[..., onnx.ModelProto]) -> None:
    with pytest.raises(ModelError, match="no convolution"):
        to_fp16(grey_model().SerializeToString())


def test_nodes_need_no_names(small_graph: bytes, half_graph: bytes) -> None:
    model = parse(small_graph)
    for node in model.graph.node:
        node.ClearField("name")
    assert _types(to_fp16(model.SerializeToString())) == _types(half_graph)


def test_the_backbone_begins_at_the_first_convolution_and_ends_at_the_first_pooling(
    small_graph: bytes,
) -> None:
    operators = {node.op_type for node in backbone_nodes(parse(small_graph).graph)}
    assert operators == {"Conv", "Clip", "Add"}


def test_half_keeps_the_contract(half_graph: bytes) -> None:
    assert check(half_graph).outputs == ("quality", "quality_map")
