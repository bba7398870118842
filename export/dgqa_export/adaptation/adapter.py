"""A bundle for other photographs: the same frozen network, with a head for the domains selected for them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dgqa_export.bundles import describe
from dgqa_export.graphs.head import replace_head, size
from dgqa_export.graphs.pooling import exponent_of, without_pooling
from dgqa_infer.bundle.bundle import DOMAIN_GRAPH, QUALITY_GRAPH, Bundle, write_bundle
from dgqa_infer.bundle.card import Calibration, Card
from dgqa_infer.bundle.preprocessing import FULL
from dgqa_infer.errors import ModelError
from dgqa_training.adaptation.moments import LinearHead, Moments


def features_record(card: Card) -> dict[str, Any]:
    """What a bundle's head reads, as the record of a table of features says it.

    Returns:
        `backbone` and `stages`; and `trained`, a digest of the backbone's weights, where it is not the
        pretrained one.

    Raises:
        ModelError: the card does not say; the backbone was tuned; or the graph is not in fp32.
    """
    plan = card.training.get("plan")
    plan = plan if isinstance(plan, dict) else {}
    backbone, stages, recipe = plan.get("backbone"), plan.get("stages"), plan.get("recipe")
    if card.precision != "fp32":
        raise ModelError(f"{card.name} is in {card.precision}; adapt the fp32 bundle and export that")
    if not isinstance(backbone, str) or not isinstance(stages, list):
        raise ModelError(f"{card.name}: its card does not say what its head reads of which backbone")
    if isinstance(recipe, dict) and recipe.get("epochs"):
        raise ModelError(f"{card.name}: its backbone was tuned, so its features are not the pretrained ones")
    record = {"backbone": backbone, "stages": stages}
    trained = card.training.get("backbone")
    return record if trained is None else {**record, "trained": trained}


def refuse_mismatch(bundle: Bundle, moments: Moments) -> None:
    """Check that moments are of the very features that a bundle's head reads.

    Raises:
        ModelError: they are of another network, or the bundle's features are none to be adapted.
    """
    card, preprocessing = bundle.card, bundle.card.preprocessing
    # Distorted pictures are no larger than the short side: no kind of shrinking changes them.
    same = [FULL.id] if replace(preprocessing, id=FULL.id, decoded_side=None, resizer=None) == FULL else []
    features = features_record(card)
    wanted = {
        "backbone": [features["backbone"]],
        "stages": [features["stages"]],
        "preprocessing": [preprocessing.id, *same],
    }
    for name, have in wanted.items():
        if moments.record.get(name) not in have:
            raise ModelError(
                f"{card.name} cannot be adapted with these moments: they are of {name} "
                f"{moments.record.get(name)}, the bundle has {have[0]}"
            )
    if moments.record.get("trained") != features.get("trained"):
        raise ModelError(
            f"{card.name} cannot be adapted with these moments: they are of a backbone with other weights; "
            "`dgqa-infer train moments --model` takes some of the bundle's own"
        )
    if (count := size(bundle.graph_bytes(QUALITY_GRAPH))) != len(moments.mean):
        raise ModelError(f"{card.name} reads {count} features, the moments are of {len(moments.mean)}")


def graph_of(bundle: Bundle, head: LinearHead, *, pooled: bool = True) -> bytes:
    """A bundle's quality graph with another head.

    Args:
        bundle: in fp32.
        head: on the same features.
        pooled: whether the graph pools as the bundle's does, if that does; see `dgqa_export.graphs.pooling`.

    Raises:
        ModelError: the head does not fit.
    """
    graph = replace_head(bundle.graph_bytes(QUALITY_GRAPH), head.weights, head.bias)
    return graph if pooled else without_pooling(graph)


def write(
    bundle: Bundle,
    graph: bytes,
    folder: str | os.PathLike[str],
    *,
    name: str,
    training: Mapping[str, Any],
    profile: Mapping[str, Any],
    calibration: Calibration,
) -> Bundle:
    """Write a bundle again with another head.

    Args:
        bundle: in fp32; what it reached is not said of the new one.
        graph: of quality, as `graph_of` gives it.
        folder: of the new bundle.
        name: of the new bundle.
        training: how the head came about; takes the place of the old record's plan.
        profile: domain profile of the photographs that it is for.
        calibration: raw quality → score.

    Raises:
        OutputError: the folder cannot be written.
    """
    old = bundle.card
    plan = {**old.training.get("plan", {}), "types": list(training["types"])}
    # The calibration is another one, there is no int8 graph, and ratings may have taken pooling out.
    replaced = {"scale", "int8"} | ({"pooling"} if exponent_of(graph) is None else set())
    kept = {name: value for name, value in old.training.items() if name not in replaced}
    card = replace(
        old,
        name=name,
        version="1",
        training={**kept, "plan": plan, **training, "adapted_from": bundle.model_id},
        calibration=calibration,
        domains=old.domains and replace(old.domains, profile=profile),
        figures=(),
    )
    graphs = {QUALITY_GRAPH: describe(graph, card)}
    if DOMAIN_GRAPH in old.files:
        graphs[DOMAIN_GRAPH] = bundle.graph_bytes(DOMAIN_GRAPH)
    return write_bundle(folder, graphs, card)
