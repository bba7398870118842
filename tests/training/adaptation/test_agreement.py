from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from dgqa_training.adaptation.agreement import Agreement, agreement, of_judgements
from dgqa_training.adaptation.moments import Moments

TYPES = 25


def judges(noise: np.ndarray, photographs: int = 800, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A truth, and what judges say of it whose errors are independent."""
    generator = np.random.default_rng(seed)
    truth = generator.normal(size=photographs)
    return truth, truth + noise[:, None] * generator.normal(size=(len(noise), photographs))


def test_a_value_is_the_rank_correlation_with_the_mean_rank_of_the_others() -> None:
    _, judgements = judges(np.linspace(0.5, 3, TYPES), photographs=60)
    found = of_judgements(judgements)
    ranks = np.array([row.argsort().argsort() for row in judgements])
    for place, value in enumerate(found.values):
        others = np.delete(ranks, place, axis=0).mean(axis=0)
        assert value == pytest.approx(np.corrcoef(ranks[place], others)[0, 1])
    assert found.photographs == 60


def test_who_is_nearer_to_the_truth_agrees_more() -> None:
    """Parisi et al., PNAS 2014: with independent errors agreement is in the order of accuracy."""
    noise = np.linspace(0.3, 6, TYPES)
    truth, judgements = judges(np.random.default_rng(1).permutation(noise))
    accuracy = [spearmanr(row, truth).statistic for row in judgements]
    found = of_judgements(judgements)
    assert spearmanr(found.values, accuracy).statistic > 0.97
    kept = [accuracy[kind - 1] for kind in found.selected]
    left = [accuracy[kind - 1] for kind in range(1, TYPES + 1) if kind not in found.selected]
    assert min(kept) > max(left) - 0.05


def test_who_says_the_opposite_is_left_out() -> None:
    _, judgements = judges(np.full(TYPES, 1.0))
    judgements[6] *= -1
    found = of_judgements(judgements)
    assert found.values[6] < 0
    assert found.selected == tuple(
        kind for kind in range(1, TYPES + 1) if kind in found.selected and kind != 7
    )


def test_who_says_the_same_of_all_agrees_with_nobody() -> None:
    _, judgements = judges(np.full(TYPES, 1.0))
    judgements[3] = 5.0
    assert of_judgements(judgements).values[3] == 0


@given(scale=st.floats(0.01, 100), shift=st.floats(-50, 50), kind=st.integers(0, TYPES - 1))
def test_only_the_order_of_a_judge_counts(scale: float, shift: float, kind: int) -> None:
    _, judgements = judges(np.linspace(0.5, 3, TYPES), photographs=40)
    other = judgements.copy()
    other[kind] = scale * judgements[kind] ** 3 + shift
    assert of_judgements(other).values == pytest.approx(of_judgements(judgements).values)


def test_each_type_judges_with_its_own_head() -> None:
    moments = Moments.built_in("efficientnet_lite0")
    generator = np.random.default_rng(0)
    features = moments.mean + generator.normal(size=(30, 64)) @ np.linalg.pinv(moments.basis)[:64]
    found = agreement(features, moments, 10.0)
    heads = [moments.solve([kind], 10.0) for kind in range(1, TYPES + 1)]
    expected = of_judgements(np.stack([features @ head.weights + head.bias for head in heads]))
    assert found.values == pytest.approx(expected.values)
    assert 1 <= len(found.selected) < TYPES


def test_its_record_can_be_written_and_names_every_type() -> None:
    record = json.loads(json.dumps(Agreement(tuple(np.linspace(-1, 1, TYPES).tolist()), 40).record()))
    assert record["photographs"] == 40
    assert list(record["values"]) == [str(kind) for kind in range(1, TYPES + 1)]


def test_who_agrees_as_much_as_the_mean_is_chosen() -> None:
    assert Agreement(tuple(kind / 32 for kind in range(TYPES)), 40).selected == tuple(range(13, 26))
