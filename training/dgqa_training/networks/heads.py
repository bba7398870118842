"""The networks: a backbone of `BACKBONES`, and a head that says quality or domain.

Input is the same for all: crops as `dgqa_infer.images.crops.crops` makes them, uint8 [n, h, w, 3], RGB
0–255. Normalisation is inside the network, so what is trained is what is exported.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from dgqa_infer.domains.classes import CLASSES
from dgqa_infer.errors import ModelError
from dgqa_training.networks import efficientnet_lite
from dgqa_training.networks.efficientnet_lite import EfficientNetLite
from dgqa_training.networks.resnet import ResNet50, load_torchvision


class Backbone(Protocol):
    """What a head needs of a convolutional network; ours are `EfficientNetLite` and `ResNet50`."""

    channels: dict[str, int]
    mean: tuple[float, float, float]
    scale: tuple[float, float, float]

    def stages(self, x: Tensor) -> dict[str, Tensor]:
        """Normalised float [n, 3, h, w] → stage name → map [n, channels, h', w'], fine to coarse."""
        ...


BACKBONES = (*efficientnet_lite.VARIANTS, "resnet50")
"""Names that `build_backbone` knows."""


def build_backbone(name: str) -> EfficientNetLite | ResNet50:
    """A backbone with random weights.

    Raises:
        ModelError: no such backbone.
    """
    if name == "resnet50":
        return ResNet50()
    if name in efficientnet_lite.VARIANTS:
        return EfficientNetLite(name)
    raise ModelError(f"no backbone is called {name!r}; there are {', '.join(BACKBONES)}")


def pretrained_backbone(name: str, weights: Path | None = None) -> EfficientNetLite | ResNet50:
    """A backbone with ImageNet weights.

    Args:
        name: one of `BACKBONES`.
        weights: torchvision's state dict of ResNet-50, which no package index carries; EfficientNet-Lite
            needs no file.

    Raises:
        ModelError: no such backbone; weights are missing, or not its own.
    """
    if name in efficientnet_lite.VARIANTS:
        return efficientnet_lite.pretrained(name)
    build_backbone(name)
    if weights is None:
        raise ModelError(f"{name} needs the file of its ImageNet weights (torchvision's state dict)")
    return load_torchvision(weights)


LINEAR = "linear"


class QualityModel(Protocol):
    """What a network of anybody's must be, to be trained, evaluated, exported and run as ours are.

    DGQA chooses what a regressor trains on; which regressor that is does not matter to it. A plug-in is a
    `torch.nn.Module` class that is called with (backbone, head) and has this; `hyper` is one.

    Attributes:
        backbone: a module; it learns at the rate of the recipe, everything else at `head_factor` times it.
    """

    backbone: nn.Module

    def features(self, crops: Tensor) -> Tensor:
        """Crops uint8 [n, h, w, 3] → float [n, channels, h', w']: what DRCDown compares images by."""
        ...

    def forward(self, crops: Tensor) -> dict[str, Tensor]:
        """Crops uint8 [n, h, w, 3] → `quality` [n] and `quality_map` [n, h', w'], whose mean it is."""
        ...


@dataclass(frozen=True, slots=True)
class Head:
    """What is read from the backbone.

    Attributes:
        stages: names of the backbone's maps; each is averaged to the coarsest grid and they are stacked. Late
            stages know content, early ones noise and blur.
        network: that reads them: "linear", or "package.module:Class" of a `QualityModel` of anybody's.
    """

    stages: tuple[str, ...]
    network: str = LINEAR

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Head:
        """Read what `as_record` wrote."""
        return cls(tuple(record["stages"]), record.get("network", LINEAR))

    def as_record(self) -> dict[str, Any]:
        """A JSON-able record for checkpoints and cards."""
        return asdict(self)


class Reader(nn.Module):
    """Backbone and head up to a linear layer, position by position.

    Args:
        backbone: whose maps are read.
        head: says which.
        outputs: of the linear layer.

    Raises:
        ModelError: the backbone has no such stages.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, backbone: Backbone, head: Head, outputs: int) -> None:
        super().__init__()
        unknown = [stage for stage in head.stages if stage not in backbone.channels]
        if unknown or not head.stages:
            raise ModelError(f"the backbone has no stages {unknown}; it has {list(backbone.channels)}")
        self.backbone = cast(nn.Module, backbone)
        self.head = head
        self.register_buffer("mean", torch.tensor(backbone.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(backbone.scale).view(1, 3, 1, 1), persistent=False)
        self.linear = nn.Conv2d(sum(backbone.channels[stage] for stage in head.stages), outputs, 1)
        nn.init.kaiming_normal_(self.linear.weight, nonlinearity="relu")
        nn.init.zeros_(cast(Tensor, self.linear.bias))

    def features(self, crops: Tensor) -> Tensor:
        """Crops uint8 [n, h, w, 3] → what the head reads, float [n, channels, h', w'], the coarsest grid."""
        return self.gather(cast(Backbone, self.backbone).stages(self.normalised(crops)))

    def normalised(self, crops: Tensor) -> Tensor:
        """Crops uint8 [n, h, w, 3] → what the backbone takes, float [n, 3, h, w]."""
        return (crops.to(torch.float32).permute(0, 3, 1, 2) - self.mean) / self.scale

    def gather(self, stages: Mapping[str, Tensor]) -> Tensor:
        """Stage maps, the coarsest last → what the head reads, float [n, channels, h', w']."""
        grid = list(stages.values())[-1].shape[-2:]
        pooled: list[Tensor] = []
        for name in self.head.stages:
            stage = stages[name]
            cell = (stage.shape[2] // grid[0], stage.shape[3] // grid[1])
            pooled.append(functional.avg_pool2d(stage, cell))
        return torch.cat(pooled, 1)

    def read(self, crops: Tensor) -> Tensor:
        """Crops uint8 [n, h, w, 3] → float32 [n, outputs, h', w']."""
        features = self.features(crops)
        # The head stays in float32, whatever autocast does to the backbone.
        with torch.autocast(crops.device.type, enabled=False):
            return cast(Tensor, self.linear(features.float()))


class QualityNetwork(Reader):
    """Crops → quality on the label scale 0–10 and the map whose mean it is."""

    def __init__(self, backbone: Backbone, head: Head) -> None:
        super().__init__(backbone, head, 1)

    def forward(self, crops: Tensor) -> dict[str, Tensor]:
        """Judge crops.

        Args:
            crops: uint8 [n, h, w, 3], RGB 0–255; h and w multiples of 32.

        Returns:
            `quality` float32 [n], and `quality_map` float32 [n, h / 32, w / 32], whose mean is `quality`.
        """
        quality_map = self.read(crops).squeeze(1)
        return {"quality": quality_map.mean((1, 2)), "quality_map": quality_map}


def quality_network(backbone: Backbone, head: Head, plugin: str | None = None) -> nn.Module:
    """The network that predicts quality: the built-in one, or a plug-in.

    Args:
        backbone: whose maps are read.
        head: names the network. A head may come out of a file, so a name in it is never imported by itself.
        plugin: "package.module:Class" that whoever runs the program has named, and that may be imported.

    Raises:
        ModelError: the head names a plug-in that is not the one that was named, there is no such plug-in, or
            it is none.
    """
    if head.network == LINEAR:
        return QualityNetwork(backbone, head)
    if head.network != plugin:
        raise ModelError(
            f"the network is {head.network!r}, which is not built in, and importing it runs its code: "
            f"if you trust it, name it with --network {head.network}"
        )
    module, _, name = head.network.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ModelError(f"no network {head.network!r} can be imported: {error}") from error
    network = found(backbone, head)
    if not isinstance(network, nn.Module) or not {"backbone", "features"} <= set(dir(network)):
        raise ModelError(f"{head.network} is no QualityModel: it needs backbone, features and forward")
    return network


class DomainNetwork(Reader):
    """Crops → logits of the 26 domains."""

    def __init__(self, backbone: Backbone, head: Head) -> None:
        super().__init__(backbone, head, len(CLASSES))

    def forward(self, crops: Tensor) -> dict[str, Tensor]:
        """Tell which synthetic domain crops resemble.

        Args:
            crops: uint8 [n, h, w, 3], RGB 0–255; h and w multiples of 32.

        Returns:
            `domain_logits` float32 [n, 26]; class 0 is pristine, 1–25 are KADID's types.
        """
        return {"domain_logits": self.read(crops).mean((2, 3))}
