"""The built-in model distilled with few photographs, by the program that is run with many."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dgqa_export.adaptation.adapter import refuse_mismatch
from dgqa_export.graphs.head import linear_head
from dgqa_export.graphs.pooling import exponent_of, pooled
from dgqa_export.parts.distilled import main, network_of
from dgqa_infer.bundle.bundle import QUALITY_GRAPH, Bundle
from dgqa_infer.errors import ModelError
from dgqa_training.adaptation.moments import Moments
from dgqa_training.distillation.training import level


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


@pytest.mark.long
def test_a_distilled_bundle_keeps_head_pooling_and_classifier_and_needs_moments_of_its_own(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    before, out = Bundle.load("dgqa-lite0"), tmp_path / "steady"
    given = [*map(str, (folders["pristine"], folders["photographs"], tmp_path / "run", out))]
    main(["dgqa-lite0", *given, "--version", "7", "--rounds", "1", "--synthetic", "12"])

    after = Bundle.load(out)
    graphs = [bundle.graph_bytes(QUALITY_GRAPH) for bundle in (before, after)]
    (old, old_bias), (new, new_bias) = (linear_head(graph) for graph in graphs)
    np.testing.assert_array_equal(new, old)
    assert new_bias == old_bias
    assert exponent_of(graphs[1]) == exponent_of(graphs[0])
    assert graphs[1] != graphs[0]
    assert after.graph_bytes("domains.onnx") == before.graph_bytes("domains.onnx")
    assert after.card.version == "7"
    assert after.card.training["distillation"]["photographs"] == 20
    assert not after.card.figures
    with pytest.raises(ModelError, match="--checkpoint"):
        refuse_mismatch(after, Moments.built_in("efficientnet_lite0"))
    with pytest.raises(ModelError, match="trained already"):
        network_of(after)
