"""The classifier that DGQA's authors publish, `kadis-700k_model_best.pth.tar`, as a checkpoint of ours.

Their network (Li-aobo/DGQA, `baseline.py`, class Baseline) is torchvision's ResNet-50 without its last layer.
Its convolutional part is a `Sequential` called `backbone`, so the children have numbers instead of names; a
linear layer `classify.0` leads from 2,048 features to the 26 classes, pristine first.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.errors import ModelError
from dgqa_training.networks.checkpoints import Checkpoint
from dgqa_training.networks.heads import DomainNetwork, Head
from dgqa_training.networks.resnet import NO_STATE_DICT, ResNet50

PREPROCESSING = Preprocessing(id="full-grid5-224", short_side=32768, crop=224, grid=5)
"""They look at crops of 224 pixels without any resizing; no photograph's short side is longer than this."""

_CHILDREN = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}
"""Number of a child of torchvision's ResNet-50 → its name; 2, 3 and 8 hold no weights."""
_HEAD = Head(("layer4",))


def import_classifier(file: Path) -> Checkpoint:
    """Read the authors' checkpoint, without running any code that the file may hold.

    Args:
        file: their `.pth.tar`: a state dict, alone or as the entry "state_dict" of a mapping, with or without
            the prefix "module." of a network that was trained on several GPUs.

    Returns:
        A checkpoint of a domain classifier: ResNet-50, its last stage, 26 classes.

    Raises:
        ModelError: the file is missing or damaged, holds more than tensors and plain values, or its entries
            are not those of the authors' network; names them.
    """
    state = _state_dict(_load(file), file)
    renamed = {_renamed(name): _reshaped(name, value) for name, value in state.items()}
    network = DomainNetwork(ResNet50(), _HEAD)
    _compare(renamed, network.state_dict(), file)
    network.load_state_dict(renamed)
    return Checkpoint(
        task="domains",
        backbone="resnet50",
        head=_HEAD,
        preprocessing=PREPROCESSING,
        tensors=network.state_dict(),
        training={"source": "DGQA's authors (Li-aobo/DGQA), trained on KADIS-700k", "file": file.name},
    )


def _load(file: Path) -> object:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ModelError(f"{file}: no such file") from error
    except UnpicklingError as error:
        raise ModelError(
            f"{file}: it holds more than tensors and plain values, and reading that could run its code; if "
            "you trust it, load it with PyTorch yourself and save its state_dict alone"
        ) from error
    except (OSError, *NO_STATE_DICT) as error:
        raise ModelError(f"{file}: not a readable PyTorch checkpoint ({type(error).__name__})") from error


def _state_dict(content: object, file: Path) -> Mapping[str, Tensor]:
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not content:
        raise ModelError(f"{file}: holds no state_dict, but {_kind(content)}")
    strange = [name for name, value in content.items() if not isinstance(value, Tensor)]
    if strange:
        raise ModelError(f"{file}: its state_dict holds {_some(map(str, strange))}, which are no tensors")
    return {str(name).removeprefix("module."): value for name, value in content.items()}


def _renamed(name: str) -> str:
    """Their name of an entry → ours; an entry that is not theirs keeps its name."""
    part, _, rest = name.partition(".")
    number, dot, inner = rest.partition(".")
    if part == "backbone" and number in _CHILDREN:
        return f"backbone.{_CHILDREN[number]}{dot}{inner}"
    return f"linear.{inner}" if (part, number) == ("classify", "0") else name


def _reshaped(name: str, value: Tensor) -> Tensor:
    # A linear layer on the pooled features is a 1 × 1 convolution before the pooling.
    return value[:, :, None, None] if name == "classify.0.weight" and value.ndim == 2 else value


def _compare(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], file: Path) -> None:
    """Strictly: the same entries with the same shapes."""
    complaints = []
    if missing := [name for name in wanted if name not in found]:
        complaints.append(f"it lacks {_some(missing)}")
    if unknown := [name for name in found if name not in wanted]:
        complaints.append(f"it has {_some(unknown)} besides")
    shapes = [
        f"{name} {list(found[name].shape)} instead of {list(value.shape)}"
        for name, value in wanted.items()
        if name in found and found[name].shape != value.shape
    ]
    if shapes:
        complaints.append(f"it has {_some(shapes)}")
    if complaints:
        raise ModelError(f"{file}: not the authors' ResNet-50 with 26 classes: {'; '.join(complaints)}")


def _some(names: Any) -> str:
    names = list(names)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _kind(content: object) -> str:
    return _some(map(str, content)) if isinstance(content, Mapping) else type(content).__name__
