"""Trunk and statistics head as one network: it says what the head says, and learns behind its stage alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dgqa_infer.domains.classes import CLASSES
from dgqa_training.classifier.statistics_head import StatisticsHead
from dgqa_training.classifier.statistics_network import StatisticsNetwork, TrunkConfig, train_trunk
from dgqa_training.loop.loop import Progress
from dgqa_training.networks.efficientnet_lite import EfficientNetLite

SIDE, HIDDEN = 64, 16
STATISTICS = 2 * (32 + 16 + 24 + 40 + 80 + 112 + 192 + 320)
"""EfficientNet-Lite0's widths (Tan & Le 2019, table 1, with Lite's fixed stem), twice each."""

CONFIG = TrunkConfig(
    recipe=replace(TrunkConfig().recipe, epochs=8, cooldown=8, batch=8, lr=1e-3, ema=0.0), crop=SIDE
)


class Coloured:
    """Red crops are class 3, blue ones class 5."""

    def __len__(self) -> int:
        return 16

    def target(self, index: int) -> float:
        return 3.0 if index % 2 else 5.0

    def crop(self, index: int, generator: np.random.Generator) -> NDArray[np.uint8]:
        crop = generator.integers(0, 60, (SIDE, SIDE, 3), dtype=np.uint8)
        crop[..., 0 if index % 2 else 2] += 180
        return crop


@pytest.fixture
def head() -> StatisticsHead:
    generator = np.random.default_rng(0)
    shapes = ((STATISTICS,), (HIDDEN, STATISTICS), (HIDDEN,), (len(CLASSES), HIDDEN), (len(CLASSES),))
    mean, inner, inner_bias, outer, outer_bias = (
        generator.normal(size=shape).astype(np.float32) / 10 for shape in shapes
    )
    return StatisticsHead(mean, np.ones(STATISTICS, np.float32), inner, inner_bias, outer, outer_bias)


@pytest.fixture
def network(head: StatisticsHead) -> StatisticsNetwork:
    torch.manual_seed(0)
    return StatisticsNetwork(EfficientNetLite("efficientnet_lite0"), head, dropout=0.2)


def test_it_says_what_the_head_says_of_its_statistics(
    network: StatisticsNetwork, head: StatisticsHead
) -> None:
    crops = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (2, SIDE, SIDE, 3), np.uint8))
    network.eval()
    with torch.no_grad():
        found = network(crops)["domain_logits"].numpy()
        expected = head.logits(network.statistics(crops).numpy())
    assert found.shape == (2, len(CLASSES))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_the_head_comes_out_as_it_went_in(network: StatisticsNetwork, head: StatisticsHead) -> None:
    found = network.head()
    for name in ("mean", "deviation", "inner", "inner_bias", "outer", "outer_bias"):
        np.testing.assert_array_equal(getattr(found, name), getattr(head, name))


def test_it_learns_and_leaves_what_it_should(network: StatisticsNetwork, tmp_path: Path) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    told: list[Progress] = []
    train_trunk(network, Coloured(), CONFIG, tmp_path, {}, observe=told.append)
    assert told[-1].loss < told[1].loss
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    early = ("backbone._conv_stem", "backbone._bn0", *(f"backbone._blocks.{block}." for block in range(3)))
    assert changed
    assert not [name for name in changed if name.startswith(early)]
    assert not [name for name in changed if "running" in name or "_depthwise" in name]
    assert not changed & {"mean", "deviation"}
    assert {"inner.weight", "outer.weight", "backbone._blocks.14._project_conv.weight"} <= changed
