"""A domain classifier joins a bundle: its checkpoint becomes `domains.onnx`, and the card explains it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from dgqa_export.graphs.graph import export_domains
from dgqa_export.graphs.packing import pack
from dgqa_infer.bundle.card import Card, Domains, Fault
from dgqa_infer.domains.classes import CLASSES
from dgqa_infer.errors import ModelError
from dgqa_training.networks import checkpoints
from dgqa_training.networks.checkpoints import Checkpoint
from dgqa_training.networks.official_checkpoint import import_classifier

_OF_A_CLASSIFIER: Final = {"classifier", "domain_head", "domain_trunk", "explanations", "int8_classifier"}
"""Keys of a card's training record that say how its domain classifier came about."""


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
    # A profile is what another classifier says: it does not outlive it. Nor do records of how the other was
    # made: its held-out photographs may be those that this one was trained on.
    domains = Domains(CLASSES, float(temperature), faults=faults)
    kept = {name: value for name, value in card.training.items() if name not in _OF_A_CLASSIFIER}
    return replace(card, domains=domains, training={**kept, "classifier": record}), graph
