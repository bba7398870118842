import pickle
from pathlib import Path

import pytest
import torch

from dgqa_infer import ModelError
from dgqa_training.networks import resnet
from dgqa_training.networks.resnet import ResNet50, load_torchvision


def _torchvision_state() -> dict[str, torch.Tensor]:
    """A state dict with the names and shapes of torchvision's resnet50, written down from its definition."""
    state: dict[str, torch.Tensor] = {}

    def convolution(name: str, out: int, channels: int, kernel: int) -> None:
        state[f"{name}.weight"] = torch.randn(out, channels, kernel, kernel) * 0.05

    def norm(name: str, channels: int) -> None:
        for part, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            state[f"{name}.{part}"] = torch.full((channels,), value)
        state[f"{name}.num_batches_tracked"] = torch.tensor(0)

    convolution("conv1", 64, 3, 7)
    norm("bn1", 64)
    channels = 64
    for layer, (blocks, inner) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512)), start=1):
        for block in range(blocks):
            name = f"layer{layer}.{block}"
            convolution(f"{name}.conv1", inner, channels, 1)
            norm(f"{name}.bn1", inner)
            convolution(f"{name}.conv2", inner, inner, 3)
            norm(f"{name}.bn2", inner)
            convolution(f"{name}.conv3", inner * 4, inner, 1)
            norm(f"{name}.bn3", inner * 4)
            if block == 0:
                convolution(f"{name}.downsample.0", inner * 4, channels, 1)
                norm(f"{name}.downsample.1", inner * 4)
            channels = inner * 4
    state["fc.weight"], state["fc.bias"] = torch.randn(1000, 2048), torch.zeros(1000)
    return state


def test_loads_a_state_dict_of_torchvision_strictly(tmp_path):
    state = _torchvision_state()
    torch.save(state, tmp_path / "resnet50.pth")
    network = load_torchvision(tmp_path / "resnet50.pth")
    assert torch.equal(network.state_dict()["layer3.5.conv2.weight"], state["layer3.5.conv2.weight"])
    # torchvision's documentation gives resnet50 25,557,032 parameters, classifier included.
    classifier = 2048 * 1000 + 1000
    assert sum(parameter.numel() for parameter in network.parameters()) + classifier == 25_557_032


def test_last_stage_has_2048_channels_at_a_thirty_second_of_the_size():
    with torch.no_grad():
        stages = ResNet50().eval().stages(torch.zeros(1, 3, 64, 96))
    assert stages["layer4"].shape == (1, 2048, 2, 3)


def test_refuses_a_state_dict_that_lacks_an_entry(tmp_path):
    state = _torchvision_state()
    del state["layer4.2.conv3.weight"]
    torch.save(state, tmp_path / "short.pth")
    with pytest.raises(ModelError, match=r"layer4\.2\.conv3\.weight"):
        load_torchvision(tmp_path / "short.pth")


def test_refuses_a_pickle_that_would_run_code(tmp_path):
    class Attack:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    (tmp_path / "attack.pth").write_bytes(pickle.dumps(Attack(), protocol=2))
    with pytest.raises(ModelError, match=r"attack\.pth"):
        load_torchvision(tmp_path / "attack.pth")
    assert not (tmp_path / "ran").exists()


def test_says_which_file_is_missing(tmp_path):
    with pytest.raises(ModelError, match=r"nothing\.pth"):
        load_torchvision(tmp_path / "nothing.pth")


def test_torchvisions_sets_of_weights_are_told_apart_by_what_the_file_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The SHA-256 of an empty file begins with e3b0c442 (FIPS 180-4's test vectors).
    file = tmp_path / "renamed.pth"
    file.touch()
    assert resnet.weights_name(file) == "unknown (e3b0c442)"
    monkeypatch.setitem(resnet._PUBLISHED, "e3b0c442", "IMAGENET1K_V3")
    assert resnet.weights_name(file) == "IMAGENET1K_V3"
    with pytest.raises(ModelError, match="cannot be read"):
        resnet.weights_name(tmp_path / "none.pth")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello\n",
        b"RIFF\x10\0\0\0WEBPVP8 ",
        b"\x89PNG\r\n\x1a\n",
        b"PK\x03\x04",
        b"\xff\xd8\xff\xe0\0\x10JFIF",
    ],
)
def test_refuses_what_is_no_state_dict_in_a_sentence(tmp_path, data):
    """PyTorch raises whatever its unpickler stumbles over, such as KeyError: 101 at "hello"."""
    (tmp_path / "other.pth").write_bytes(data)
    with pytest.raises(ModelError, match=r"other\.pth: not a state dict"):
        load_torchvision(tmp_path / "other.pth")
