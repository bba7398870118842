"""Coefficients of weighted draws against SciPy's coefficients of the drawn images themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dgqa_training.evaluation.correlation import kendall, logistic_mapping, pearson, spearman

COEFFICIENTS = {
    "pearson": (pearson, stats.pearsonr),
    "spearman": (spearman, stats.spearmanr),
    "kendall": (kendall, stats.kendalltau),
}


def ties_and_all(seed: int, count: int, digits: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    y = generator.normal(size=count)
    x = y + generator.normal(size=count)
    return x.round(digits), y.round(digits)


@pytest.mark.parametrize("name", COEFFICIENTS)
@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(3, 60), digits=st.integers(0, 3))
def test_a_draw_has_the_coefficient_of_its_images(name: str, seed: int, count: int, digits: int) -> None:
    ours, scipys = COEFFICIENTS[name]
    x, y = ties_and_all(seed, count, digits)
    drawn = np.random.default_rng(seed + 1).integers(count, size=(4, count))
    weights = np.stack([np.bincount(row, minlength=count) for row in drawn]).astype(float)
    for row, value in zip(drawn, ours(x, y, weights), strict=True):
        if np.ptp(x[row]) == 0 or np.ptp(y[row]) == 0:
            assert np.isnan(value)
        else:
            assert value == pytest.approx(scipys(x[row], y[row])[0], abs=1e-9)


def test_the_plain_coefficient_is_that_of_a_row_of_ones() -> None:
    x, y = ties_and_all(0, 300, 1)
    for ours, scipys in COEFFICIENTS.values():
        assert ours(x, y, np.ones((1, 300)))[0] == pytest.approx(scipys(x, y)[0], abs=1e-12)


def test_kendall_counts_pairs() -> None:
    # Counted by hand: of the six pairs of 1 2 3 4 and 1 3 2 4 five agree and one, 2–3, does not.
    order = np.array([1.0, 2, 3, 4])
    assert kendall(order, np.array([1.0, 3, 2, 4]), np.ones((1, 4)))[0] == pytest.approx(4 / 6)
    # Drawing the second image twice adds a tied pair, and doubles what agrees and disagrees with it.
    drawn = np.array([[1.0, 2, 1, 1]])
    assert kendall(order, np.array([1.0, 3, 2, 4]), drawn)[0] == pytest.approx((7 - 2) / 9)


# -- the logistic mapping -------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", [1, -1])
def test_the_mapping_recovers_the_logistic_that_made_the_scores(direction: int) -> None:
    predictions = np.random.default_rng(0).uniform(-3, 8, 200)
    scores = 20 + 60 / (1 + np.exp(-direction * (predictions - 2) / 0.7))
    assert logistic_mapping(predictions, scores) == pytest.approx(scores, abs=1e-4)


def test_a_straight_relation_needs_no_mapping() -> None:
    predictions = np.linspace(0, 10, 50)
    assert logistic_mapping(predictions, 3 * predictions - 7) == pytest.approx(3 * predictions - 7, abs=0.05)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(10, 200),
    noise=st.floats(0.05, 3),
    power=st.floats(0.3, 3),
)
def test_the_mapping_is_monotone_and_no_worse_than_a_line(
    seed: int, count: int, noise: float, power: float
) -> None:
    generator = np.random.default_rng(seed)
    quality = generator.uniform(0, 1, count)
    predictions = quality**power + noise * generator.normal(size=count)
    scores = 100 * quality
    mapped = logistic_mapping(predictions, scores)
    steps = np.diff(mapped[np.argsort(predictions)])
    assert (steps >= -1e-9).all() or (steps <= 1e-9).all()
    line = stats.linregress(predictions, scores)
    residual = scores - (line.intercept + line.slope * predictions)
    assert np.sum((mapped - scores) ** 2) <= np.sum(residual**2) * (1 + 1e-4)


def test_the_units_of_predictions_and_scores_do_not_matter() -> None:
    generator = np.random.default_rng(1)
    scores = generator.uniform(1, 5, 100)
    predictions = np.tanh(scores - 3) + 0.2 * generator.normal(size=100)
    mapped = logistic_mapping(predictions, scores)
    assert logistic_mapping(1e4 * predictions - 50, 25 * scores) == pytest.approx(25 * mapped, rel=1e-4)
