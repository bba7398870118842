"""Half the size at full precision: weights stored as float16, computed as float32.

A packed graph is still an fp32 graph: each large weight is a float16 constant behind a Cast, which every
runtime folds away when it loads the graph. Rounding happens once, here; all runtimes then compute with the
same rounded weights, so packing moves scores by a fixed, small and measured amount and adds nothing to the
drift between them.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from dgqa_export.graphs.contract import check, parse
from dgqa_infer.errors import ModelError

_SMALLEST = 256
"""Constants with fewer values stay as they are: for biases, rounding costs more than bytes."""

_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")
_SUFFIX = "_half"
_LARGEST_HALF = float(np.finfo(np.float16).max)


def pack(graph: bytes) -> bytes:
    """Store a graph's large float32 weights as float16 behind a Cast.

    Args:
        graph: a serialized ONNX graph that keeps `dgqa_export.graphs.contract`.

    Returns:
        The packed graph, which keeps it too. Packing it again changes nothing.

    Raises:
        ModelError: a weight is too large for float16.
    """
    model = parse(graph)
    # A small scale would be rounded to 0, which no quantiser may have.
    scales = {node.input[1] for node in model.graph.node if node.op_type in _QUANTIZERS}
    casts = []
    for tensor in model.graph.initializer:
        small = int(np.prod(tensor.dims)) < _SMALLEST
        if tensor.data_type != TensorProto.FLOAT or small or tensor.name in scales:
            continue
        values = numpy_helper.to_array(tensor)
        if np.abs(values).max() > _LARGEST_HALF:
            raise ModelError(f"the weight {tensor.name} does not fit float16; export without packing")
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), name + _SUFFIX))
        casts.append(
            helper.make_node("Cast", [name + _SUFFIX], [name], f"unpack_{name}", to=TensorProto.FLOAT)
        )
    # In front: a node must come after whatever it reads, and the Cast of the crops stays the first.
    nodes = [model.graph.node[0], *casts, *model.graph.node[1:]]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return _serialized(model)


def unpack(graph: bytes) -> bytes:
    """The same graph with plain float32 weights, for tools that want to see them; the inverse of `pack`."""
    model = parse(graph)
    halves = {tensor.name: tensor for tensor in model.graph.initializer if tensor.name.endswith(_SUFFIX)}
    kept = []
    for node in model.graph.node:
        if node.op_type == "Cast" and node.input[0] in halves:
            tensor = halves[node.input[0]]
            values = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, node.output[0]))
        else:
            kept.append(node)
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return _serialized(model)


def _serialized(model: onnx.ModelProto) -> bytes:
    graph = bytes(model.SerializeToString(deterministic=True))
    check(graph)
    return graph
