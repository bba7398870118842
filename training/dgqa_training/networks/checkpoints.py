"""Checkpoints: a safetensors file whose header says what it holds.

No pickle, and no name in the header is imported: opening one, or making a bundle of it, runs no code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import safetensors
import safetensors.torch
from torch import Tensor, nn

from dgqa_infer.atomic import write_whole
from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.errors import ModelError
from dgqa_training.networks.heads import DomainNetwork, Head, build_backbone, quality_network

FORMAT = "dgqa-checkpoint-1"
Task: TypeAlias = Literal["quality", "domains"]
_TASKS: tuple[Task, ...] = get_args(Task)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A network's weights and what one must know to use them.

    Attributes:
        task: "quality" or "domains".
        backbone: one of `dgqa_training.networks.heads.BACKBONES`.
        head: what is read from the backbone.
        preprocessing: how photographs become the crops it was trained on.
        tensors: the network's state dict.
        training: the record of how it was trained, JSON-able; goes into the bundle's card.
    """

    task: Task
    backbone: str
    head: Head
    preprocessing: Preprocessing
    tensors: Mapping[str, Tensor]
    training: Mapping[str, Any] = field(default_factory=dict)

    def network(self, plugin: str | None = None) -> nn.Module:
        """Build the network with these weights, in evaluation mode.

        Args:
            plugin: "package.module:Class" that may be imported, see `heads.quality_network`.

        Raises:
            ModelError: the weights are not those of this backbone and head, or the head is a plug-in that was
                not named.
        """
        backbone = build_backbone(self.backbone)
        network: nn.Module
        if self.task == "domains":
            network = DomainNetwork(backbone, self.head)
        else:
            network = quality_network(backbone, self.head, plugin)
        try:
            network.load_state_dict(dict(self.tensors))
        except RuntimeError as error:
            raise ModelError(f"the weights do not fit {self.backbone} with {self.head}: {error}") from error
        return network.eval()


def write_tensors(file: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_whole(file, safetensors.torch.save(contiguous, dict(metadata)), overwrite=True)


def read_tensors(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file: its tensors and its metadata.

    Raises:
        ModelError: it is missing or damaged.
    """
    try:
        with safetensors.safe_open(file, "pt") as opened:
            names = opened.keys()
            return {name: opened.get_tensor(name) for name in names}, dict(opened.metadata() or {})
    except FileNotFoundError as error:
        raise ModelError(f"{file}: no such checkpoint") from error
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(f"{file}: not a readable safetensors file: {error}") from error


def digest(module: nn.Module) -> str:
    """A short digest of a module's weights, 16 hexadecimal digits: equal for equal weights alone."""
    found = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        found.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def save(file: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint whole or not at all."""
    metadata = {
        "format": FORMAT,
        "task": checkpoint.task,
        "backbone": checkpoint.backbone,
        "head": json.dumps(checkpoint.head.as_record()),
        "preprocessing": json.dumps(checkpoint.preprocessing.as_card()),
        "training": json.dumps(checkpoint.training),
    }
    write_tensors(file, checkpoint.tensors, metadata)


def load(file: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        ModelError: the file is missing, damaged, or not a checkpoint of this project.
    """
    tensors, metadata = read_tensors(file)
    if metadata.get("format") != FORMAT:
        raise ModelError(f"{file}: not a checkpoint of this project (format {metadata.get('format')!r})")
    try:
        task = metadata["task"]
        if task not in _TASKS:
            raise ModelError(f"{file}: unknown task {task!r}; known are {', '.join(_TASKS)}")
        return Checkpoint(
            task=task,
            backbone=metadata["backbone"],
            head=Head.from_record(json.loads(metadata["head"])),
            preprocessing=Preprocessing.from_card(json.loads(metadata["preprocessing"])),
            tensors=tensors,
            training=json.loads(metadata["training"]),
        )
    except (KeyError, json.JSONDecodeError) as error:
        raise ModelError(f"{file}: its header is incomplete or damaged: {error}") from error
