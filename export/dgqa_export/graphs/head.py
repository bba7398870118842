"""The linear head of a quality graph: read it, replace it, or let the graph say what the head reads.

With these a frozen network is given another head without PyTorch.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from dgqa_export.graphs.contract import parse
from dgqa_export.graphs.editing import initializer
from dgqa_export.graphs.packing import pack, unpack
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.errors import ModelError
from dgqa_infer.images.arrays import Pixels

FEATURES = "features"
"""Name of the output that `with_features` adds."""


def size(graph: bytes) -> int:
    """Number of features that the head reads.

    Raises:
        ModelError: the graph has no linear head that gives one map.
    """
    return int(_weights(parse(unpack(graph))).dims[1])


def linear_head(graph: bytes) -> tuple[NDArray[np.float64], float]:
    """The weights [d] and the bias of a quality graph's head, on the label scale.

    Raises:
        ModelError: the graph has no linear head.
    """
    model = parse(unpack(graph))
    weights = numpy_helper.to_array(_weights(model)).astype(np.float64).reshape(-1)
    return weights, float(numpy_helper.to_array(initializer(model, _head(model).input[2]))[0])


def replace_head(graph: bytes, weights: NDArray[np.float64], bias: float) -> bytes:
    """The same graph with another head.

    Args:
        graph: of quality in fp32, packed or not; it stays as it is in that.
        weights: float [d].
        bias: on the label scale.

    Raises:
        ModelError: the graph has no linear head, or one that reads another number of features.
    """
    plain = unpack(graph)
    model = parse(plain)
    tensor = _weights(model)
    if tensor.dims[1] != len(weights):
        raise ModelError(
            f"the head reads {tensor.dims[1]} features; weights for {len(weights)} do not fit it"
        )
    name = _head(model).input[2]
    initializer(model, name).CopyFrom(numpy_helper.from_array(np.array([bias], np.float32), name))
    tensor.CopyFrom(numpy_helper.from_array(weights.astype(np.float32).reshape(1, -1, 1, 1), tensor.name))
    replaced = bytes(model.SerializeToString(deterministic=True))
    return replaced if plain == graph else pack(replaced)


def with_features(graph: bytes) -> bytes:
    """The same graph with what its head reads as a third output, float32 [batch, d, h, w]."""
    model = parse(graph)
    output = helper.make_tensor_value_info(_head(model).input[0], TensorProto.FLOAT, None)
    model.graph.output.append(output)
    return bytes(model.SerializeToString(deterministic=True))


class FeatureReader:
    """What a quality graph's head reads of photographs, through ONNX Runtime on the CPU.

    Args:
        graph: of quality.
        threads: of the runtime; None leaves it the choice.
    """

    def __init__(self, graph: bytes, threads: int | None = None) -> None:
        self._name = _head(parse(graph)).input[0]
        self._backend = OnnxRuntimeBackend(with_features(graph), threads=threads)

    def __call__(self, crops: Pixels) -> NDArray[np.float64]:
        """Features of one photograph, float64 [d]: the mean over its crops.

        Args:
            crops: uint8 [n, side, side, 3].
        """
        found: NDArray[np.float64] = self.of_crops(crops).mean(0)
        return found

    def of_crops(self, crops: Pixels) -> NDArray[np.float64]:
        """Features of each crop, float64 [n, d].

        Args:
            crops: uint8 [n, side, side, 3].
        """
        found: NDArray[np.float64] = self._backend.infer(crops)[self._name].mean((2, 3), np.float64)
        return found


def _head(model: onnx.ModelProto) -> onnx.NodeProto:
    """The last convolution: it alone has a single output channel, and `quality_map` comes from it."""
    convolutions: list[onnx.NodeProto] = [node for node in model.graph.node if node.op_type == "Conv"]
    if convolutions and len(convolutions[-1].input) == 3:
        return convolutions[-1]
    raise ModelError("the graph has no linear head: it does not end in a convolution with a bias")


def _weights(model: onnx.ModelProto) -> onnx.TensorProto:
    tensor = initializer(model, _head(model).input[1])
    if len(tensor.dims) != 4 or tensor.dims[0] != 1 or any(side != 1 for side in tensor.dims[2:]):
        raise ModelError(
            f"the graph has no linear head: its last convolution has weights {list(tensor.dims)}"
        )
    return tensor
