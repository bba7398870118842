from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from dgqa_export.graphs.graph import export_domains
from dgqa_export.graphs.packing import pack
from dgqa_export.graphs.statistics_head import STATISTICS, replace_domain_head, with_statistics
from dgqa_infer import ModelError
from dgqa_infer.domains.classes import CLASSES
from dgqa_training.classifier.statistics_head import StatisticsHead
from dgqa_training.networks.efficientnet_lite import STAGES, EfficientNetLite
from dgqa_training.networks.heads import DomainNetwork, Head

SIDE = 64


@pytest.fixture(scope="module")
def network() -> DomainNetwork:
    torch.manual_seed(0)
    return DomainNetwork(EfficientNetLite("efficientnet_lite0"), Head(STAGES)).eval()


@pytest.fixture(scope="module")
def graph(network: DomainNetwork) -> bytes:
    return pack(export_domains(network, SIDE, {"name": "test"}))


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)


def run(graph: bytes, crops: np.ndarray) -> np.ndarray:
    (found,) = onnxruntime.InferenceSession(graph).run(None, {"crops": crops})
    return np.asarray(found)


def test_statistics_are_the_mean_and_deviation_of_every_stage_but_the_last(
    network: DomainNetwork, graph: bytes, crops: np.ndarray
) -> None:
    """PyTorch's own reductions are the second opinion; packing rounds the weights to float16."""
    x = (torch.from_numpy(crops).float().permute(0, 3, 1, 2) - network.mean) / network.scale
    with torch.no_grad():
        stages = network.backbone.stages(x)
    expected = [
        part
        for name in STAGES[:-1]
        for part in (stages[name].mean((2, 3)), stages[name].std((2, 3), correction=0))
    ]
    found = run(with_statistics(graph), crops)
    np.testing.assert_allclose(found, torch.cat(expected, 1).numpy(), atol=0.02, rtol=0.02)


def test_a_graph_with_a_new_head_says_what_the_head_says(graph: bytes, crops: np.ndarray) -> None:
    generator = np.random.default_rng(1)
    size = run(with_statistics(graph), crops).shape[1]
    shapes = ((size,), (8, size), (8,), (len(CLASSES), 8), (len(CLASSES),))
    mean, inner, inner_bias, outer, outer_bias = (
        generator.normal(size=shape).astype(np.float32) for shape in shapes
    )
    head = StatisticsHead(mean, np.ones(size, np.float32), inner / 50, inner_bias, outer, outer_bias)
    replaced = replace_domain_head(graph, head)
    expected = head.logits(run(with_statistics(graph), crops))
    np.testing.assert_allclose(run(replaced, crops), expected, atol=0.02, rtol=0.01)
    onnx.checker.check_model(onnx.load_from_string(replaced))
    with pytest.raises(ModelError, match="averages no stages"):
        replace_domain_head(replaced, head)


def test_statistics_have_a_name_of_their_own(graph: bytes) -> None:
    assert [output.name for output in onnx.load_from_string(with_statistics(graph)).graph.output] == [
        STATISTICS
    ]
