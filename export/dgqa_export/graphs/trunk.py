"""The trunk of a classifier's graph as a PyTorch network, to be trained further, and back into the graph.

A graph's convolutions have their batch normalisations folded in. The network gets neutral ones in their
place, which training may change and folding takes in again.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

from dgqa_export.graphs.contract import parse
from dgqa_export.graphs.editing import initializer
from dgqa_export.graphs.packing import pack, unpack
from dgqa_infer.errors import ModelError
from dgqa_training.classifier.statistics_head import StatisticsHead
from dgqa_training.networks.efficientnet_lite import EfficientNetLite


def trunk_of(graph: bytes, backbone: str) -> EfficientNetLite:
    """The convolutions of a classifier's graph as a network.

    Args:
        graph: of a classifier with a statistics head in fp32, packed or not.
        backbone: one of EfficientNet-Lite's variants.

    Returns:
        The network in evaluation mode; its last stage, which a statistics head does not read, is untrained.

    Raises:
        ModelError: the graph's convolutions are not those of the backbone.
    """
    model = parse(unpack(graph))
    network = EfficientNetLite(backbone).eval()
    for (conv, norm), node in _pairs(network, model):
        weights, bias = (_values(model, name) for name in node.input[1:3])
        if weights.shape != tuple(conv.weight.shape):
            raise ModelError(
                f"the graph's {node.name} has weights {list(weights.shape)}; {backbone} has "
                f"{list(conv.weight.shape)} there"
            )
        with torch.no_grad():
            conv.weight.copy_(torch.from_numpy(weights))
            norm.bias.copy_(torch.from_numpy(bias))
            assert norm.running_var is not None
            norm.running_var.fill_(1 - norm.eps)
    return network


def head_of(graph: bytes) -> StatisticsHead:
    """The statistics head of a classifier's graph.

    Raises:
        ModelError: the graph has none.
    """
    model = parse(unpack(graph))
    parts = ("mean", "deviation", "inner", "inner_bias", "outer", "outer_bias")
    names = [f"head_{part}" for part in parts]
    if lacking := set(names) - {tensor.name for tensor in model.graph.initializer}:
        raise ModelError(f"the graph has no {min(lacking)}: it has no statistics head in fp32")
    mean, deviation, inner, inner_bias, outer, outer_bias = (
        _values(model, name).astype(np.float32) for name in names
    )
    return StatisticsHead(mean, deviation, inner.T, inner_bias, outer.T, outer_bias)


def with_trunk(graph: bytes, network: EfficientNetLite, head: StatisticsHead) -> bytes:
    """The same graph with other weights, packed.

    Args:
        graph: see `trunk_of`.
        network: as that gives it, trained further.
        head: of the same sizes as the graph's.

    Raises:
        ModelError: the graph's convolutions are not the network's.
    """
    model = parse(unpack(graph))
    for (conv, _), node in _pairs(network.folded(), model):
        assert conv.bias is not None
        for name, weights in zip(node.input[1:3], (conv.weight, conv.bias), strict=True):
            _replace(model, name, weights.detach().numpy())
    constants = {
        "mean": head.mean,
        "deviation": head.deviation,
        "inner": head.inner.T,
        "inner_bias": head.inner_bias,
        "outer": head.outer.T,
        "outer_bias": head.outer_bias,
    }
    for name, values in constants.items():
        _replace(model, f"head_{name}", values)
    return pack(bytes(model.SerializeToString(deterministic=True)))


def _pairs(
    network: EfficientNetLite, model: onnx.ModelProto
) -> list[tuple[tuple[nn.Conv2d, nn.BatchNorm2d], onnx.NodeProto]]:
    """The network's convolutions with their normalisations, each with its node of the graph."""
    nodes = [node for node in model.graph.node if node.op_type == "Conv"]
    pairs = network.convolutions()[: len(nodes)]
    if len(nodes) != len(pairs) or any(len(node.input) != 3 for node in nodes):
        raise ModelError(f"the graph's {len(nodes)} convolutions are not those of an EfficientNet-Lite")
    return [
        (cast("tuple[nn.Conv2d, nn.BatchNorm2d]", pair), node)
        for pair, node in zip(pairs, nodes, strict=True)
    ]


def _values(model: onnx.ModelProto, name: str) -> NDArray[np.float32]:
    return np.array(numpy_helper.to_array(initializer(model, name)))


def _replace(model: onnx.ModelProto, name: str, values: NDArray[np.float32]) -> None:
    tensor = initializer(model, name)
    if list(tensor.dims) != list(values.shape):
        raise ModelError(f"the graph's {name} is {list(tensor.dims)}, not {list(values.shape)}")
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
