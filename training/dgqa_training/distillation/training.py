"""Train a network to say of a photograph, however it is turned, what it says of it on average.

ImageNet's features change when a photograph is turned, though it is as good as before; a linear head can be
indifferent to that only as far as they let it. So the later blocks are trained, against the network's own
average over the eight turns and mirrors of a crop; what it says of the crop in grey is trained against the
same. That is self-distillation: Hinton et al., "Distilling the Knowledge in a Neural Network" (2015), the
ensemble being one network's views. The head stays as it is, and no rating of any photograph is read.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dgqa_infer.bundle.preprocessing import STANDARD, Preprocessing
from dgqa_training.distillation.material import VIEWS, Material, Sources, Where, keep
from dgqa_training.distillation.turns import TURNS
from dgqa_training.labels.labels import PRISTINE_LABEL
from dgqa_training.loop.loop import Progress, Training, half_where_it_pays, software
from dgqa_training.loop.recipe import Recipe
from dgqa_training.loop.run_folder import RunFolder
from dgqa_training.networks import checkpoints
from dgqa_training.networks.efficientnet_lite import EfficientNetLite
from dgqa_training.networks.heads import QualityNetwork

CHECKPOINT: Final = "distilled.safetensors"
"""Name of the result in the run's folder: a checkpoint of a quality network."""

_JUDGED = 128  # crops of each kind that are kept back
_GREY = TURNS


@dataclass(frozen=True, slots=True)
class DistillationConfig:
    """How a network is distilled.

    Attributes:
        backbone: the network's, one of EfficientNet-Lite's.
        after: stage up to which it is frozen.
        recipe: of the training; an epoch sees each view of each crop once.
        exponent: of the pooling that the network is used with, see `dgqa_export.graphs.pooling`: what is
            averaged over turns, and compared, is what that makes of cells.
        preprocessing: short side of photographs and side of a crop.
    """

    backbone: str = "efficientnet_lite0"
    after: str = "blocks4"
    recipe: Recipe = field(
        default_factory=lambda: Recipe(
            epochs=1, cooldown=1, lr=2e-4, weight_decay=0.0, flip=False, ema=0.995, head_factor=1.0
        )
    )
    exponent: float = 0.8
    preprocessing: Preprocessing = STANDARD

    def record(self) -> dict[str, Any]:
        """For settings, checkpoints and cards; JSON-able."""
        record = {**asdict(self), "preprocessing": self.preprocessing.id}
        return dict(json.loads(json.dumps(record)))


@dataclass(frozen=True, slots=True)
class Observers:
    """Who is told how it goes.

    Attributes:
        looked: how many crops were looked at, before training.
        step: after each step of it.
    """

    looked: Callable[[int], None] = lambda _: None
    step: Callable[[Progress], None] = lambda _: None


def bent(cells: Tensor, exponent: float) -> Tensor:
    """What pooling makes of cells, but for a constant factor: the better a cell, the more a step counts."""
    return torch.expm1(exponent * cells.clamp(0, PRISTINE_LABEL))


def level(cells: Tensor, exponent: float) -> Tensor:
    """The quality of a map under pooling, on the label scale: float [n, h, w] → [n]."""
    return torch.log1p(bent(cells, exponent).mean((1, 2))) / exponent


def average(cells: NDArray[np.float32], exponent: float) -> NDArray[np.float32]:
    """The cells that pool to the mean of what maps pool to, cell by cell: float32 [k, h, w] → [h, w]."""
    mean = bent(torch.from_numpy(cells), exponent).mean(0)
    averaged: NDArray[np.float32] = (torch.log1p(mean) / exponent).numpy()
    return averaged


