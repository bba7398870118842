import copy
import math

import numpy as np
import pytest
import torch

from dgqa_infer.bundle.preprocessing import STANDARD
from dgqa_training.networks.heads import Head, QualityNetwork, pretrained_backbone
from dgqa_training.regressor.training import STAGES
from dgqa_training.representation.network import Objective, StackNetwork, anchor_loss, order_loss
from dgqa_training.representation.stacks import Stacks

NAN = math.nan


@pytest.fixture
def network() -> StackNetwork:
    torch.manual_seed(0)
    backbone = pretrained_backbone("efficientnet_lite0")
    return StackNetwork(QualityNetwork(backbone, Head(STAGES["efficientnet_lite0"])), "blocks5")


@pytest.fixture
def batch(photographs) -> torch.Tensor:
    stacks = Stacks(photographs, STANDARD, rounds=1, seed=0)
    return torch.from_numpy(np.stack([stacks.crop(index, np.random.default_rng(0)) for index in (0, 4)]))


def test_the_order_loss_is_that_of_rankiqa():
    # L = max(0, f(x2) - f(x1) + e), e = 0.5, of pairs in which x1 is the better image, by hand:
    # (3.0, 2.0): max(0, -0.5) = 0; (1.0, 1.2): 0.7; (2.0, 1.8): 0.3; their mean is 1/3.
    better, worse = torch.tensor([3.0, 1.0, 2.0]), torch.tensor([2.0, 1.2, 1.8])
    assert order_loss(better, worse, 0.5).item() == pytest.approx(1 / 3)


def test_the_anchor_loss_is_the_mean_error_where_there_are_labels():
    falls = torch.tensor([[1.0, 4.0], [2.0, 2.0], [3.0, 5.0]])
    labels = torch.tensor([[1.5, 3.0], [NAN, NAN], [3.0, 7.0]])
    assert anchor_loss(falls, labels).item() == pytest.approx((0.5 + 1.0 + 0.0 + 2.0) / 4)
    assert anchor_loss(falls, torch.full((3, 2), NAN)).item() == 0


def test_an_objective_adds_up_its_four_parts():
    quality = torch.tensor([[8.0, 7.0, 7.8, 5.0, 5.5]])
    features = torch.tensor([[[1.0, 0.0], [1.0, 2.0], [0.0, 0.0], [3.0, 3.0], [3.0, 3.0]]])
    outputs = {"quality": quality, "features": features, "kept": torch.tensor([[0.0, 0.0]])}
    targets = torch.tensor([[9.0, 6.0]])
    # order: max(0, 7.8 - 8 + 0.5) + max(0, 5 - 7.8 + 0.5) = 0.3; view: (0, 2), (0, 0) squared, mean 1;
    # keep: (1, 0) squared, mean 0.5; anchor: falls 0.2 and 3 for 1 and 4, mean 0.9.
    assert Objective(1, 0, 0, 0, 0.5)(outputs, targets).item() == pytest.approx(0.3)
    assert Objective(0, 1, 0, 0)(outputs, targets).item() == pytest.approx(1.0)
    assert Objective(0, 0, 1, 0)(outputs, targets).item() == pytest.approx(0.5)
    assert Objective(0, 0, 0, 1)(outputs, targets).item() == pytest.approx(0.9)
    assert Objective(1, 2, 3, 4, 0.5)(outputs, targets).item() == pytest.approx(0.3 + 2 + 1.5 + 3.6)


def test_quality_is_that_of_the_network_itself_crop_by_crop(network, batch):
    network.eval()
    with torch.no_grad():
        found = network(batch)
        plain = network.network(batch.flatten(0, 1))["quality"].view(2, 5)
    torch.testing.assert_close(found["quality"], plain, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found["kept"], found["features"][:, 0], rtol=1e-3, atol=1e-3)


def test_remembered_maps_give_what_crops_give(network, batch):
    maps = network.frozen_maps(batch.flatten(0, 1))
    with torch.no_grad():
        whole, later = network(batch), network(maps.view(2, 5, *maps.shape[1:]))
    for name, value in whole.items():
        torch.testing.assert_close(later[name], value, rtol=1e-4, atol=1e-4, msg=name)


def test_a_step_changes_what_is_behind_the_stage_and_nothing_else(network, batch):
    before = copy.deepcopy(network.state_dict())
    network.train()
    optimiser = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=1e-3)
    Objective()(network(batch), torch.full((2, 2), NAN)).backward()
    optimiser.step()
    after = network.state_dict()
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    # EfficientNet-Lite0 has 1, 2, 2, 3, 3, 4 and 1 blocks: those of stage 6 begin with the twelfth.
    expected = {
        name
        for name, _ in network.named_parameters()
        if name.startswith(("network.linear", "network.backbone._conv_head", "network.backbone._bn1"))
        or (name.startswith("network.backbone._blocks.") and int(name.split(".")[3]) >= 11)
    }
    # No order depends on an offset of all qualities.
    assert changed == expected - {"network.linear.bias"}
