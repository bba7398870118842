"""A domain classifier joins a bundle: its checkpoint becomes `domains.onnx`, and the card explains it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dgqa_export.graph import export_domains
from dgqa_export.packing import pack
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.bundle.bundle import DOMAIN_GRAPH, Bundle, write_bundle
from dgqa_infer.bundle.card import Card, Domains, Fault
from dgqa_infer.domains.classes import CLASSES, require_kadid
from dgqa_infer.errors import ModelError
from dgqa_training.classifier.examples import examples, logits_of
from dgqa_training.classifier.faults import choose
from dgqa_training.classifier.held_out import HeldOut
from dgqa_training.classifier.temperature import fit_temperature
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


def look_at_examples(
    bundle: Bundle, contents: Sequence[Path], *, advance: Callable[[int], None] = lambda _: None
) -> HeldOut:
    """What a bundle's classifier says of photographs whose faults are known: `classifier.examples`.

    Args:
        bundle: with a domain classifier.
        contents: pristine photographs that the classifier was not trained on.
        advance: called with the number of further examples done.

    Raises:
        ModelError: the bundle has no domain classifier, or one with other classes.
    """
    domains, preprocessing = bundle.card.domains, bundle.card.preprocessing
    require_kadid(domains, bundle.card.name)
    assert domains is not None
    with OnnxRuntimeBackend(bundle.graph_bytes(DOMAIN_GRAPH)) as backend:
        return logits_of(
            examples(contents, preprocessing),
            preprocessing,
            lambda crops: backend.infer(crops)["domain_logits"],
            chosen=domains.crops,
            advance=advance,
        )


def with_faults(bundle: Bundle, seen: HeldOut, folder: str | os.PathLike[str]) -> Bundle:
    """Write a bundle again: temperature, thresholds and severities of explanations, chosen for its own graph.

    The training's report chooses them too; this is for a classifier without one.

    Args:
        bundle: with a domain classifier.
        seen: see `look_at_examples`.
        folder: of the new bundle; may be that of the old one.

    Raises:
        ModelError: the bundle has no domain classifier, or one with other classes.
        UsageError: the examples are of fewer than five contents.
        OutputError: the folder cannot be written.
    """
    domains = bundle.card.domains
    require_kadid(domains, bundle.card.name)
    assert domains is not None
    temperature = round(fit_temperature(seen.logits, np.where(seen.identities, 0, seen.classes)), 5)
    faults, record = choose(seen, temperature)
    by_name = {name: faults[name.replace("_", "-")] for name in domains.classes[1:]}
    card = replace(
        bundle.card,
        domains=replace(domains, temperature=temperature, faults=by_name),
        training={**bundle.card.training, "explanations": record},
    )
    return write_bundle(folder, {name: bundle.graph_bytes(name) for name in card.files}, card)
