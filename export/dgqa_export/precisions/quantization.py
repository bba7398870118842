"""int8 in the graph: QuantizeLinear and DequantizeLinear around the backbone's convolutions and additions.

Weights are symmetric with a scale per output channel, see `dgqa_export.precisions.rounding`. Activations are
uint8 with a zero point, which ONNX Runtime and OpenVINO run in integers, and which swallows a ReLU6 whole;
TensorRT wants zero points of zero, see `symmetric`. A tensor is quantised once, whoever reads it. Nodes
that are left out compute in float32 from what was never quantised.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from dgqa_export.graphs.contract import check, parse
from dgqa_export.graphs.editing import replace_nodes, without_unread
from dgqa_export.precisions import pixel_codes
from dgqa_export.precisions.precision import convertible, float_tensors
from dgqa_export.precisions.rounding import Rounded, round_weights
from dgqa_infer.errors import ModelError

Ranges: TypeAlias = Mapping[str, tuple[float, float]]
"""Tensor → the lowest and highest value that it shall hold."""

_SCALE, _ZERO = "_scale", "_zero_point"


def quantizable(graph: bytes) -> tuple[str, ...]:
    """The nodes that int8 may compute, each named by its output: convolutions, and additions of two
    activations.

    Raises:
        ModelError: the graph is damaged, converted already, or has no convolution.
    """
    model = parse(graph)
    computed = float_tensors(model)
    return tuple(
        node.output[0]
        for node in convertible(model)
        if node.op_type == "Conv" or (node.op_type == "Add" and computed.issuperset(node.input))
    )


def quantize(
    graph: bytes, ranges: Ranges, nodes: Collection[str], weights: Mapping[str, Rounded] | None = None
) -> bytes:
    """Compute some nodes in int8.

    Args:
        graph: an ONNX model in float32 that keeps `dgqa_export.graphs.contract`.
        ranges: of every tensor that one of the nodes reads or, with nothing but a ReLU between, writes.
        nodes: some of `quantizable(graph)`.
        weights: of their convolutions, of `rounding.round_weights`; None for the nearest codes.

    Returns:
        The model with Q/DQ pairs.

    Raises:
        ModelError: a node is not quantizable, or a tensor has no range.
    """
    if foreign := set(nodes) - set(quantizable(graph)):
        raise ModelError(f"int8 cannot compute {sorted(foreign)}")
    model = parse(graph)
    region = {node.output[0] for node in convertible(model)}
    tensors = _tensors_to_quantize(model, region, nodes)
    pixels = pixel_codes.find(model)
    exact = pixels.name if pixels is not None else None
    if lacking := [name for name in tensors if name not in ranges and name != exact]:
        raise ModelError(f"calibration has no range for {lacking}")
    if weights is None:
        weights = round_weights(graph)
    ordered: list[onnx.NodeProto] = []
    for node in model.graph.node:
        chosen = node.output[0] in nodes
        for place, name in enumerate(node.input):
            # A node that computes in float32 because int8 harms it reads the tensor as it was.
            if name in tensors and (
                chosen or node.output[0] not in region or node.op_type not in ("Conv", "Add")
            ):
                node.input[place] = f"{name}_dequantized"
        if chosen and node.op_type == "Conv":
            ordered.append(_set_weight(model.graph, node, weights[node.output[0]]))
        ordered.append(node)
        for name in node.output:
            if name in tensors and pixels is not None and name == exact:
                ordered.extend(pixels.nodes(model.graph))
            elif name in tensors:
                ordered.extend(_quantize_tensor(model.graph, name, *ranges[name]))
    outputs = [value.name for value in model.graph.output]
    replace_nodes(model.graph, without_unread(ordered, outputs))
    quantized = bytes(model.SerializeToString(deterministic=True))
    check(quantized)
    return quantized


def symmetric(graph: bytes) -> bytes:
    """The same int8 model with zero points of zero, as TensorRT wants it: int8 over ± the larger end of
    each range.

    Args:
        graph: what `quantize` returned; any other graph comes back as it is.
    """
    model = parse(graph)
    if (nodes := pixel_codes.normalised_again(model)) is not None:
        replace_nodes(model.graph, nodes)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for name, zero in weights.items():
        if not name.endswith(_ZERO) or zero.data_type != TensorProto.UINT8:
            continue
        scale = weights[name.removesuffix(_ZERO) + _SCALE]
        step, point = float(numpy_helper.to_array(scale)), int(numpy_helper.to_array(zero))
        larger = max(point, 255 - point) * step
        scale.CopyFrom(numpy_helper.from_array(np.array(larger / 127, np.float32), scale.name))
        zero.CopyFrom(numpy_helper.from_array(np.array(0, np.int8), name))
    return bytes(model.SerializeToString(deterministic=True))


def _tensors_to_quantize(model: onnx.ModelProto, region: set[str], nodes: Collection[str]) -> list[str]:
    """What chosen nodes read, and what they write for the head alone, or it would leave them as float32."""
    computed = float_tensors(model)
    found: dict[str, None] = {}
    written = set(nodes)
    for node in model.graph.node:
        if node.output[0] in nodes:
            read = node.input[:1] if node.op_type == "Conv" else node.input
            found.update(dict.fromkeys(name for name in read if name in computed))
        elif node.op_type in ("Clip", "Relu") and node.input[0] in written:
            written.discard(node.input[0])
            written.add(node.output[0])
    read_inside = {name for node in model.graph.node if node.output[0] in region for name in node.input}
    found.update(dict.fromkeys(sorted(written - read_inside)))
    return list(found)


def _quantize_tensor(graph: onnx.GraphProto, name: str, low: float, high: float) -> list[onnx.NodeProto]:
    # Zero must have a code of its own: padding is zero.
    low, high = min(low, 0.0), max(high, 0.0)
    step = (high - low) / 255
    # A tensor that is zero everywhere, or nearly: any scale will do, but for zero itself.
    scale = np.array(step if step >= np.finfo(np.float32).tiny else 1.0, np.float32)
    zero = np.array(np.clip(np.round(-low / float(scale)), 0, 255), np.uint8)
    parameters = _parameters(graph, name, scale, zero)
    codes = f"{name}_codes"
    return [
        helper.make_node("QuantizeLinear", [name, *parameters], [codes], name=f"Quantize_{name}"),
        helper.make_node(
            "DequantizeLinear", [codes, *parameters], [f"{name}_dequantized"], name=f"Dequantize_{name}"
        ),
    ]


def _set_weight(graph: onnx.GraphProto, node: onnx.NodeProto, weight: Rounded) -> onnx.NodeProto:
    name, bias = node.input[1], f"{node.output[0]}_bias"
    parameters = _parameters(graph, name, weight.scale, np.zeros(len(weight.scale), np.int8))
    graph.initializer.extend(
        [
            numpy_helper.from_array(weight.codes, f"{name}_codes"),
            numpy_helper.from_array(weight.bias, bias),
        ]
    )
    node.input[1:] = [f"{name}_dequantized", bias]
    return helper.make_node(
        "DequantizeLinear", [f"{name}_codes", *parameters], [node.input[1]], name=f"Dequantize_{name}", axis=0
    )


def _parameters(
    graph: onnx.GraphProto, name: str, scale: NDArray[np.float32], zero: NDArray[np.generic]
) -> tuple[str, str]:
    graph.initializer.extend(
        [numpy_helper.from_array(scale, name + _SCALE), numpy_helper.from_array(zero, name + _ZERO)]
    )
    return name + _SCALE, name + _ZERO
