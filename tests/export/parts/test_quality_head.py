"""A head fitted anew, pooling, and the scale that both get from photographs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgqa_export.graphs.contract import parse
from dgqa_export.graphs.head import size
from dgqa_export.parts.pooled_bundle import pool
from dgqa_export.parts.quality_head import rebuild
from dgqa_infer.bundle.bundle import QUALITY_GRAPH, Bundle, write_bundle
from dgqa_infer.errors import UsageError
from dgqa_training.regressor.features import FeatureTable

READABLE = 21

Make = Callable[[Bundle, Path, Path], Bundle]


def rebuilt(bundle: Bundle, photographs: Path, folder: Path) -> Bundle:
    draw = np.random.default_rng(0)
    types, levels = np.repeat([0, 1], 30), np.tile([1, 2, 3, 4, 5], 12)
    features = draw.normal(size=(60, size(bundle.graph_bytes(QUALITY_GRAPH)))).astype(np.float16)
    table = FeatureTable(features, np.arange(60), types, levels, {"contents": 60})
    return rebuild(bundle, table, photographs, folder, [1], 3.0)


def pooled(bundle: Bundle, photographs: Path, folder: Path) -> Bundle:
    return pool(bundle, photographs, folder, 0.1, "2")


@pytest.fixture(params=[rebuilt, pooled])
def make(request: pytest.FixtureRequest) -> Make:
    found: Make = request.param
    return found


@pytest.fixture
def bundle(small_bundle: Bundle, tmp_path: Path) -> Bundle:
    """With records of graphs and scales that do not outlive a new head or pooling."""
    card = replace(small_bundle.card, training={"int8": {"command": "x"}, "scale": {"photographs": 1}})
    return write_bundle(tmp_path / "small", {QUALITY_GRAPH: small_bundle.graph_bytes(QUALITY_GRAPH)}, card)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So many that can be read, one that cannot, and a text."""
    folder = tmp_path_factory.mktemp("photographs")
    draw = np.random.default_rng(0)
    for number in range(READABLE):
        pixels = draw.integers(0, 40 + 10 * number, (70, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes((folder / "0.png").read_bytes()[:60])
    (folder / "notes.txt").write_text("no photograph")
    return folder


def test_the_record_counts_photographs_that_the_scale_rests_on_and_the_lone_graph_has_the_scale(
    make: Make, bundle: Bundle, photographs: Path, tmp_path: Path
) -> None:
    found = make(bundle, photographs, tmp_path / "new")
    assert found.card.training["scale"]["photographs"] == READABLE
    assert found.card.training["scale"]["raw"] == list(found.card.calibration.raw)
    assert "int8" not in found.card.training
    said = {entry.key: entry.value for entry in parse(found.graph_bytes(QUALITY_GRAPH)).metadata_props}
    assert json.loads(said["calibration"]) == json.loads(json.dumps(found.card.calibration.as_card()))


def test_too_few_photographs_leave_the_bundle_that_would_be_replaced(
    make: Make, bundle: Bundle, photographs: Path, tmp_path: Path
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    (few / "0.png").write_bytes((photographs / "0.png").read_bytes())
    with pytest.raises(UsageError, match="too few for a scale"):
        make(bundle, few, bundle.path)
    assert Bundle.load(bundle.path).card == bundle.card
