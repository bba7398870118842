"""What the card of an adapted bundle keeps of the one that it was made from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dgqa_export.adaptation import adapter
from dgqa_export.graphs.pooling import with_pooling
from dgqa_infer.bundle.bundle import QUALITY_GRAPH, Bundle
from dgqa_infer.errors import ModelError
from dgqa_training.adaptation.moments import Moments

OLD = {"contents": 81, "scale": {"raw": [0]}, "int8": {"command": "x"}, "pooling": {"exponent": 0.8}}


@pytest.mark.parametrize("pooled", [True, False])
def test_records_of_the_old_scale_int8_graph_and_pooling_go_with_what_they_describe(
    small_bundle: Bundle, tmp_path: Path, pooled: bool
) -> None:
    graph = small_bundle.graph_bytes(QUALITY_GRAPH)
    old = replace(small_bundle, card=replace(small_bundle.card, training=OLD))
    written = adapter.write(
        old,
        with_pooling(graph, 0.8) if pooled else graph,
        tmp_path / "mine",
        name="mine",
        training={"types": [1]},
        profile={},
        calibration=small_bundle.card.calibration,
    )
    own = {"plan", "types", "adapted_from"}
    assert set(written.card.training) == {"contents", *own} | ({"pooling"} if pooled else set())


def test_moments_of_a_backbone_with_other_weights_are_refused() -> None:
    bundle = Bundle.load("dgqa-lite0")
    weights = bundle.card.training["backbone"]
    adapter.refuse_mismatch(bundle, Moments.built_in("efficientnet_lite0", weights))
    pretrained = Moments.built_in("efficientnet_lite0")
    with pytest.raises(ModelError, match="--model"):
        adapter.refuse_mismatch(bundle, pretrained)
    plain = {name: value for name, value in bundle.card.training.items() if name != "backbone"}
    adapter.refuse_mismatch(replace(bundle, card=replace(bundle.card, training=plain)), pretrained)


@pytest.mark.parametrize(
    "plan", [None, [], {"backbone": "efficientnet_lite0"}, {"backbone": 3, "stages": ["head"]}, {"stages": 1}]
)
def test_a_card_that_does_not_say_what_its_head_reads_is_refused(small_bundle: Bundle, plan: object) -> None:
    with pytest.raises(ModelError, match="does not say what its head reads"):
        adapter.features_record(replace(small_bundle.card, training={"plan": plan}))


def test_the_record_of_features_is_that_of_moments_taken_of_them() -> None:
    """`train moments` writes it into a file, `adapt` compares it."""
    card = Bundle.load("dgqa-lite0").card
    record = adapter.features_record(card)
    moments = Moments.built_in(record["backbone"], record["trained"])
    assert record.items() <= dict(moments.record).items()
