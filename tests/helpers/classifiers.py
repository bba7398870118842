"""Bundles with a domain classifier of KADID's classes: from a checkpoint, or one that nobody trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper
from PIL import Image
from tiny_models import model, quality_graph, tiny_card

from dgqa_export.classifier import with_classifier
from dgqa_infer.bundle.bundle import DOMAIN_GRAPH, Bundle, write_bundle
from dgqa_infer.bundle.card import Domains
from dgqa_infer.domains.classes import CLASSES
from dgqa_training.networks.checkpoints import Checkpoint


def bundle_with_classifier(bundle: Bundle, checkpoint: Checkpoint, folder: Path) -> Bundle:
    """Write a bundle again, with a domain classifier in place of any that it has."""
    card, graph = with_classifier(bundle.card, checkpoint)
    others = {name: bundle.graph_bytes(name) for name in bundle.card.files if name != DOMAIN_GRAPH}
    return write_bundle(folder, {**others, DOMAIN_GRAPH: graph}, card)


def parts_of_a_photograph(folder: Path, number: int) -> Path:
    """A folder with as many small photographs, "00.png" and on, none like another."""
    data = pytest.importorskip("skimage.data", reason="scikit-image's photographs are not installed")
    whole = data.astronaut()
    for place in range(number):
        top, left = (80 * each for each in divmod(place, 5))
        Image.fromarray(whole[top : top + 72, left : left + 80]).save(folder / f"{place:02}.png")
    return folder


def colour_classifier() -> bytes:
    """A domain graph whose 26 logits are weighted means of the colour planes."""
    nodes = [
        helper.make_node("Cast", ["crops"], ["pixels"], to=1),
        helper.make_node("ReduceMean", ["pixels", "space"], ["colour"], keepdims=0),
        helper.make_node("MatMul", ["colour", "weights"], ["domain_logits"]),
    ]
    weights = np.random.default_rng(0).normal(0, 0.01, (3, len(CLASSES))).astype(np.float32)
    constants: dict[str, NDArray[Any]] = {"space": np.array([1, 2], np.int64), "weights": weights}
    graph = model(nodes, constants, {"domain_logits": ["batch", len(CLASSES)]})
    return bytes(graph.SerializeToString())


def classifying_bundle(folder: Path, training: dict[str, Any]) -> Bundle:
    """A tiny bundle with `colour_classifier` and a training record."""
    card = tiny_card(domains=Domains(CLASSES, 1.0), training=training)
    graphs = {"model.onnx": quality_graph().SerializeToString(), DOMAIN_GRAPH: colour_classifier()}
    return write_bundle(folder, graphs, card)
