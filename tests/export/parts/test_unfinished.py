"""A bundle that cannot be finished: the folder that it was meant for stays as it was."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from classifiers import classifying_bundle, colour_classifier
from PIL import Image

from dgqa_export.parts import domain_head, explanations, int8_classifier
from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.errors import ModelError, UsageError

NAMES = [f"{number}.png" for number in range(6)]


@pytest.fixture
def contents(tmp_path: Path) -> Path:
    folder = tmp_path / "contents"
    folder.mkdir()
    for name in NAMES:
        Image.new("RGB", (40, 40)).save(folder / name)
    return folder


def too_few(*_: Any) -> Any:
    raise UsageError("too few photographs")


def test_a_domain_head_without_thresholds_replaces_nothing(
    contents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = classifying_bundle(tmp_path / "bundle", {})
    monkeypatch.setattr(domain_head, "with_statistics", bytes)
    monkeypatch.setattr(domain_head, "take", lambda *_: (np.zeros((2, 3)), np.zeros(2, np.int64)))
    monkeypatch.setattr(domain_head, "fit", lambda *_: None)
    monkeypatch.setattr(domain_head, "replace_domain_head", lambda *_: colour_classifier())
    monkeypatch.setattr(explanations, "look_at_examples", too_few)
    with pytest.raises(UsageError, match="too few"):
        domain_head.retrain_head(bundle, contents, bundle.path)
    assert Bundle.load(bundle.path).card == bundle.card


def test_a_classifier_in_int8_without_thresholds_replaces_nothing(
    contents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks at the photographs that its head's training kept back, and trains nothing on them."""
    bundle = classifying_bundle(tmp_path / "bundle", {"domain_head": {"held_out": NAMES[:2]}})
    calibrated_on: list[Path] = []
    kept: list[Path] = []

    def views(contents: list[Path], _: Any) -> list[Any]:
        calibrated_on.extend(contents)
        return []

    def look(_: Bundle, contents: list[Path]) -> Any:
        kept.extend(contents)
        too_few()

    converted = SimpleNamespace(graph=colour_classifier(), left_out=[], trials=[])
    monkeypatch.setattr(int8_classifier, "_views", views)
    monkeypatch.setattr(int8_classifier, "to_int8", lambda *_, **__: converted)
    monkeypatch.setattr(int8_classifier, "look_at_examples", look)
    with pytest.raises(UsageError, match="too few"):
        int8_classifier.with_int8_classifier(bundle, contents, bundle.path)
    assert Bundle.load(bundle.path).card == bundle.card
    assert [path.name for path in kept] == NAMES[:2]
    assert sorted(path.name for path in calibrated_on) == NAMES[2:]


def test_a_classifier_whose_training_kept_nothing_back_is_refused(contents: Path, tmp_path: Path) -> None:
    bundle = classifying_bundle(tmp_path / "bundle", {"classifier": {"source": "the authors"}})
    with pytest.raises(ModelError, match="names no photographs that the classifier's training kept back"):
        int8_classifier.with_int8_classifier(bundle, contents, bundle.path)
