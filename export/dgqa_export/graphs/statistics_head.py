"""Statistics of a classifier's stages as an output of its graph, and a head that reads them in its place.

With these a trained classifier is given a `dgqa_training.classifier.statistics_head.StatisticsHead` without
PyTorch, and its features are taken by whatever runtime is fastest.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from dgqa_export.graphs.contract import parse
from dgqa_export.graphs.editing import replace_nodes, without_unread
from dgqa_export.graphs.packing import pack, unpack
from dgqa_infer.domains.classes import CLASSES
from dgqa_infer.errors import ModelError
from dgqa_training.classifier.statistics_head import LIMIT, StatisticsHead

STATISTICS = "statistics"
"""Name of the output that `with_statistics` adds."""

_LOGITS = "domain_logits"


def with_statistics(graph: bytes) -> bytes:
    """A classifier's graph that gives, instead of logits, what a statistics head reads.

    Args:
        graph: `domains.onnx` of a network that averages every stage for its head, packed or not.

    Returns:
        A graph with one output, `statistics`, float32 [batch, d]: of each stage but the last, from fine to
        coarse, the mean of every channel over the crop and then its standard deviation.

    Raises:
        ModelError: the graph has no averaged stages.
    """
    model = _trunk(graph)
    model.graph.output.append(helper.make_tensor_value_info(STATISTICS, TensorProto.FLOAT, ["batch", None]))
    return bytes(model.SerializeToString(deterministic=True))


def replace_domain_head(graph: bytes, head: StatisticsHead) -> bytes:
    """A classifier's graph with a statistics head in the place of its own, packed.

    Args:
        graph: see `with_statistics`.
        head: fitted to what that gives.

    Raises:
        ModelError: the graph has no averaged stages, or the head reads another number of statistics.
    """
    model = _trunk(graph)
    constants = {
        "head_mean": head.mean,
        "head_deviation": head.deviation,
        "head_low": np.array(-LIMIT, np.float32),
        "head_high": np.array(LIMIT, np.float32),
        "head_inner": head.inner.T,
        "head_inner_bias": head.inner_bias,
        "head_outer": head.outer.T,
        "head_outer_bias": head.outer_bias,
    }
    for name, value in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name))
    model.graph.node.extend(
        [
            helper.make_node("Sub", [STATISTICS, "head_mean"], ["head_centred"]),
            helper.make_node("Div", ["head_centred", "head_deviation"], ["head_standard"]),
            helper.make_node("Clip", ["head_standard", "head_low", "head_high"], ["head_limited"]),
            helper.make_node("MatMul", ["head_limited", "head_inner"], ["head_product"]),
            helper.make_node("Add", ["head_product", "head_inner_bias"], ["head_sum"]),
            helper.make_node("Relu", ["head_sum"], ["head_hidden"]),
            helper.make_node("MatMul", ["head_hidden", "head_outer"], ["head_logits"]),
            helper.make_node("Add", ["head_logits", "head_outer_bias"], [_LOGITS]),
        ]
    )
    model.graph.output.append(
        helper.make_tensor_value_info(_LOGITS, TensorProto.FLOAT, ["batch", len(CLASSES)])
    )
    return pack(bytes(model.SerializeToString(deterministic=True)))


def _trunk(graph: bytes) -> onnx.ModelProto:
    """The graph up to `statistics`, without an output."""
    model = parse(unpack(graph))
    stages = [node.input[0] for node in model.graph.node if node.op_type == "AveragePool"]
    if len(stages) < 2:
        raise ModelError("the classifier's graph averages no stages for its head")
    # The last is a function of the one before it, as wide as all others together, and tells nothing more:
    # top-1 on contents kept back was the same without it.
    stages.pop()
    del model.graph.output[:]
    replace_nodes(model.graph, without_unread(model.graph.node, stages))
    model.graph.initializer.extend(
        [
            numpy_helper.from_array(np.array([2, 3], np.int64), "over_the_crop"),
            numpy_helper.from_array(np.array(0, np.float32), "no_less_than"),
        ]
    )
    parts = []
    for number, stage in enumerate(stages):
        mean, deviation = f"stage{number}_mean", f"stage{number}_deviation"
        names = ("square", "mean_square", "squared_mean", "variance", "positive")
        square, mean_square, squared_mean, variance, positive = (f"stage{number}_{name}" for name in names)
        model.graph.node.extend(
            [
                helper.make_node("ReduceMean", [stage, "over_the_crop"], [mean], keepdims=0),
                helper.make_node("Mul", [stage, stage], [square]),
                helper.make_node("ReduceMean", [square, "over_the_crop"], [mean_square], keepdims=0),
                helper.make_node("Mul", [mean, mean], [squared_mean]),
                helper.make_node("Sub", [mean_square, squared_mean], [variance]),
                helper.make_node("Max", [variance, "no_less_than"], [positive]),
                helper.make_node("Sqrt", [positive], [deviation]),
            ]
        )
        parts += [mean, deviation]
    model.graph.node.append(helper.make_node("Concat", parts, [STATISTICS], axis=1))
    return model
