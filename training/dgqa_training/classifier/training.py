"""The domain classifier, DGQA's first half: which synthetic domain does a photograph resemble?

26 classes: 0 is pristine, 1–25 are KADID's distortion types; the level is no label (Li-aobo/DGQA,
`baseline.py` and `folders.py`). The authors train on KADIS-700k; here every content is distorted with every
type and level, in memory or by `synthesize` beforehand, and a fifth of the contents is kept back for the
report.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dgqa_infer.bundle.preprocessing import STANDARD, Preprocessing
from dgqa_infer.errors import UsageError
from dgqa_infer.inputs.finder import photographs_in
from dgqa_training import datasets
from dgqa_training.distortions import DISTORTIONS, LEVELS
from dgqa_training.loop.crop_sources import PRISTINE, ImageCrops, Synthetic, SyntheticCrops
from dgqa_training.loop.loop import CropSource, Progress, Recipe, Training, software
from dgqa_training.networks import checkpoints
from dgqa_training.networks.efficientnet_lite import STAGES as LITE_STAGES
from dgqa_training.networks.heads import DomainNetwork, Head, pretrained_backbone

TABLE = "dmos.csv"
"""The file by which a set in KADID-10k's layout is told from a folder of photographs."""

STAGES = {
    **dict.fromkeys(("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"), LITE_STAGES),
    "resnet50": ("layer4",),
}
"""Backbone → the stages that its domain head reads; the paper's ResNet-50 reads its last. Noise, blur and
compression show in early stages, which ImageNet features of late ones have learnt to ignore."""

RECIPE = Recipe(epochs=2, lr=2e-4, weight_decay=0.0, ema=0.998)
"""How the built-in classifier is trained; the authors publish no recipe for theirs."""


@dataclass(frozen=True, slots=True)
class ClassifierConfig:
    """What a domain classifier is trained on, and how.

    Attributes:
        backbone: one of `dgqa_training.networks.heads.BACKBONES`.
        recipe: of the training.
        crop: side of a training crop, in pixels; scoring uses the preprocessing's. Smaller is faster.
        held_out: share of the contents that training never sees.
        preprocessing: short side of the references, and how photographs are cut when domains are told.
    """

    backbone: str = "efficientnet_lite0"
    recipe: Recipe = field(default_factory=lambda: RECIPE)
    crop: int = 224
    held_out: float = 0.2
    preprocessing: Preprocessing = STANDARD

    def settings(self) -> dict[str, Any]:
        """What makes a run another run, the recipe apart: the training looks at that itself."""
        record = self.record()
        del record["recipe"]
        return record

    def record(self) -> dict[str, Any]:
        """For settings, checkpoints and cards; JSON-able."""
        return dict(json.loads(json.dumps(asdict(self) | {"preprocessing": self.preprocessing.id})))


def split(source: Path, config: ClassifierConfig) -> tuple[list[Path], list[Path]]:
    """The contents of a folder: those to train on, and those that are kept back.

    Args:
        source: pristine photographs, or a set in KADID-10k's layout.
        config: says how many are kept back.

    Raises:
        UsageError: there are too few for both.
    """
    if (source / TABLE).is_file():
        samples = datasets.load("kadid10k", source).samples
        contents = sorted({sample.reference for sample in samples if sample.reference})
    else:
        contents = photographs_in(source)
    kept = round(len(contents) * config.held_out)
    if not 0 < kept < len(contents):
        raise UsageError(
            f"{source} holds {len(contents)} photographs; keeping back a share of {config.held_out} leaves "
            "none to train on or none to report on"
        )
    order = np.random.default_rng(config.recipe.seed).permutation(len(contents))
    return [contents[i] for i in sorted(order[kept:])], [contents[i] for i in sorted(order[:kept])]


def samples(references: Sequence[Path], pristine_copies: int = len(LEVELS)) -> list[Synthetic]:
    """Every reference at every type and level, labelled with its class.

    Args:
        references: pristine photographs.
        pristine_copies: how often each counts undistorted; as often as a type by default.
    """
    distorted = [(kind, level, float(kind)) for kind in DISTORTIONS for level in LEVELS]
    cases = [(PRISTINE, 0, float(PRISTINE))] * pristine_copies + distorted
    return [Synthetic(reference, *case) for reference in references for case in cases]


def crops(source: Path, references: Sequence[Path], config: ClassifierConfig) -> CropSource:
    """What is trained on: every reference at every type and level, labelled with its class.

    Args:
        source: the references' folder, whose images are made in memory; or the set that they are of, whose
            images are read from disk, which is faster than distorting them.
        references: the contents to train on.
        config: says how crops are cut.
    """
    if not (source / TABLE).is_file():
        return SyntheticCrops(samples(references), config.preprocessing, config.crop)
    chosen = set(references)
    images = [s for s in datasets.load("kadid10k", source).samples if s.reference in chosen]
    pristine = [reference for reference in references for _ in LEVELS]
    classes = [float(PRISTINE)] * len(pristine) + [float(s.domain or PRISTINE) for s in images]
    return ImageCrops([*pristine, *(s.path for s in images)], classes, config.preprocessing, config.crop)


def train(
    source: Path,
    config: ClassifierConfig,
    folder: Path,
    *,
    weights: Path | None = None,
    device: str = "cpu",
    workers: int = 0,
    observe: Callable[[Progress], None] = lambda _: None,
) -> checkpoints.Checkpoint:
    """Train a classifier; started again in the same folder it goes on where it was.

    Args:
        source: folder of pristine photographs, or a set in KADID-10k's layout with all types and levels.
        config: how.
        folder: of the run; ends up with `domains.safetensors`.
        weights: file of the backbone's ImageNet weights where no package carries them.
        device: "cpu" or "cuda".
        workers: processes that make crops; 0 makes them here.
        observe: told after each step how it goes.

    Returns:
        The checkpoint, also written to the folder.

    Raises:
        UsageError: too few photographs, or the folder holds another run.
        ModelError: weights are missing, a state is damaged, or the loss diverged.
    """
    references, kept = split(source, config)
    torch.manual_seed(config.recipe.seed)
    network = DomainNetwork(pretrained_backbone(config.backbone, weights), Head(STAGES[config.backbone]))
    facts = {"contents": len(references), "held_out": [path.name for path in kept]}
    material = crops(source, references, config)
    training = Training(
        network,
        material,
        cross_entropy,
        config.recipe,
        folder,
        config.settings() | facts,
        device=device,
        workers=workers,
    )
    training.run(observe)
    checkpoint = checkpoints.Checkpoint(
        task="domains",
        backbone=config.backbone,
        head=network.head,
        preprocessing=config.preprocessing,
        tensors=network.cpu().state_dict(),
        training={"plan": config.record(), **facts, "software": software()},
    )
    checkpoints.save(folder / "domains.safetensors", checkpoint)
    return checkpoint


def cross_entropy(outputs: dict[str, Tensor], targets: Tensor) -> Tensor:
    """Cross-entropy of the 26 raw logits; targets are class numbers."""
    return functional.cross_entropy(outputs["domain_logits"], targets.long())
