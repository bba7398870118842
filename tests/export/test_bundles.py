"""Cards and graphs that belong together, and those that do not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dgqa_export import bundles
from dgqa_export.graphs.contract import parse
from dgqa_export.graphs.packing import pack
from dgqa_export.precisions.precision import to_fp16
from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.errors import ModelError
from dgqa_training.networks.checkpoints import Checkpoint
from dgqa_training.networks.heads import DomainNetwork, Head, build_backbone

PREPROCESSING = Preprocessing(id="test-short128-grid5-64", short_side=128, crop=64, grid=5)


def test_the_lone_graph_says_how_it_is_used(small_bundle: Bundle) -> None:
    graph = bundles.describe(small_bundle.graph_bytes("model.onnx"), small_bundle.card)
    said = {entry.key: entry.value for entry in parse(graph).metadata_props}
    card = small_bundle.card.as_json()
    assert said["name"] == "small"
    assert said["precision"] == "fp32"
    assert json.loads(said["preprocessing"]) == card["preprocessing"]
    assert json.loads(said["calibration"]) == card["score"]["calibration"]
    assert json.loads(said["raw_range"]) == [0, 10]
    assert said["direction"] == "higher is better"


def test_describing_twice_changes_nothing(small_bundle: Bundle) -> None:
    once = bundles.describe(small_bundle.graph_bytes("model.onnx"), small_bundle.card)
    assert bundles.describe(once, small_bundle.card) == once


def test_a_card_in_another_precision_has_its_name_and_its_measured_drift(small_bundle: Bundle) -> None:
    card = bundles.in_precision(small_bundle.card, "fp16", [{"candidate": "x", "max_abs": 0.1}])
    assert (card.name, card.precision) == ("small-fp16", "fp16")
    assert card.figures == ({"kind": "drift", "candidate": "x", "max_abs": 0.1},)
    again = bundles.in_precision(replace(card, name="small", precision="fp32"), "fp16", [{"candidate": "y"}])
    assert again.figures == ({"kind": "drift", "candidate": "y"},)


def test_the_cards_tolerance_goes_before_the_houses(small_bundle: Bundle) -> None:
    strict = replace(small_bundle.card, tolerances={"fp32": 1e-6})
    assert bundles.tolerance(strict, "fp32") == 1e-6
    assert bundles.tolerance(strict, "fp16") == 0.02


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"precision": "fp16"}, "is in fp32, its card says fp16"),
        ({"preprocessing": replace(PREPROCESSING, crop=32)}, "takes crops of 64 pixels, its card says 32"),
    ],
)
def test_a_card_that_does_not_fit_its_graph_is_refused(
    small_bundle: Bundle, change: dict[str, object], said: str
) -> None:
    graph = small_bundle.graph_bytes("model.onnx")
    with pytest.raises(ModelError, match=said):
        bundles.refuse_mismatch(graph, replace(small_bundle.card, **change))  # type: ignore[arg-type]


def test_a_graph_in_half_under_a_card_in_single_is_refused_and_a_packed_one_is_not(
    small_bundle: Bundle,
) -> None:
    graph = small_bundle.graph_bytes("model.onnx")
    bundles.refuse_mismatch(pack(graph), small_bundle.card)
    with pytest.raises(ModelError, match="is in fp16, its card says fp32"):
        bundles.refuse_mismatch(to_fp16(graph), small_bundle.card)


def test_a_checkpoint_of_another_task_is_refused(tmp_path: Path) -> None:
    network = DomainNetwork(build_backbone("efficientnet_lite0"), Head(("blocks7",)))
    checkpoint = Checkpoint(
        "domains", "efficientnet_lite0", network.head, PREPROCESSING, network.state_dict()
    )
    with pytest.raises(ModelError, match="a network for domains, not for quality"):
        bundles.graph_of(checkpoint, bundles.card_for(checkpoint, "x"))


def test_a_checkpoint_of_another_architecture_is_refused() -> None:
    network = DomainNetwork(build_backbone("efficientnet_lite0"), Head(("blocks7",)))
    tensors = {name: value for name, value in network.state_dict().items() if "linear" not in name}
    tensors["linear.weight"] = torch.zeros(1, 7, 1, 1)
    checkpoint = Checkpoint("quality", "efficientnet_lite0", network.head, PREPROCESSING, tensors)
    with pytest.raises(ModelError, match="do not fit efficientnet_lite0"):
        bundles.graph_of(checkpoint, bundles.card_for(checkpoint, "x"))


def test_an_exports_card_says_nothing_of_an_int8_graph_that_stays_behind(small_bundle: Bundle) -> None:
    card = replace(small_bundle.card, training={"contents": 81, "int8": {"command": "x"}})
    assert bundles.in_precision(card, "fp32", []).training == {"contents": 81}
