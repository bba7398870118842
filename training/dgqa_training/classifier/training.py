"""The domain classifier, DGQA's first half: which synthetic domain does a photograph resemble?

26 classes: 0 is pristine, 1–25 are KADID's distortion types; the level is no label (Li-aobo/DGQA,
`baseline.py` and `folders.py`). The authors train on KADIS-700k, which is one source here; else every content
is distorted with every type and level, in memory or by `synthesize` beforehand. A fifth of the contents is
kept back for the report.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from dgqa_infer.bundle.preprocessing import STANDARD, Preprocessing
from dgqa_training.classifier.material import crops, split
from dgqa_training.loop.loop import Progress, Training, software
from dgqa_training.loop.recipe import Recipe
from dgqa_training.loop.run_folder import digest_of_names
from dgqa_training.networks import checkpoints
from dgqa_training.networks.efficientnet_lite import STAGES as LITE_STAGES
from dgqa_training.networks.heads import DomainNetwork, Head, pretrained_backbone

STAGES = {
    **dict.fromkeys(("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"), LITE_STAGES),
    "resnet50": ("layer4",),
}
"""Backbone → the stages that its domain head reads; the paper's ResNet-50 reads its last. Noise, blur and
compression show in early stages, which ImageNet features of late ones have learnt to ignore."""

RECIPE = Recipe(epochs=4, lr=3e-4, cooldown=1, weight_decay=0.0, tune="pointwise", ema=0.999)
"""How the trunk of the built-in classifier was trained, on crops of `CROP`; the authors publish no recipe.
Its head was trained anew on views: `classifier.statistics_head`."""

CROP = 160
"""Side of a training crop, in pixels: a smaller one than scoring's is faster, and the trunk does not mind."""


@dataclass(frozen=True, slots=True)
class ClassifierConfig:
    """What a domain classifier is trained on, and how.

    Attributes:
        backbone: one of `dgqa_training.networks.heads.BACKBONES`.
        recipe: of the training.
        crop: side of a training crop, in pixels; scoring uses the preprocessing's. Smaller is faster.
        held_out: share of the contents that training never sees.
        prior: pristine images for each image of a type; KADIS-700k has 5.
        views: whether images are seen through views that are no fault: see `classifier.material`.
        preprocessing: short side of the references, and how photographs are cut for the domains.
    """

    backbone: str = "efficientnet_lite0"
    recipe: Recipe = field(default_factory=lambda: RECIPE)
    crop: int = CROP
    held_out: float = 0.2
    prior: float = 1.0
    views: bool = True
    preprocessing: Preprocessing = STANDARD

    def settings(self) -> dict[str, Any]:
        """What makes a run another run, the recipe apart: the training looks at that itself."""
        record = self.record()
        del record["recipe"]
        return record

    def record(self) -> dict[str, Any]:
        """For settings, checkpoints and cards; JSON-able."""
        return dict(json.loads(json.dumps(asdict(self) | {"preprocessing": self.preprocessing.id})))


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
        source: folder of pristine photographs, or a set in KADID-10k's layout with all types and levels, or
            KADIS-700k.
        config: how.
        folder: of the run; ends up with `domains.safetensors`.
        weights: file of the backbone's ImageNet weights where no package carries them.
        device: "cpu" or "cuda".
        workers: processes that make crops; 0 makes them here.
        observe: called after each step with the progress.

    Returns:
        The checkpoint, also written to the folder.

    Raises:
        UsageError: too few photographs, or the folder holds another run.
        ModelError: weights are missing, a state is damaged, or the loss diverged.
    """
    references, kept = split(source, config.held_out, config.recipe.seed)
    torch.manual_seed(config.recipe.seed)
    network = DomainNetwork(pretrained_backbone(config.backbone, weights), Head(STAGES[config.backbone]))
    facts = {"contents": len(references), "names_digest": digest_of_names(references)}
    facts |= {"held_out": [path.name for path in kept]}
    images = crops(
        source, references, config.preprocessing, config.crop, prior=config.prior, views=config.views
    )
    training = Training(
        network,
        images,
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
