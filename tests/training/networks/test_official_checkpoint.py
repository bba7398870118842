"""Files with the keys and shapes of the authors' checkpoint are made here; its forward is restated."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from dgqa_infer.errors import ModelError
from dgqa_training.networks.official_checkpoint import PREPROCESSING, import_classifier

_LAYERS = ((4, 3, 64), (5, 4, 128), (6, 6, 256), (7, 3, 512))  # child's number, blocks, inner channels


def norm(state: dict[str, Tensor], name: str, channels: int, generator: torch.Generator) -> None:
    state[f"{name}.weight"] = torch.rand(channels, generator=generator) * 0.5 + 0.5
    state[f"{name}.bias"] = torch.randn(channels, generator=generator) * 0.1
    state[f"{name}.running_mean"] = torch.randn(channels, generator=generator) * 0.1
    state[f"{name}.running_var"] = torch.rand(channels, generator=generator) + 0.5
    state[f"{name}.num_batches_tracked"] = torch.tensor(100)


@pytest.fixture(scope="module")
def state() -> OrderedDict[str, Tensor]:
    """Of Baseline: torchvision's resnet50 without `fc` as numbered children, and the classifier."""
    generator = torch.Generator().manual_seed(0)

    def convolution(out: int, into: int, side: int) -> Tensor:
        return torch.randn(out, into, side, side, generator=generator) / (into * side * side) ** 0.5

    state: OrderedDict[str, Tensor] = OrderedDict()
    state["backbone.0.weight"] = convolution(64, 3, 7)
    norm(state, "backbone.1", 64, generator)
    channels = 64
    for number, blocks, inner in _LAYERS:
        for block in range(blocks):
            name = f"backbone.{number}.{block}"
            widths = ((inner, channels, 1), (inner, inner, 3), (4 * inner, inner, 1))
            for place, (out, into, side) in enumerate(widths, start=1):
                state[f"{name}.conv{place}.weight"] = convolution(out, into, side)
                norm(state, f"{name}.bn{place}", out, generator)
            if block == 0:
                state[f"{name}.downsample.0.weight"] = convolution(4 * inner, channels, 1)
                norm(state, f"{name}.downsample.1", 4 * inner, generator)
            channels = 4 * inner
    state["classify.0.weight"] = torch.randn(26, 2048, generator=generator) * 0.03
    state["classify.0.bias"] = torch.randn(26, generator=generator)
    return state


@pytest.fixture
def save(tmp_path: Path) -> Callable[[object], Path]:
    def write(content: object) -> Path:
        torch.save(content, tmp_path / "model_best.pth.tar")
        return tmp_path / "model_best.pth.tar"

    return write


def baseline(state: dict[str, Tensor], images: Tensor) -> Tensor:
    """Baseline's forward on float images [n, 3, h, w], 0–1, as ToTensor gives them."""

    def bn(x: Tensor, name: str) -> Tensor:
        keys = ("running_mean", "running_var", "weight", "bias")
        return functional.batch_norm(x, *(state[f"{name}.{key}"] for key in keys))

    def conv(x: Tensor, name: str, stride: int = 1, padding: int = 0) -> Tensor:
        return functional.conv2d(x, state[f"{name}.weight"], stride=stride, padding=padding)

    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (images - mean[:, None, None]) / std[:, None, None]
    x = functional.relu(bn(conv(x, "backbone.0", 2, 3), "backbone.1"))
    x = functional.max_pool2d(x, 3, 2, 1)
    for number, blocks, _ in _LAYERS:
        for block in range(blocks):
            name, stride = f"backbone.{number}.{block}", 2 if number > 4 and block == 0 else 1
            y = functional.relu(bn(conv(x, f"{name}.conv1"), f"{name}.bn1"))
            y = functional.relu(bn(conv(y, f"{name}.conv2", stride, 1), f"{name}.bn2"))
            y = bn(conv(y, f"{name}.conv3"), f"{name}.bn3")
            if block == 0:
                x = bn(conv(x, f"{name}.downsample.0", stride), f"{name}.downsample.1")
            x = functional.relu(x + y)
    features = functional.adaptive_avg_pool2d(x, 1).flatten(1)
    return functional.linear(features, state["classify.0.weight"], state["classify.0.bias"])