class LaterBlocks(nn.Module):
    """A quality network that is called with what its frozen blocks made of crops.

    Args:
        network: its blocks behind `after` are trained; their normalisation keeps its statistics.
        after: stage of the backbone; it and all before it are frozen.
    """

    def __init__(self, network: QualityNetwork, after: str) -> None:
        super().__init__()
        self.network, self.after = network, after
        cast(EfficientNetLite, network.backbone).freeze(after)
        network.linear.requires_grad_(False)

    @property
    def backbone(self) -> nn.Module:
        """What learns."""
        return self.network.backbone

    def train(self, mode: bool = True) -> LaterBlocks:
        """As every module's, but normalisation keeps its statistics."""
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, maps: Tensor) -> dict[str, Tensor]:
        """Frozen maps float [n, channels, h', w'] → `quality_map` float32 [n, h, w], on the label scale."""
        maps = maps.float().contiguous(memory_format=torch.channels_last)
        features = self.network.gather(cast(EfficientNetLite, self.backbone).later(maps, self.after))
        with torch.autocast(maps.device.type, enabled=False):
            return {"quality_map": self.network.linear(features.float()).squeeze(1)}


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """All views of some crops, each a sample whose target is a map; a `CropSource`.

    Attributes:
        material: of all crops.
        targets: float32 [n, 9, h, h], see `Material.targets`.
        chosen: which crops these are.
    """

    material: Material
    targets: NDArray[np.float32]
    chosen: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.chosen) * VIEWS

    def target(self, index: int) -> NDArray[np.float32]:
        """What the network should say of each cell of sample `index`, [h, h]."""
        found: NDArray[np.float32] = self.targets[self.chosen[index // VIEWS], index % VIEWS]
        return found

    def crop(self, index: int, generator: np.random.Generator) -> NDArray[np.float16]:  # noqa: ARG002
        """What the frozen blocks made of sample `index`; the generator is not asked."""
        return np.asarray(self.material.maps[self.chosen[index // VIEWS], index % VIEWS])


def distil(
    network: QualityNetwork,
    sources: Sources,
    config: DistillationConfig,
    folder: Path,
    *,
    device: str = "cpu",
    workers: int = 0,
    observers: Observers | None = None,
) -> checkpoints.Checkpoint:
    """Distil a network; started again in the same folder it goes on where it was.

    Args:
        network: with the head that is to be kept; trained in place.
        sources: of the crops.
        config: how.
        folder: of the run; ends up with `CHECKPOINT`.
        device: "cpu" or "cuda".
        workers: processes that make crops; 0 makes them here.
        observers: called with the progress.

    Returns:
        The checkpoint, also written to the folder. Its record has the figures of the crops that were kept
        back, before and after.

    Raises:
        UsageError: there are too few photographs, or the folder holds another run.
        ModelError: a state is damaged, or the loss diverged.
    """
    observers = observers or Observers()
    settings = {**config.record(), **sources.record(), "head": checkpoints.digest(network.linear)}
    del settings["recipe"]  # the folder looks at that itself
    RunFolder(folder).claim(config.recipe, settings)  # before anything is put there
    start = copy.deepcopy(network)
    where: Where = {"device": device, "workers": workers}
    material = keep(
        start, config.after, sources, config.preprocessing, folder, observe=observers.looked, **where
    )
    targets = material.targets(lambda cells: average(cells, config.exponent))
    told, judged = sources.split()
    trained, kept_back = LaterBlocks(network, config.after), Views(material, targets, judged)
    loss = _Loss(config.exponent)
    training = Training(
        trained, Views(material, targets, told), loss, config.recipe, folder, settings, device=device
    )
    before = judge(LaterBlocks(start, config.after), kept_back, sources, config.exponent, device)
    training.run(observers.step)
    after = judge(trained, kept_back, sources, config.exponent, device)
    facts = {**config.record(), **sources.record(), "figures": {"before": before, "after": after}}
    checkpoint = _checkpoint(network.cpu(), config, facts)
    checkpoints.save(folder / CHECKPOINT, checkpoint)
    return checkpoint


def _checkpoint(
    network: QualityNetwork, config: DistillationConfig, facts: dict[str, Any]
) -> checkpoints.Checkpoint:
    weights = checkpoints.digest(network.backbone)
    return checkpoints.Checkpoint(
        task="quality",
        backbone=config.backbone,
        head=network.head,
        preprocessing=config.preprocessing,
        tensors=network.state_dict(),
        training={"distillation": facts, "backbone": weights, "software": software()},
    )


class _Loss:
    """Squared errors of cells and of the quality that they pool to."""

    def __init__(self, exponent: float) -> None:
        self.exponent = exponent

    def __call__(self, outputs: dict[str, Tensor], targets: Tensor) -> Tensor:
        found = outputs["quality_map"]
        moved = level(found, self.exponent) - level(targets, self.exponent)
        return (found - targets).square().mean() + moved.square().mean()


@torch.no_grad()
def judge(
    network: LaterBlocks, views: Views, sources: Sources, exponent: float, device: str
) -> dict[str, dict[str, float]]:
    """How far turning moves what is said of crops that were not trained on.

    Args:
        network: that says it.
        views: of the crops, of which some of each kind are looked at.
        sources: of these crops.
        exponent: of the pooling.
        device: "cpu" or "cuda".

    Returns:
        For "photographs" and "distorted": `crops`; `over_turns`, the mean standard deviation over a crop's
        turns; `from_average`, the root mean squared difference of turns from what is aimed at; `grey`, the
        same of crops in grey. On the label scale, 0–10.
    """
    network.to(device).eval()
    figures = {}
    for name, here in (("photographs", ~sources.is_distorted), ("distorted", sources.is_distorted)):
        chosen = [index for index in views.chosen if here[index]][:_JUDGED]
        found, aims = [], []
        for index in chosen:
            maps = torch.from_numpy(views.material.maps[index].copy()).to(device)
            with half_where_it_pays(device):
                cells = network(maps)["quality_map"].float().cpu()
            found.append(level(cells, exponent).double().numpy())
            aims.append(level(torch.from_numpy(views.targets[index]), exponent).double().numpy())
        said, moved = np.array(found), np.array(found) - np.array(aims)
        figures[name] = {
            "crops": len(chosen),
            "over_turns": round(float(said[:, :TURNS].std(1).mean()), 4),
            "from_average": round(float(np.sqrt(np.square(moved[:, :TURNS]).mean())), 4),
            "grey": round(float(np.sqrt(np.square(moved[:, _GREY]).mean())), 4),
        }
    return figures
