"""Weights are stored in half the bytes, and nothing else is."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from dgqa_export.graphs.packing import pack, unpack


def half_constants(graph: bytes) -> set[str]:
    model = onnx.load_from_string(graph)
    return {each.name for each in model.graph.initializer if each.data_type == TensorProto.FLOAT16}


def test_scales_of_a_quantised_graph_are_not_rounded(small_graph: bytes) -> None:
    """The smallest that float16 can tell from 0 is 6e-8; a channel of small weights has a smaller scale."""
    model = onnx.load_from_string(unpack(small_graph))
    scales = np.full(512, 1e-9, np.float32)
    weights = np.ones((512, 2, 1, 1), np.int8)
    model.graph.initializer.extend(
        [numpy_helper.from_array(scales, "scales"), numpy_helper.from_array(weights, "codes")]
    )
    model.graph.node.append(helper.make_node("DequantizeLinear", ["codes", "scales"], ["weights"], axis=0))
    packed = onnx.load_from_string(pack(model.SerializeToString()))
    (kept,) = (each for each in packed.graph.initializer if each.name == "scales")
    np.testing.assert_array_equal(numpy_helper.to_array(kept), scales)


def test_large_weights_are_halved_and_come_back(small_graph: bytes) -> None:
    packed = pack(unpack(small_graph))
    assert half_constants(packed)
    assert len(packed) < len(unpack(small_graph))
    assert pack(packed) == packed
    assert not half_constants(unpack(packed))
