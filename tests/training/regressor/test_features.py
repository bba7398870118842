from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dgqa_infer.bundle.preprocessing import STANDARD
from dgqa_infer.errors import ModelError
from dgqa_training.networks import checkpoints
from dgqa_training.networks.heads import DomainNetwork, Head, QualityNetwork, build_backbone
from dgqa_training.regressor.features import trained

HEAD = Head(("blocks3", "head"))


def saved(file: Path, network: QualityNetwork | DomainNetwork) -> Path:
    task: checkpoints.Task = "quality" if isinstance(network, QualityNetwork) else "domains"
    checkpoints.save(
        file, checkpoints.Checkpoint(task, "efficientnet_lite0", HEAD, STANDARD, network.state_dict())
    )
    return file


def test_a_trained_network_is_told_from_another_by_its_backbone_s_weights(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = QualityNetwork(build_backbone("efficientnet_lite0"), HEAD)
    found, record = trained(saved(tmp_path / "one.safetensors", network))
    assert record["backbone"] == "efficientnet_lite0"
    assert record["stages"] == ["blocks3", "head"]
    assert all(torch.equal(value, found.state_dict()[name]) for name, value in network.state_dict().items())

    torch.nn.init.zeros_(network.linear.weight)
    _, other_head = trained(saved(tmp_path / "two.safetensors", network))
    assert other_head == record
    next(network.backbone.parameters()).data[0] += 1
    _, other = trained(saved(tmp_path / "three.safetensors", network))
    assert other["trained"] != record["trained"]


def test_a_classifier_has_no_features_to_take_moments_of(tmp_path: Path) -> None:
    classifier = DomainNetwork(build_backbone("efficientnet_lite0"), HEAD)
    with pytest.raises(ModelError, match="no quality network"):
        trained(saved(tmp_path / "domains.safetensors", classifier))
