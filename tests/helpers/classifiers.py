"""A domain classifier's checkpoint put into a bundle on disk."""

from __future__ import annotations

from pathlib import Path

from dgqa_export.classifier import with_classifier
from dgqa_infer.bundle.bundle import DOMAIN_GRAPH, Bundle, write_bundle
from dgqa_training.networks.checkpoints import Checkpoint


def bundle_with_classifier(bundle: Bundle, checkpoint: Checkpoint, folder: Path) -> Bundle:
    """Write a bundle again, with a domain classifier in place of any that it has."""
    card, graph = with_classifier(bundle.card, checkpoint)
    others = {name: bundle.graph_bytes(name) for name in bundle.card.files if name != DOMAIN_GRAPH}
    return write_bundle(folder, {**others, DOMAIN_GRAPH: graph}, card)