def test_the_imported_network_gives_the_authors_logits(
    state: OrderedDict[str, Tensor], save: Callable[[object], Path]
) -> None:
    crops = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), dtype=np.uint8))
    checkpoint = import_classifier(save({"epoch": 12, "state_dict": state, "best_acc1": torch.tensor(91.5)}))
    with torch.no_grad():
        ours = checkpoint.network()(crops)["domain_logits"]
        theirs = baseline(state, crops.permute(0, 3, 1, 2) / 255)

    assert theirs.std() > 0.1
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
    assert (checkpoint.task, checkpoint.backbone) == ("domains", "resnet50")


def test_photographs_are_not_shrunk_for_it() -> None:
    from dgqa_infer.images.crops import shrink

    image = np.zeros((700, 900, 3), np.uint8)
    assert shrink(image, PREPROCESSING) is image
    assert (PREPROCESSING.crop, PREPROCESSING.grid) == (224, 5)


def test_a_bare_state_dict_and_one_from_several_gpus_are_the_same(
    state: OrderedDict[str, Tensor], save: Callable[[object], Path]
) -> None:
    bare = import_classifier(save(state)).tensors
    prefixed = {f"module.{name}": value for name, value in state.items()}
    parallel = import_classifier(save({"state_dict": prefixed})).tensors

    assert bare.keys() == parallel.keys()
    assert all(torch.equal(bare[name], parallel[name]) for name in bare)


def test_it_survives_as_a_checkpoint_of_ours(
    state: OrderedDict[str, Tensor], save: Callable[[object], Path], tmp_path: Path
) -> None:
    from dgqa_training.networks import checkpoints

    imported = import_classifier(save(state))
    checkpoints.save(tmp_path / "c.safetensors", imported)
    read = checkpoints.load(tmp_path / "c.safetensors")

    assert (read.preprocessing, read.head) == (PREPROCESSING, imported.head)
    assert torch.equal(read.tensors["linear.bias"], state["classify.0.bias"])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda s: s.pop("backbone.5.1.conv2.weight"), r"it lacks backbone\.layer2\.1\.conv2\.weight"),
        (lambda s: s.update({"fc.weight": torch.zeros(3)}), r"it has fc\.weight besides"),
        (
            lambda s: s.update({"classify.0.bias": torch.zeros(25)}),
            r"linear\.bias \[25\] instead of \[26\]",
        ),
        (lambda s: s.update({"note": "hello"}), "holds note, which are no tensors"),
    ],
)
def test_other_entries_are_refused_by_name(
    state: OrderedDict[str, Tensor],
    save: Callable[[object], Path],
    change: Callable[[dict[str, Any]], object],
    complaint: str,
) -> None:
    changed: dict[str, Any] = dict(state)
    change(changed)
    with pytest.raises(ModelError, match=complaint):
        import_classifier(save({"state_dict": changed}))


def test_another_network_altogether_is_refused_in_one_sentence(save: Callable[[object], Path]) -> None:
    with pytest.raises(ModelError, match=r"not the authors' ResNet-50 with 26 classes: it lacks .* more"):
        import_classifier(save({"state_dict": {"features.0.weight": torch.zeros(3)}}))


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [1, 2]])
def test_files_without_a_state_dict_are_refused(content: object, save: Callable[[object], Path]) -> None:
    with pytest.raises(ModelError, match="state_dict"):
        import_classifier(save(content))


class _Hostile:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("was-here",)


def test_no_code_of_the_file_is_run(
    save: Callable[[object], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="could run its code"):
        import_classifier(save({"state_dict": _Hostile()}))
    assert not (tmp_path / "was-here").exists()


def test_missing_and_damaged_files_are_told(tmp_path: Path, save: Callable[[object], Path]) -> None:
    with pytest.raises(ModelError, match="no such file"):
        import_classifier(tmp_path / "missing.pth.tar")
    whole = save({"state_dict": {"a": torch.zeros(1000)}})
    whole.write_bytes(whole.read_bytes()[:500])
    with pytest.raises(ModelError, match="not a readable PyTorch checkpoint"):
        import_classifier(whole)
    (tmp_path / "text.pth").write_bytes(b"no checkpoint at all")
    with pytest.raises(ModelError, match=r"text\.pth"):
        import_classifier(tmp_path / "text.pth")
