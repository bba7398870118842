"""Whatever this package writes is accepted by the check that stands before a runtime and knows operators."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dgqa_export.graphs.contract import parse
from dgqa_export.graphs.graph import export_domains, export_quality
from dgqa_export.graphs.packing import pack
from dgqa_export.precisions.precision import float_tensors, to_fp16
from dgqa_export.precisions.quantization import quantizable, quantize, symmetric
from dgqa_infer.bundle import onnx_file
from dgqa_infer.bundle.graph_memory import graph_memory
from dgqa_training.networks.heads import DomainNetwork, Head, QualityNetwork, build_backbone
from dgqa_training.networks.hyper import HyperNetwork

NETWORKS: dict[str, tuple[type[nn.Module], str]] = {
    "linear": (QualityNetwork, "efficientnet_lite0"),
    "hyper": (HyperNetwork, "efficientnet_lite0"),
    "domains": (DomainNetwork, "efficientnet_lite0"),
}
SIDE = 224
OPSETS = (18, 23)
"""The first and the last that `dgqa-infer export` offers."""


@pytest.fixture(scope="module", params=NETWORKS)
def graph(request: pytest.FixtureRequest) -> bytes:
    kind, backbone = NETWORKS[request.param]
    export = export_domains if kind is DomainNetwork else export_quality
    return export(network(kind, backbone), SIDE, {"name": "test"})


def accepted(graph: bytes) -> None:
    memory = graph_memory(onnx_file.read(graph))
    memory.refuse_large()
    assert memory.weights > 1_000_000
    assert memory.crop > SIDE * SIDE * 3


def int8(graph: bytes) -> bytes:
    """With ranges of nobody's photographs: which operators there are does not depend on them."""
    return quantize(graph, dict.fromkeys(float_tensors(parse(graph)), (-1.0, 6.0)), quantizable(graph))


def test_in_every_precision(graph: bytes) -> None:
    for write in (bytes, pack, to_fp16, int8, lambda each: symmetric(int8(each))):
        accepted(write(graph))


def network(kind: type[nn.Module], backbone: str) -> nn.Module:
    torch.manual_seed(0)
    built = build_backbone(backbone)
    return kind(built, Head(tuple(built.channels)[-3:])).eval()


@pytest.mark.parametrize("opset", OPSETS)
def test_in_every_opset(opset: int) -> None:
    graph = export_quality(network(*NETWORKS["linear"]), SIDE, {"name": "test"}, opset=opset)
    for write in (bytes, pack, to_fp16, int8):
        accepted(write(graph))
