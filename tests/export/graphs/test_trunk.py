"""A classifier's convolutions out of its graph and back."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch

from dgqa_export.graphs.graph import export_domains
from dgqa_export.graphs.packing import pack, unpack
from dgqa_export.graphs.statistics_head import STATISTICS, replace_domain_head, with_statistics
from dgqa_export.graphs.trunk import head_of, trunk_of, with_trunk
from dgqa_infer import ModelError
from dgqa_infer.domains.classes import CLASSES
from dgqa_training.classifier.statistics_head import StatisticsHead
from dgqa_training.classifier.statistics_network import StatisticsNetwork
from dgqa_training.networks.efficientnet_lite import STAGES, EfficientNetLite
from dgqa_training.networks.heads import DomainNetwork, Head

SIDE = 64
LITE0 = "efficientnet_lite0"


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def plain(crops: np.ndarray) -> bytes:
    """A classifier whose head averages stages."""
    torch.manual_seed(0)
    network = DomainNetwork(EfficientNetLite(LITE0), Head(STAGES)).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # a network that learnt anything has offsets
            torch.nn.init.normal_(module.bias, std=0.1)
    return pack(export_domains(network, SIDE, {"name": "test"}))


@pytest.fixture(scope="module")
def graph(plain: bytes, crops: np.ndarray) -> bytes:
    """The same one with a statistics head."""
    generator = np.random.default_rng(1)
    statistics = run(with_statistics(plain), crops)[STATISTICS]
    size = statistics.shape[1]
    shapes = ((8, size), (8,), (len(CLASSES), 8), (len(CLASSES),))
    layers = [generator.normal(size=shape).astype(np.float32) for shape in shapes]
    layers[0] /= 10
    return replace_domain_head(plain, StatisticsHead(statistics.mean(0), np.ones(size, np.float32), *layers))


def run(graph: bytes, crops: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(graph)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"crops": crops}), strict=True))


def said_by(network: StatisticsNetwork, crops: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return np.asarray(network.eval()(torch.from_numpy(crops))["domain_logits"])


def test_the_network_says_what_the_graph_says(graph: bytes, crops: np.ndarray) -> None:
    network = StatisticsNetwork(trunk_of(graph, LITE0), head_of(graph))
    expected = run(graph, crops)["domain_logits"]
    np.testing.assert_allclose(said_by(network, crops), expected, atol=0.02, rtol=0.01)


def test_untouched_it_goes_back_byte_for_byte(graph: bytes) -> None:
    assert with_trunk(graph, trunk_of(graph, LITE0), head_of(graph)) == graph
    assert with_trunk(unpack(graph), trunk_of(graph, LITE0), head_of(graph)) == graph


def test_what_training_changed_is_in_the_graph(graph: bytes, crops: np.ndarray) -> None:
    """Weights, and the normalisation's own factors and offsets; the graph is packed, hence the tolerance."""
    network = StatisticsNetwork(trunk_of(graph, LITE0), head_of(graph))
    before = said_by(network, crops)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in network.parameters():
            factor = 1 + 0.1 * torch.randn(parameter.shape, generator=generator)
            parameter.mul_(factor)
    after = said_by(network, crops)
    backbone = network.backbone
    assert isinstance(backbone, EfficientNetLite)
    found = run(with_trunk(graph, backbone, network.head()), crops)["domain_logits"]
    assert np.abs(after - before).max() > 0.1
    np.testing.assert_allclose(found, after, atol=0.02, rtol=0.01)


def test_a_graph_of_another_network_is_refused(graph: bytes, plain: bytes) -> None:
    with pytest.raises(ModelError, match="has weights"):
        trunk_of(graph, "efficientnet_lite2")
    with pytest.raises(ModelError, match="no statistics head in fp32"):
        head_of(plain)
