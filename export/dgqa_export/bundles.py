"""Cards and graphs go together: from a checkpoint, in another precision, and what a lone graph says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import onnx

from dgqa_export.graphs.contract import QUALITY_OUTPUTS, check, parse
from dgqa_export.graphs.graph import OPSET, export_quality
from dgqa_export.precisions.precision import precision_of
from dgqa_infer.bundle.card import DIRECTION, Calibration, Card
from dgqa_infer.errors import ModelError
from dgqa_training.networks.checkpoints import Checkpoint

TOLERANCES: Mapping[str, float] = {"fp32": 2e-3, "fp16": 0.02, "int8": 0.08}
"""How far raw quality may move: the largest difference, for int8 the mean. Runtimes add in other orders:
the built-in model's scores differ by 3e-6, those of a head with the large weights of few images by 2e-4 on
a Xeon and by 9e-4 on an EPYC."""

PACKED = "packed"
"""In drift reports: fp32 with weights that are stored as float16, see `dgqa_export.graphs.packing`."""

RAW_RANGE = (0.0, 10.0)


def essentials(card: Card) -> dict[str, str]:
    """What the graph itself says in its metadata, so that the lone file can be used.

    Returns:
        `name`, `version`, `licence`, `precision`, `direction`; and as JSON `preprocessing`, `raw_range` and
        `calibration`, as in the card.
    """
    data = card.as_json()
    structured = {
        "preprocessing": data["preprocessing"],
        "raw_range": data["score"]["raw_range"],
        "calibration": data["score"]["calibration"],
    }
    plain = {
        "name": card.name,
        "version": card.version,
        "licence": card.licence,
        "precision": card.precision,
        "direction": DIRECTION,
    }
    return plain | {name: json.dumps(value) for name, value in structured.items()}


def describe(graph: bytes, card: Card) -> bytes:
    """The same graph with the card's essentials for metadata."""
    model = parse(graph)
    model.ClearField("metadata_props")
    onnx.helper.set_model_props(model, dict(sorted(essentials(card).items())))
    return bytes(model.SerializeToString(deterministic=True))


def card_for(
    checkpoint: Checkpoint,
    name: str,
    *,
    version: str = "1",
    licence: str = "NOASSERTION",
) -> Card:
    """A card for a checkpoint's network in fp32; `write_bundle` fills in the files.

    Scores are linked as its training record says; by default they are the label scale times ten.

    Args:
        checkpoint: of a quality network.
        name: of the bundle.
        version: of the bundle.
        licence: of the weights, as an SPDX expression; only their maker knows.
    """
    scale = checkpoint.training.get("scale")
    return Card(
        name=name,
        version=version,
        licence=licence,
        precision="fp32",
        files={},
        preprocessing=checkpoint.preprocessing,
        raw_range=RAW_RANGE,
        calibration=Calibration.from_card(scale) if scale else Calibration(RAW_RANGE, (0.0, 100.0)),
        tolerances=TOLERANCES,
        training=dict(checkpoint.training),
    )


def graph_of(checkpoint: Checkpoint, card: Card, opset: int = OPSET, plugin: str | None = None) -> bytes:
    """The checkpoint's network as a graph, in fp32, with the card's essentials.

    Args:
        checkpoint: of a quality network.
        card: of the bundle to be.
        opset: of the graph.
        plugin: "package.module:Class" that may be imported, see `Checkpoint.network`.

    Raises:
        ModelError: it is no quality network, or cannot be exported.
    """
    if checkpoint.task != "quality":
        raise ModelError(f"the checkpoint holds a network for {checkpoint.task}, not for quality")
    network = checkpoint.network(plugin)
    return export_quality(network, checkpoint.preprocessing.crop, essentials(card), opset=opset)


def in_precision(card: Card, precision: str, drift: list[dict[str, Any]]) -> Card:
    """The card of the same model in another precision.

    Args:
        card: of the fp32 model.
        precision: fp32, fp16 or int8.
        drift: what verification measured, for the card's figures.
    """
    name = card.name if precision == "fp32" else f"{card.name}-{precision}"
    tolerances = {**TOLERANCES, **card.tolerances}
    kept = [dict(figure) for figure in card.figures if figure.get("kind") != "drift"]
    if precision != "fp32":
        # What the fp32 model reached is not what this one was seen to reach.
        kept = [{**figure, "measured_in": "fp32"} for figure in kept]
    figures = (*kept, *({"kind": "drift", **row} for row in drift))
    # An export has one graph of quality: what made an int8 one beside it is not said of it.
    training = {key: value for key, value in card.training.items() if key != "int8"}
    return replace(
        card, name=name, precision=precision, tolerances=tolerances, figures=figures, training=training
    )


def refuse_mismatch(graph: bytes, card: Card) -> None:
    """Check that a quality graph is what its card says.

    Raises:
        ModelError: other outputs, another crop or another precision.
    """
    facts = check(graph)
    if facts.outputs != QUALITY_OUTPUTS:
        raise ModelError(f"{card.name}: model.onnx gives {list(facts.outputs)}, not {list(QUALITY_OUTPUTS)}")
    if facts.side != card.preprocessing.crop:
        crop = card.preprocessing.crop
        raise ModelError(f"{card.name}: model.onnx takes crops of {facts.side} pixels, its card says {crop}")
    if (found := precision_of(parse(graph))) != card.precision:
        raise ModelError(f"{card.name}: model.onnx is in {found}, its card says {card.precision}")


def tolerance(card: Card, precision: str) -> float:
    """How far a precision may move raw quality: the card's word, else the house's.

    A packed graph may move it as far as an fp16 graph: its weights are rounded in the same way.
    """
    precision = "fp16" if precision == PACKED else precision
    return card.tolerances.get(precision, TOLERANCES[precision])
