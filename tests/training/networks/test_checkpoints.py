import json
from dataclasses import replace

import pytest
import safetensors.torch
import torch

from dgqa_infer import ModelError
from dgqa_infer.bundle.preprocessing import STANDARD
from dgqa_training.networks import checkpoints
from dgqa_training.networks.heads import Head, QualityNetwork, build_backbone


@pytest.fixture(scope="module")
def checkpoint():
    torch.manual_seed(1)
    network = QualityNetwork(build_backbone("efficientnet_lite0"), Head(("blocks7",)))
    return checkpoints.Checkpoint(
        "quality", "efficientnet_lite0", network.head, STANDARD, network.state_dict(), {"seed": 1}
    )


def test_a_saved_checkpoint_loads_as_it_was(checkpoint, tmp_path):
    file = tmp_path / "deep" / "quality.safetensors"
    checkpoints.save(file, checkpoint)
    loaded = checkpoints.load(file)
    assert replace(loaded, tensors={}) == replace(checkpoint, tensors={})
    crops = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8)
    with torch.no_grad():
        expected = checkpoint.network()(crops)["quality"]
        assert torch.equal(loaded.network()(crops)["quality"], expected)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_truncated_checkpoint_is_named(checkpoint, tmp_path):
    file = tmp_path / "cut.safetensors"
    checkpoints.save(file, checkpoint)
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(ModelError, match=r"cut\.safetensors"):
        checkpoints.load(file)


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(ModelError, match="no such checkpoint"):
        checkpoints.load(tmp_path / "gone.safetensors")


def test_a_foreign_safetensors_file_is_refused(tmp_path):
    file = tmp_path / "foreign.safetensors"
    safetensors.torch.save_file({"x": torch.zeros(1)}, file)
    with pytest.raises(ModelError, match="not a checkpoint of this project"):
        checkpoints.load(file)


def test_an_incomplete_header_is_refused(tmp_path):
    file = tmp_path / "bare.safetensors"
    metadata = {"format": checkpoints.FORMAT, "task": "quality", "head": json.dumps({"stages": []})}
    safetensors.torch.save_file({"x": torch.zeros(1)}, file, metadata)
    with pytest.raises(ModelError, match="backbone"):
        checkpoints.load(file)


def test_weights_of_another_architecture_are_refused(checkpoint):
    with pytest.raises(ModelError, match="do not fit resnet50"):
        replace(checkpoint, backbone="resnet50", head=Head(("layer4",))).network()


def test_a_digest_is_of_all_weights_and_of_nothing_else():
    torch.manual_seed(0)
    one, other = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    assert checkpoints.digest(one) != checkpoints.digest(other)
    other.load_state_dict(one.state_dict())
    assert checkpoints.digest(one) == checkpoints.digest(other)
    other.bias.data[1] += 1
    assert checkpoints.digest(one) != checkpoints.digest(other)
