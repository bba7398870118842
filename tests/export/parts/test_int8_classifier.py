"""A domain classifier in int8: smaller, and it says nearly what the one in fp32 said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from classifiers import bundle_with_classifier, parts_of_a_photograph
from PIL import Image

from dgqa_export.graphs.contract import parse
from dgqa_export.parts.int8_classifier import SEEN, TOLERANCE, with_int8_classifier
from dgqa_export.precisions.precision import precision_of
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.bundle.bundle import Bundle, write_bundle
from dgqa_infer.errors import ModelError
from dgqa_training.networks.checkpoints import Checkpoint
from dgqa_training.networks.heads import DomainNetwork, Head, build_backbone

HELD_OUT = 5

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Parts of a photograph, so many as are trained on and kept back."""
    return parts_of_a_photograph(tmp_path_factory.mktemp("contents"), SEEN + HELD_OUT)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, small_bundle: Bundle) -> Bundle:
    """With a classifier that nobody trained, on the first blocks of a network."""
    torch.manual_seed(1)
    head = Head(("blocks4",))
    network = DomainNetwork(build_backbone("efficientnet_lite0"), head)
    way = small_bundle.card.preprocessing
    held_out = {"held_out": [f"{number:02}.png" for number in range(HELD_OUT)]}
    trained = Checkpoint("domains", "efficientnet_lite0", head, way, network.state_dict(), held_out)
    return bundle_with_classifier(small_bundle, trained, tmp_path_factory.mktemp("bundles") / "joined")


@pytest.fixture(scope="module")
def found(bundle: Bundle, contents: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return with_int8_classifier(bundle, contents, tmp_path_factory.mktemp("int8") / "small")


def test_the_classifier_in_int8_is_smaller_and_says_nearly_the_same(
    bundle: Bundle, found: Bundle, contents: Path
) -> None:
    before, after = bundle.graph_bytes("domains.onnx"), found.graph_bytes("domains.onnx")
    assert precision_of(parse(after)) == "int8"
    assert len(after) < len(before)
    photograph = np.asarray(Image.open(contents / "00.png"))[:64, :64][np.newaxis]
    with OnnxRuntimeBackend(before) as fp32, OnnxRuntimeBackend(after) as int8:
        moved = int8.infer(photograph)["domain_logits"] - fp32.infer(photograph)["domain_logits"]
    assert 0 < np.abs(moved).mean() < TOLERANCE
    record = found.card.training["int8_classifier"]
    (chosen,) = [trial for trial in record["trials"] if trial["chosen"]]
    assert chosen["mean_abs"] <= TOLERANCE
    assert chosen["left_out"] == record["left_out"]
    assert found.card.training["explanations"]["contents"] == HELD_OUT
    assert [tried["score_weight"] for tried in found.card.training["explanations"]["tried"]] == [0.0]
    assert found.graph_bytes("model.onnx") == bundle.graph_bytes("model.onnx")
    assert found.card.precision == "fp32"


def test_a_classifier_in_int8_is_not_converted_again(found: Bundle, contents: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="already"):
        with_int8_classifier(found, contents, tmp_path / "twice")


def test_a_bundle_without_a_classifier_is_refused(bundle: Bundle, contents: Path, tmp_path: Path) -> None:
    card = replace(bundle.card, domains=None)
    without = write_bundle(tmp_path / "without", {"model.onnx": bundle.graph_bytes("model.onnx")}, card)
    with pytest.raises(ModelError, match="domain"):
        with_int8_classifier(without, contents, tmp_path / "out")
