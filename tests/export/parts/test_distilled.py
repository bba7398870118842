"""The built-in model distilled with few photographs, by the program that is run with many."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dgqa_export.adaptation.adapter import refuse_mismatch
from dgqa_export.bundles import describe, graph_of
from dgqa_export.graphs.head import linear_head
from dgqa_export.graphs.packing import pack
from dgqa_export.graphs.pooling import exponent_of, pooled, with_pooling
from dgqa_export.parts.distilled import main, network_of
from dgqa_infer.bundle.bundle import DOMAIN_GRAPH, QUALITY_GRAPH, Bundle, write_bundle
from dgqa_infer.errors import ModelError
from dgqa_training.adaptation.moments import Moments
from dgqa_training.distillation.training import level
from dgqa_training.networks.checkpoints import Checkpoint
from dgqa_training.networks.heads import Head, QualityNetwork, pretrained_backbone
from dgqa_training.regressor.linear_probe import set_head


def test_what_is_compared_in_training_is_what_the_graph_s_pooling_gives() -> None:
    cells = np.random.default_rng(0).uniform(-1, 11, (5, 7, 7))
    found = level(torch.from_numpy(cells), 0.8).numpy()
    np.testing.assert_allclose(pooled(found, 0.8), pooled(cells, 0.8).mean((1, 2)), rtol=1e-6)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> dict[str, Path]:
    """Parts of the examples' photographs, as many as a scale needs."""
    made = {}
    for kind, name, count in (("pristine", "coffee", 11), ("photographs", "chelsea", 20)):
        made[kind] = tmp_path_factory.mktemp(kind)
        whole = Image.open(repository / "examples" / "photos" / f"{name}.webp").convert("RGB")
        for number in range(count):
            left, top = 7 * number, 3 * number
            whole.crop((left, top, left + 240, top + 230)).save(made[kind] / f"{number:02}.png")
    return made


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The built-in bundle, but its head reads the pretrained backbone."""
    given = Bundle.load("dgqa-lite0")
    plan = given.card.training["plan"]
    network = QualityNetwork(pretrained_backbone(plan["backbone"]), Head(tuple(plan["stages"])))
    set_head(network, *linear_head(given.graph_bytes(QUALITY_GRAPH)))
    checkpoint = Checkpoint(
        "quality", plan["backbone"], network.head, given.card.preprocessing, network.state_dict()
    )
    card = replace(given.card, training={"plan": plan})
    graph = pack(with_pooling(graph_of(checkpoint, card), 0.8))
    graphs = {QUALITY_GRAPH: describe(graph, card), DOMAIN_GRAPH: given.graph_bytes(DOMAIN_GRAPH)}
    return write_bundle(tmp_path_factory.mktemp("pretrained") / "plain", graphs, card)


@pytest.mark.long
def test_a_distilled_bundle_keeps_head_pooling_and_classifier_and_needs_moments_of_its_own(
    pretrained: Bundle, folders: dict[str, Path], tmp_path: Path
) -> None:
    before, out = pretrained, tmp_path / "steady"
    given = [*map(str, (folders["pristine"], folders["photographs"], tmp_path / "run", out))]
    main([str(before.path), *given, "--version", "7", "--rounds", "1", "--synthetic", "12"])

    after = Bundle.load(out)
    graphs = [bundle.graph_bytes(QUALITY_GRAPH) for bundle in (before, after)]
    (old, old_bias), (new, new_bias) = (linear_head(graph) for graph in graphs)
    np.testing.assert_array_equal(new, old)
    assert new_bias == old_bias
    assert exponent_of(graphs[1]) == exponent_of(graphs[0])
    assert graphs[1] != graphs[0]
    assert after.graph_bytes(DOMAIN_GRAPH) == before.graph_bytes(DOMAIN_GRAPH)
    assert after.card.version == "7"
    assert after.card.training["distillation"]["photographs"] == 20
    assert not after.card.figures
    refuse_mismatch(before, Moments.built_in("efficientnet_lite0"))
    with pytest.raises(ModelError, match="--model"):
        refuse_mismatch(after, Moments.built_in("efficientnet_lite0"))


def test_what_was_trained_already_is_not_distilled_again() -> None:
    with pytest.raises(ModelError, match="trained already"):
        network_of(Bundle.load("dgqa-lite0"))
