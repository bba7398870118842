"""A domain classifier joins a bundle: its checkpoint becomes `domains.onnx`, and the card explains it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from dgqa_export.graphs.graph import export_domains
from dgqa_export.graphs.packing import pack
from dgqa_infer.bundle.bundle import DOMAIN_GRAPH, Bundle, write_bundle
from dgqa_infer.bundle.card import Card, Domains, Fault
from dgqa_infer.domains.classes import CLASSES
from dgqa_infer.errors import ModelError
from dgqa_training.networks import checkpoints
from dgqa_training.networks.checkpoints import Checkpoint
from dgqa_training.networks.official_checkpoint import import_classifier


def load_classifier(file: Path) -> Checkpoint:
    """A domain classifier's checkpoint: ours, or the one that DGQA's authors publish (`.pth.tar`).

    Raises:
        ModelError: it is neither.
    """
    return checkpoints.load(file) if file.suffix == ".safetensors" else import_classifier(file)


def with_classifier(card: Card, checkpoint: Checkpoint) -> tuple[Card, bytes]:
    """What a bundle with this classifier says, and the classifier's graph.

    Args:
        card: of a bundle that scores quality; a classifier that it has is replaced.
        checkpoint: of a domain classifier. In the bundle it sees the bundle's crops: one that was trained on
            others is judged by these.

    Returns:
        The card, and `domains.onnx`. The temperature is the one that the training's report fitted, or 1 where
        there is no report; the report goes into the card, and so do its thresholds of explanations.

    Raises:
        ModelError: the checkpoint is of another task or for crops of another size.
    """
    side = card.preprocessing.crop
    if checkpoint.task != "domains":
        raise ModelError(f"the checkpoint holds a network for {checkpoint.task}, not a domain classifier")
    if checkpoint.preprocessing.crop != side:
        raise ModelError(
            f"the classifier is for crops of {checkpoint.preprocessing.crop} pixels, {card.name} has {side}"
        )
    metadata = {"name": card.name, "version": card.version, "classes": ",".join(CLASSES)}
    graph = pack(export_domains(checkpoint.network(), side, metadata))
    temperature = checkpoint.training.get("report", {}).get("calibration", {}).get("temperature", 1.0)
    record = {
        "backbone": checkpoint.backbone,
        "preprocessing": checkpoint.preprocessing.id,
        **checkpoint.training,
    }
    found = record.pop("faults", {})
    faults = {name: Fault.from_card(value, name) for name, value in found.items()}
    # A profile is what another classifier says: it does not outlive it.
    domains = Domains(CLASSES, float(temperature), faults=faults)
    return replace(card, domains=domains, training={**card.training, "classifier": record}), graph


def add_classifier(bundle: Bundle, checkpoint: Checkpoint, folder: str | os.PathLike[str]) -> Bundle:
    """Write a bundle again, with a domain classifier: see `with_classifier`.

    Args:
        bundle: scores quality.
        checkpoint: of a domain classifier.
        folder: of the new bundle; may be that of the old one.

    Raises:
        ModelError: the checkpoint does not fit.
        OutputError: the folder cannot be written.
    """
    card, graph = with_classifier(bundle.card, checkpoint)
    others = {name: bundle.graph_bytes(name) for name in bundle.card.files if name != DOMAIN_GRAPH}
    return write_bundle(folder, {**others, DOMAIN_GRAPH: graph}, card)
