from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dgqa_infer.bundle.card import Domains, Fault
from dgqa_infer.domains.classes import CLASSES
from dgqa_infer.domains.explanation import explain
from dgqa_infer.errors import UsageError
from dgqa_training.classifier.faults import choose, named, severity_knots
from dgqa_training.classifier.held_out import HeldOut
from dgqa_training.labels.kadid_scores import built_in


def seen(contents: int = 40, views: int = 10, strength: float = 3.0, seed: int = 0) -> HeldOut:
    """Undistorted photographs with noise in every logit, and each type's logit raised with its level."""
    generator = np.random.default_rng(seed)
    cases = [(place, 0, 0) for place in range(contents) for _ in range(views)]
    cases += [
        (place, kind, (place + kind) % 5 + 1) for place in range(contents) for kind in range(1, len(CLASSES))
    ]
    places, kinds, levels = np.array(cases).T
    logits = generator.normal(0, 1, (len(cases), len(CLASSES)))
    logits[:, 0] += 4
    distorted = kinds > 0
    logits[distorted, kinds[distorted]] += 4 + strength * levels[distorted]
    return HeldOut(logits, kinds, levels, places)


def thresholds_of(faults: dict[str, Fault]) -> NDArray[np.float64]:
    """In the order of the types, float64 [25]."""
    return np.array([faults[name].threshold for name in CLASSES[1:]])


def test_at_most_a_twentieth_of_undistorted_photographs_is_blamed_for_anything() -> None:
    faults, record = choose(seen(), 1.0)

    assert record["false_alarms_on_contents_left_out"] <= 0.05
    # New photographs of the same kind, which chose nothing.
    others = seen(contents=200, seed=1)
    undistorted = others.logits[others.classes == 0]
    assert named(undistorted, 1.0, thresholds_of(faults)).any(axis=1).mean() < 0.07


def test_strong_distortions_are_named_all_the_same() -> None:
    found = seen()
    faults, _ = choose(found, 1.0)

    strong = (found.classes > 0) & (found.levels >= 3)
    told = named(found.logits[strong], 1.0, thresholds_of(faults))
    assert told[np.arange(len(told)), found.classes[strong] - 1].mean() > 0.9


def test_fewer_alarms_take_higher_thresholds() -> None:
    strict, loose = (thresholds_of(choose(seen(), 1.0, alarms=share)[0]) for share in (0.02, 0.2))
    assert (strict > loose).all()


def test_what_is_named_here_is_what_the_scorer_names() -> None:
    found = seen(strength=0.7)
    faults, _ = choose(found, 1.0)
    told = Domains(CLASSES, 1.0, {}, faults)

    for logits, row in zip(found.logits, named(found.logits, 1.0, thresholds_of(faults)), strict=True):
        assert bool(explain(logits, told)) == row.any()


@pytest.mark.parametrize("kind", [1, 10, 16, 17])
def test_severity_follows_kadids_opinions_where_evidence_grows_with_the_level(kind: int) -> None:
    levels = np.repeat(np.arange(1, 6), 20)
    evidence, severity = severity_knots(levels + np.tile(np.linspace(-0.1, 0.1, 20), 5), kind, levels)

    expected = 5 - built_in().mean[kind - 1]
    assert list(expected) == sorted(expected)  # these types grow worse with each level
    np.testing.assert_allclose(np.interp(np.arange(1, 6), evidence, severity), expected, atol=1e-3)


@settings(deadline=None)
@given(st.integers(1, 25), st.integers(1, 40), st.sampled_from([9, 1e-3, 1e-9]), st.integers(0, 2**32 - 1))
def test_any_images_give_a_curve_that_a_card_may_hold(kind: int, images: int, wide: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    levels = generator.integers(1, 6, images)
    evidence, severity = severity_knots(generator.normal(size=images) * wide, kind, levels)

    assert len(evidence) == len(severity) >= 2
    assert (np.diff(evidence) > 0).all()
    assert (np.diff(severity) >= 0).all()
    assert 0 <= severity[0] <= severity[-1] <= 4


def test_too_little_to_choose_by_is_refused() -> None:
    with pytest.raises(UsageError, match="undistorted photographs of 5 contents"):
        choose(seen(contents=3), 1.0)
    found = seen()
    with pytest.raises(UsageError, match="each of the 25 types"):
        choose(found.where(found.classes != 7), 1.0)


def test_a_limit_of_false_alarms_that_no_thresholds_keep_is_recorded_as_not_met() -> None:
    found = seen(contents=5, views=2)
    _, kept = choose(seen(), 1.0)
    _, missed = choose(found, 1.0, alarms=-1.0)

    assert kept["within_limit"] is True
    assert missed["within_limit"] is False
    assert missed["margin"] == 5.0
