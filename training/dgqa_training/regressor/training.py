"""The quality regressor, DGQA's second half: trained on the selected distortion types alone.

Two stages. The head is first fitted in closed form on the frozen backbone (`linear_probe`), then everything
may be tuned by the authors' recipe (`loop.recipe`). Either can be left out: no ridge gives the authors'
procedure from a random head, no epochs give the probe.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Subset

from dgqa_infer.bundle.card import Calibration
from dgqa_infer.bundle.preprocessing import STANDARD, Preprocessing
from dgqa_infer.errors import UsageError
from dgqa_infer.inputs.finder import photographs_in
from dgqa_training import datasets
from dgqa_training.distortions import DISTORTIONS, LEVELS
from dgqa_training.labels.labels import PRISTINE_LABEL, kadid_mean
from dgqa_training.labels.score_scale import link
from dgqa_training.loop.crop_sources import PRISTINE, ImageCrops, Synthetic, SyntheticCrops
from dgqa_training.loop.crops import Crops, CropSource
from dgqa_training.loop.loading import batches
from dgqa_training.loop.loop import Progress, Training, half_where_it_pays, software
from dgqa_training.loop.recipe import Recipe
from dgqa_training.loop.run_folder import digest_of_names
from dgqa_training.networks import checkpoints
from dgqa_training.networks.heads import LINEAR, Head, QualityNetwork, pretrained_backbone, quality_network
from dgqa_training.regressor.linear_probe import fit_probe
from dgqa_training.reshaping.training_set import CentreSource, Thinning, add_contents
from dgqa_training.selection.published import SELECTED

STAGES = {
    "efficientnet_lite0": ("blocks6", "blocks7", "head"),
    "efficientnet_lite1": ("blocks6", "blocks7", "head"),
    "efficientnet_lite2": ("blocks6", "blocks7", "head"),
    "resnet50": ("layer4",),
}
"""Backbone → the stages that its quality head reads by default; the papers' ResNet-50 reads its last."""

_SCALED_BY = 2_000  # images at most: quantiles are known to a hundredth by then


@dataclass(frozen=True, slots=True)
class RegressorConfig:
    """What a regressor is trained on, and how.

    Attributes:
        types: the selected distortion types, 1–25; DGQA's for LIVE in the Wild by default.
        levels: 1–5.
        backbone: one of `dgqa_training.networks.heads.BACKBONES`.
        stages: that the head reads; empty for the backbone's default.
        network: "linear", or "package.module:Class" of a plug-in, see `networks.heads.QualityModel`.
        ridge: penalty of the probe, see `linear_probe.RidgeSums.solve`; 0 leaves the probe out.
        recipe: of the tuning; 0 epochs leave it out.
        thin: clusters of look-alikes at the start of each epoch, as DRCDown does.
        preprocessing: short side of the references and side of a crop.
    """

    types: tuple[int, ...] = SELECTED["livec"]
    levels: tuple[int, ...] = LEVELS
    backbone: str = "efficientnet_lite0"
    stages: tuple[str, ...] = ()
    network: str = LINEAR
    ridge: float = 10.0
    recipe: Recipe = field(default_factory=Recipe)
    thin: bool = False
    preprocessing: Preprocessing = STANDARD

    def __post_init__(self) -> None:
        if not self.types or not set(self.types) <= set(DISTORTIONS):
            raise UsageError(f"types {self.types} are not some of 1 to {len(DISTORTIONS)}")
        if not self.levels or not set(self.levels) <= set(LEVELS):
            raise UsageError(f"levels {self.levels} are not some of 1 to {len(LEVELS)}")
        if not self.ridge and not self.recipe.epochs:
            raise UsageError("neither probe nor tuning: give a ridge, epochs, or both")
        if self.ridge and self.network != LINEAR:
            raise UsageError(f"a linear probe fits linear heads, not {self.network}; set its ridge to 0")

    @property
    def head(self) -> Head:
        """What the network reads."""
        return Head(self.stages or STAGES[self.backbone], self.network)

    def settings(self) -> dict[str, Any]:
        """What makes a run another run, the recipe apart: the training looks at that itself."""
        record = self.record()
        del record["recipe"]
        return record

    def record(self) -> dict[str, Any]:
        """For settings, checkpoints and cards; JSON-able."""
        record = asdict(self)
        record["stages"] = self.head.stages
        record["preprocessing"] = self.preprocessing.id
        return dict(json.loads(json.dumps(record)))


@dataclass(frozen=True, slots=True)
class Observers:
    """Who is told how training goes.

    Attributes:
        probe: how many samples a batch of the probe took in.
        step: after each step of the tuning.
    """

    probe: Callable[[int], None] = lambda _: None
    step: Callable[[Progress], None] = lambda _: None


def samples_of(
    source: Path, config: RegressorConfig, add: Path | None = None, weights: Path | None = None
) -> tuple[CentreSource, dict[str, Any]]:
    """What a folder offers to train on.

    Args:
        source: pristine photographs, which are distorted in memory and labelled with KADID's mean label of
            the type and level; or a set in KADID-10k's layout, whose images and labels are read from disk.
        config: which types and levels count.
        add: folder of pristine photographs of which DDCUp may add some; only to a set.
        weights: file of the backbone's ImageNet weights where no package carries them; for `add`.

    Returns:
        The samples, and the facts about them for the record.

    Raises:
        UsageError: the folder holds neither.
    """
    if (source / "dmos.csv").is_file():
        images, known = _set_on_disk(source, config)
        if add is None:
            return images, known
        network = QualityNetwork(pretrained_backbone(config.backbone, weights), config.head)
        joined, added = add_contents(images, source, add, network, config.preprocessing, config.types)
        return joined, known | added
    if add is not None:
        raise UsageError(f"{source} holds no dmos.csv: contents can be added only to a labelled set")
    references = photographs_in(source)
    if not references:
        raise UsageError(f"{source} holds neither photographs nor a set with a dmos.csv")
    samples = synthetic_samples(references, config.types, config.levels)
    facts = {
        "contents": len(references),
        "names_digest": digest_of_names(references),
        "labels": "kadid-mean",
    }
    return SyntheticCrops(samples, config.preprocessing), facts


