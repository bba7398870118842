"""Which thresholds a bundle gets, of those at several weights of the score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from classifiers import classifying_bundle

from dgqa_export.parts import explanations
from dgqa_export.parts.explanations import Seen, with_explanations
from dgqa_infer.bundle.card import Fault
from dgqa_infer.domains.classes import CLASSES
from dgqa_infer.errors import UsageError
from dgqa_training.classifier.held_out import HeldOut

NOTHING = np.zeros(0, np.int64)
SEEN = Seen(HeldOut(np.zeros((0, len(CLASSES))), NOTHING, NOTHING, NOTHING), np.zeros(0))
FAULTS = {name.replace("_", "-"): Fault(1.0, (0.0, 1.0), (0.0, 4.0)) for name in CLASSES[1:]}


def choices(monkeypatch: pytest.MonkeyPatch, found: dict[float, tuple[float, float]]) -> None:
    """Have weights of the score give shares of false alarms and of what is named."""

    def chosen(_: Seen, weight: float) -> tuple[float, dict[str, Fault], dict[str, Any]]:
        false_alarms, hits = found[weight]
        record = {
            "score_weight": weight,
            "contents": 5,
            "false_alarms_on_contents_left_out": false_alarms,
            "within_limit": false_alarms <= 0.05,
            "named_on_contents_left_out": hits,
        }
        return 1.0, FAULTS, record

    monkeypatch.setattr(explanations, "_chosen", chosen)


def test_thresholds_within_the_limit_go_before_those_that_name_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    choices(monkeypatch, {0.0: (0.2, 0.9), 0.5: (0.05, 0.4), 1.0: (0.04, 0.3)})
    bundle = classifying_bundle(tmp_path / "old", {})
    found = with_explanations(bundle, SEEN, tmp_path / "new", (0.0, 0.5, 1.0))
    assert found.card.domains is not None
    assert found.card.domains.score_weight == 0.5
    assert [each["within_limit"] for each in found.card.training["explanations"]["tried"]] == [
        False,
        True,
        True,
    ]


def test_a_bundle_whose_false_alarms_no_thresholds_limit_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    choices(monkeypatch, {0.0: (0.25, 0.9), 1.0: (0.125, 0.4)})
    bundle = classifying_bundle(tmp_path / "old", {})
    with pytest.raises(UsageError, match=r"within 5%: .* on 25.0% of undistorted .* more photographs than 5"):
        with_explanations(bundle, SEEN, tmp_path / "new", (0.0, 1.0))
    assert not (tmp_path / "new").exists()
