"""A domain classifier joins a bundle: its checkpoint becomes `domains.onnx`, and the card explains it."""

from __future__ import annotations

import os
from dataclasses import replace

from dgqa_export.graph import export_domains
from dgqa_export.packing import pack
from dgqa_infer.bundle import DOMAIN_GRAPH, QUALITY_GRAPH, Bundle, Domains, write_bundle
from dgqa_infer.domains import CLASSES
from dgqa_infer.errors import ModelError
from dgqa_training.checkpoints import Checkpoint


def add_classifier(bundle: Bundle, checkpoint: Checkpoint, folder: str | os.PathLike[str]) -> Bundle:
    """Write a bundle again, with a domain classifier.

    Args:
        bundle: scores quality; a classifier that it has is replaced.
        checkpoint: of a domain classifier, ours or `dgqa_training.authors.import_classifier`'s. In the bundle
            it sees the bundle's crops: one that was trained on others is judged by these.
        folder: of the new bundle; may be that of the old one.

    Returns:
        The new bundle. Its classifier's temperature is the one that the training's report fitted, or 1 where
        there is no report; the report goes into the card.

    Raises:
        ModelError: the checkpoint is of another task or for crops of another size.
        OutputError: the folder cannot be written.
    """
    card, side = bundle.card, bundle.card.preprocessing.crop
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
    profile = card.domains.profile if card.domains else {}
    card = replace(
        card,
        domains=Domains(CLASSES, float(temperature), profile),
        training={**card.training, "classifier": record},
    )
    return write_bundle(folder, {QUALITY_GRAPH: bundle.graph_bytes(QUALITY_GRAPH), DOMAIN_GRAPH: graph}, card)