def synthetic_samples(
    references: Sequence[Path], types: Sequence[int], levels: Sequence[int]
) -> list[Synthetic]:
    """Every reference at every type and level with KADID's mean label, and pristine with the best."""
    labels = kadid_mean()
    distorted = [(kind, level, float(labels[kind - 1, level - 1])) for kind in types for level in levels]
    cases = [(PRISTINE, 0, PRISTINE_LABEL), *distorted]
    return [Synthetic(reference, *case) for reference in references for case in cases]


def _set_on_disk(source: Path, config: RegressorConfig) -> tuple[CentreSource, dict[str, Any]]:
    labelled = datasets.load("kadid10k", source)
    # Scaled over the whole set before types are chosen, so that a label means the same in every selection.
    low, high = labelled.scores.min(), labelled.scores.max()
    if low == high:
        raise UsageError(f"{source}: all labels are {low}; there is nothing to learn from them")
    scaled = (PRISTINE_LABEL * (labelled.scores - low) / (high - low)).tolist()
    pairs = zip(labelled.samples, scaled, strict=True)
    chosen = [(s, label) for s, label in pairs if s.domain in config.types and s.level in config.levels]
    files, labels = [s.path for s, _ in chosen], [label for _, label in chosen]
    facts = {
        "contents": len({s.reference for s, _ in chosen}),
        "names_digest": digest_of_names(files),
        "labels": f"{source.name}/dmos.csv",
    }
    return ImageCrops(files, labels, config.preprocessing), facts


def train(
    source: CentreSource,
    config: RegressorConfig,
    folder: Path,
    facts: Mapping[str, Any],
    *,
    weights: Path | None = None,
    device: str = "cpu",
    workers: int = 0,
    observers: Observers | None = None,
) -> checkpoints.Checkpoint:
    """Train a regressor; started again in the same folder it goes on where it was.

    Args:
        source: samples whose targets are qualities, 0–10.
        config: how.
        folder: of the run; ends up with `regressor.safetensors`.
        facts: about the samples, for the record: contents, a digest of their names, labels.
        weights: file of the backbone's ImageNet weights where no package carries them.
        device: "cpu" or "cuda".
        workers: processes that make crops; 0 makes them here.
        observers: called with the progress.

    Returns:
        The checkpoint, also written to the folder.

    Raises:
        UsageError: nothing to train on, or the folder holds another run.
        ModelError: weights are missing, a state is damaged, or the loss diverged.
    """
    observers = observers or Observers()
    torch.manual_seed(config.recipe.seed)
    network = quality_network(pretrained_backbone(config.backbone, weights), config.head, config.network)
    originals = len(source) - int(facts.get("added_images", 0))
    thinning = Thinning(source, originals, config.recipe.seed, device, workers)
    training = Training(
        network,
        source,
        absolute_error,
        config.recipe,
        folder,
        config.settings() | dict(facts),
        device=device,
        workers=workers,
        choose=thinning if config.thin else None,
    )
    training.open()
    where: _Where = {"seed": config.recipe.seed, "device": device, "workers": workers}
    if isinstance(network, QualityNetwork) and config.ridge and training.fresh:
        fit_probe(network, source, ridge=config.ridge, observe=observers.probe, **where)
    training.run(observers.step)
    scale = scale_of(network, source, **where)
    checkpoint = _checkpoint(network, config, {**facts, "scale": scale.as_card()})
    checkpoints.save(folder / "regressor.safetensors", checkpoint)
    return checkpoint


class _Where(TypedDict):
    seed: int
    device: str
    workers: int


def _checkpoint(
    network: nn.Module, config: RegressorConfig, facts: Mapping[str, Any]
) -> checkpoints.Checkpoint:
    return checkpoints.Checkpoint(
        task="quality",
        backbone=config.backbone,
        head=config.head,
        preprocessing=config.preprocessing,
        tensors=network.cpu().state_dict(),
        training={"plan": config.record(), **facts, "software": software()},
    )


def absolute_error(outputs: dict[str, Tensor], targets: Tensor) -> Tensor:
    """The authors' loss: mean absolute error of quality, on the label scale."""
    return (outputs["quality"] - targets).abs().mean()


@torch.no_grad()
def scale_of(
    network: nn.Module, source: CropSource, *, seed: int, device: str = "cpu", workers: int = 0
) -> Calibration:
    """What the scores of a trained network mean, by random crops of what it was trained on.

    Args:
        network: takes crops, gives `quality`.
        source: samples whose targets are qualities, 0–10; of many, some are drawn.
        seed: of the draw and the crops.
        device: "cpu" or "cuda".
        workers: processes that make crops; 0 makes them here.
    """
    drawn = np.random.default_rng(seed).permutation(len(source))[:_SCALED_BY]
    crops = Subset(Crops(source, seed, epoch=0, flip=False), np.sort(drawn).tolist())
    network.to(device).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    raw, labels = [], []
    for batch, targets in batches(crops, 32, workers):
        with half_where_it_pays(device):
            raw.append(network(batch.to(device))["quality"].double().cpu().numpy())
        labels.append(targets.double().numpy())
    return link(np.concatenate(raw), np.concatenate(labels))
