"""Lower precision, written into the graph: which nodes may have it, and float16.

The backbone's convolutions carry nearly all of the work and bear less precision well. Normalisation before
them stays in float32, and so does all that comes after the first pooling: averages over a map and the head
that reads the score. The graph's input and outputs keep their types, so callers see no difference.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from dgqa_export.graphs.contract import check, parse
from dgqa_export.graphs.editing import replace_nodes
from dgqa_export.graphs.packing import unpack
from dgqa_infer.errors import ModelError

_POOLING = {"AveragePool", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceSum", "ReduceMax"}


def backbone_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes from the first convolution up to, and without, the first pooling on each way to an output.

    A network that pools inside its blocks (squeeze and excitation) has less of it, and so less gain, never
    a wrong result.
    """
    inside: set[str] = set()
    after: set[str] = set()
    nodes = []
    for node in graph.node:
        if node.op_type in _POOLING or after.intersection(node.input):
            after.update(node.output)
        elif node.op_type == "Conv" or inside.intersection(node.input):
            inside.update(node.output)
            nodes.append(node)
    return nodes


def to_fp16(graph: bytes) -> bytes:
    """Compute the backbone in float16.

    Args:
        graph: an ONNX model in float32 that keeps `dgqa_export.graphs.contract`.

    Returns:
        The model with float16 weights and activations in `backbone_nodes`, and casts at that region's
        borders.

    Raises:
        ModelError: the graph breaks the contract, is not in fp32, has no convolution, or holds a weight
            beyond float16's range.
    """
    check(graph)
    model = parse(unpack(graph))
    region = convertible(model)
    floats = float_tensors(model)
    _halve_weights(model.graph, region)
    _cast_at_borders(model.graph, region, floats)
    half = bytes(model.SerializeToString(deterministic=True))
    check(half)
    return half


def precision_of(model: onnx.ModelProto) -> str:
    """What a graph computes in: int8 with quantised tensors, fp16 where a node reads float16, else fp32."""
    if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        return "int8"
    halves = {tensor.name for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT16}
    # A packed graph only stores its weights as float16; each is cast before it is used.
    if any(node.op_type != "Cast" and halves.intersection(node.input) for node in model.graph.node):
        return "fp16"
    return "fp32"


def convertible(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The backbone's nodes of a graph that may be converted.

    Raises:
        ModelError: it has been converted already, or has no convolution.
    """
    if (precision := precision_of(model)) != "fp32":
        raise ModelError(f"the graph is in {precision} already; start from the fp32 one")
    if not (region := backbone_nodes(model.graph)):
        raise ModelError("the graph has no convolution; there is nothing to compute in lower precision")
    return region


def float_tensors(model: onnx.ModelProto) -> set[str]:
    """Names of the float32 tensors that nodes compute; sizes and indices are left out."""
    known = onnx.shape_inference.infer_shapes(model).graph
    return {
        value.name
        for value in (*known.value_info, *known.output)
        if value.type.tensor_type.elem_type == TensorProto.FLOAT
    }


def _halve_weights(graph: onnx.GraphProto, region: Iterable[onnx.NodeProto]) -> None:
    """Give the region float16 copies of the weights that it reads."""
    weights = {tensor.name: tensor for tensor in graph.initializer}
    for node in region:
        for place, name in enumerate(node.input):
            if name not in weights or weights[name].data_type != TensorProto.FLOAT:
                continue
            half = f"{name}_half"
            if half not in weights:
                weights[half] = _half(weights[name], half)
                graph.initializer.append(weights[half])
            node.input[place] = half


def _half(tensor: TensorProto, name: str) -> TensorProto:
    values = numpy_helper.to_array(tensor)
    limit = float(np.finfo(np.float16).max)
    if not np.all(np.abs(values) <= limit):
        raise ModelError(f"the weight {tensor.name!r} is beyond float16's range of ±{limit:.0f}")
    return numpy_helper.from_array(values.astype(np.float16), name)


def _cast_at_borders(graph: onnx.GraphProto, region: list[onnx.NodeProto], floats: set[str]) -> None:
    made_inside = {name for node in region for name in node.output} & floats
    outside = [node for node in graph.node if not made_inside.intersection(node.output)]
    made_outside = {name for node in outside for name in node.output} & floats
    if made_inside & {value.name for value in graph.output}:
        raise ModelError("the graph's output comes straight out of the backbone; it has no head in float32")

    down = {name for node in region for name in node.input if name in made_outside}
    up = {name for node in outside for name in node.input if name in made_inside}
    for nodes, crossing, suffix in ((region, down, "half"), (outside, up, "float")):
        for node in nodes:
            for place, name in enumerate(node.input):
                if name in crossing:
                    node.input[place] = f"{name}_{suffix}"
    casts = {name: _cast(name, f"{name}_half", TensorProto.FLOAT16) for name in down}
    casts |= {name: _cast(name, f"{name}_float", TensorProto.FLOAT) for name in up}
    replace_nodes(
        graph,
        [
            each
            for node in graph.node
            for each in (node, *(casts[name] for name in node.output if name in casts))
        ],
    )


def _cast(source: str, target: str, to: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"Cast_{target}", to=to)
