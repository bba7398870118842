"""A classifier's head trained on views, and then its trunk with it: from photographs to a bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from classifiers import bundle_with_classifier, parts_of_a_photograph

from dgqa_export.graphs.trunk import trunk_of
from dgqa_export.parts.domain_head import retrain_head
from dgqa_export.parts.domain_trunk import CONFIG, train_further
from dgqa_infer import Scorer, UsageError
from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.errors import ModelError
from dgqa_training.classifier.statistics_head import StatisticsRecipe
from dgqa_training.networks.checkpoints import Checkpoint
from dgqa_training.networks.efficientnet_lite import STAGES
from dgqa_training.networks.heads import DomainNetwork, Head, build_backbone

CONTENTS, KEPT_BACK = 25, 5
SMALL = replace(CONFIG, recipe=replace(CONFIG.recipe, epochs=1, cooldown=1), crop=32, rounds=1)

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Parts of a photograph; a fifth is kept back."""
    return parts_of_a_photograph(tmp_path_factory.mktemp("contents"), CONTENTS)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, small_bundle: Bundle) -> Bundle:
    """With a classifier that nobody trained."""
    torch.manual_seed(1)
    network = DomainNetwork(build_backbone("efficientnet_lite0"), Head(STAGES))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # a network that learnt anything has offsets
            torch.nn.init.normal_(module.bias, std=0.1)
    way = small_bundle.card.preprocessing
    facts = {"backbone": "efficientnet_lite0", "held_out": []}
    trained = Checkpoint("domains", "efficientnet_lite0", network.head, way, network.state_dict(), facts)
    return bundle_with_classifier(small_bundle, trained, tmp_path_factory.mktemp("bundles") / "plain")


@pytest.fixture(scope="module")
def headed(plain: Bundle, contents: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("headed") / "small"
    return retrain_head(plain, contents, folder, recipe=StatisticsRecipe(hidden=16, epochs=1), workers=0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def further(headed: Bundle, contents: Path, run: Path) -> Bundle:
    return train_further(headed, contents, run, run / "small", config=SMALL, workers=0)


def test_the_trunk_is_trained_behind_its_stage_alone(headed: Bundle, further: Bundle) -> None:
    before, after = (
        trunk_of(each.graph_bytes("domains.onnx"), "efficientnet_lite0").state_dict()
        for each in (headed, further)
    )
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert "_blocks.14._project_conv.weight" in changed
    early = ("_conv_stem", "_bn0", *(f"_blocks.{block}." for block in range(3)))
    assert not [name for name in changed if name.startswith(early)]
    assert further.graph_bytes("model.onnx") == headed.graph_bytes("model.onnx")


def test_the_card_says_how_and_explains_by_contents_kept_back(headed: Bundle, further: Bundle) -> None:
    record = further.card.training["domain_trunk"]
    assert record["start"] == headed.card.files["domains.onnx"].sha256
    assert record["contents"] == CONTENTS - KEPT_BACK
    # 25 types at 5 levels, and five pristine images for each image of a type.
    assert record["crops"] == record["contents"] * (25 * 5 + 5 * 5)
    assert further.card.training["explanations"]["contents"] == KEPT_BACK
    assert further.card.domains is not None
    assert set(further.card.domains.faults) == set(further.card.domains.classes[1:])


def test_the_bundle_explains_photographs(further: Bundle) -> None:
    with Scorer(further, device="cpu", explain="all") as scorer:
        score = scorer.score(np.full((90, 100, 3), 128, np.uint8))
    assert score.probabilities is not None
    assert sum(score.probabilities.values()) == pytest.approx(1, abs=1e-3)


def test_the_same_command_goes_on_where_it_was(
    headed: Bundle, further: Bundle, contents: Path, run: Path, tmp_path: Path
) -> None:
    again = train_further(headed, contents, run, tmp_path / "again", config=SMALL, workers=0)
    assert again.graph_bytes("domains.onnx") == further.graph_bytes("domains.onnx")


def test_a_classifier_without_a_statistics_head_is_refused(
    plain: Bundle, contents: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="no statistics head"):
        train_further(plain, contents, tmp_path, tmp_path / "out", config=SMALL, workers=0)


def test_other_photographs_than_the_head_was_trained_on_are_refused(
    headed: Bundle, contents: Path, tmp_path: Path
) -> None:
    fewer = tmp_path / "fewer"
    fewer.mkdir()
    for path in sorted(contents.iterdir())[1:]:
        (fewer / path.name).symlink_to(path)
    with pytest.raises(UsageError, match="that the head was trained on"):
        train_further(headed, fewer, tmp_path / "run", tmp_path / "out", config=SMALL, workers=0)
