"""Figures, intervals, groups and paired comparisons."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from dgqa_infer.errors import UsageError
from dgqa_training.evaluation.metrics import compare, evaluate, evaluate_groups


def correlated(seed: int, count: int, correlation: float) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    a, b = generator.normal(size=(2, count))
    return a, correlation * a + np.sqrt(1 - correlation**2) * b


def test_the_figures_are_scipys() -> None:
    x, y = correlated(0, 200, 0.7)
    result = evaluate(x, y)
    assert result.images == 200
    assert result.srcc.value == pytest.approx(stats.spearmanr(x, y)[0])
    assert result.krcc.value == pytest.approx(stats.kendalltau(x, y)[0])
    assert result.plcc.value == pytest.approx(stats.pearsonr(x, y)[0])


def test_the_interval_of_pearsons_correlation_is_fishers() -> None:
    # For normal data Fisher's transformation gives the interval in closed form.
    x, y = correlated(1, 600, 0.6)
    plcc = evaluate(x, y).plcc
    low, high = np.tanh(np.arctanh(plcc.value) + np.array([-1.96, 1.96]) / np.sqrt(600 - 3))
    assert plcc.low == pytest.approx(low, abs=0.012)
    assert plcc.high == pytest.approx(high, abs=0.012)


def test_the_interval_holds_the_true_rank_correlation_about_as_often_as_it_says() -> None:
    # Spearman's coefficient of a normal pair with correlation r is 6/π · asin(r/2).
    truth = 6 / np.pi * np.arcsin(0.5 / 2)
    intervals = [evaluate(*correlated(seed, 80, 0.5), draws=200).srcc for seed in range(120)]
    covered = np.mean([interval.low <= truth <= interval.high for interval in intervals])
    assert 0.88 <= covered <= 0.99


def test_a_perfect_order_on_another_scale_has_rank_correlation_one() -> None:
    scores = np.linspace(1, 5, 40)
    result = evaluate(np.exp(scores), scores)
    assert (result.srcc.low, result.srcc.value, result.krcc.value) == pytest.approx((1, 1, 1))
    assert result.plcc.value < 0.95 < result.plcc_mapped.value


def test_rmse_is_on_the_opinions_scale() -> None:
    x, y = correlated(2, 400, 0.8)
    result = evaluate(x, 10 * y)
    # A line leaves 10 · sqrt(1 − 0.8²) = 6, and the logistic hardly less.
    assert result.rmse.value == pytest.approx(6.0, rel=0.1)


def test_difference_scores_are_turned_first() -> None:
    x, y = correlated(3, 100, 0.7)
    up, down = evaluate(x, y), evaluate(x, 100 - y, higher_is_better=False)
    assert (down.srcc, down.krcc) == (up.srcc, up.krcc)
    assert down.plcc_mapped.value == pytest.approx(up.plcc_mapped.value, abs=1e-6)
    assert evaluate(x, 100 - y).srcc.value == pytest.approx(-up.srcc.value)


def test_the_same_seed_draws_the_same_images() -> None:
    x, y = correlated(4, 60, 0.5)
    assert evaluate(x, y) == evaluate(x, y)
    assert evaluate(x, y, seed=1).srcc != evaluate(x, y).srcc
    assert evaluate(x, y, seed=1).srcc.value == evaluate(x, y).srcc.value


def test_draws_in_several_blocks_are_those_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = correlated(5, 50, 0.5)
    whole = evaluate(x, y)
    monkeypatch.setattr("dgqa_training.evaluation.metrics._BLOCK", 50 * 64)
    assert evaluate(x, y).srcc == whole.srcc


def test_a_result_prints_and_becomes_json() -> None:
    x, y = correlated(6, 50, 0.6)
    result = evaluate(x, y)
    assert f"50 images: SRCC {result.srcc.value:.3f} [{result.srcc.low:.3f}, {result.srcc.high:.3f}]" in str(
        result
    )
    document = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    assert document["srcc"]["value"] == pytest.approx(result.srcc.value, abs=1e-6)
    assert set(document) == {"images", "srcc", "krcc", "plcc", "plcc_mapped", "rmse"}


@pytest.mark.parametrize(
    ("predictions", "scores", "why"),
    [
        ([1, 2], [1, 2], "2 images say nothing"),
        ([1, 2, 3], [1, 2], "3 predictions do not match 2 scores"),
        ([1, 2, float("nan")], [1, 2, 3], "finite"),
        ([1, 2, 3], [1, 2, float("inf")], "finite"),
        ([5, 5, 5], [1, 2, 3], "all 3 numbers of a column are 5"),
        ([1, 2, 3], [4, 4, 4], "all 3 numbers of a column are 4"),
    ],
)
def test_what_cannot_be_ranked_is_refused(predictions: list[float], scores: list[float], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        evaluate(predictions, scores)


# -- groups ---------------------------------------------------------------------------------------------


def test_groups_are_evaluated_apart_and_content_may_carry_the_pooled_figure() -> None:
    # Two kinds of content of different quality, and a model that only tells the kinds apart.
    generator = np.random.default_rng(8)
    kind = np.repeat([0, 1], 100)
    scores, predictions = kind + 0.2 * generator.normal(size=(2, 200))
    groups = evaluate_groups(predictions, scores, [f"ss0{number + 1}" for number in kind])
    assert list(groups) == ["ss01", "ss02"]
    assert evaluate(predictions, scores).srcc.value > 0.7
    for group in groups.values():
        assert group is not None
        assert group.images == 100
        assert abs(group.srcc.value) < 0.3


def test_a_group_that_cannot_be_ranked_is_none() -> None:
    groups = evaluate_groups([1, 2, 3, 4, 5, 6, 9], [1, 2, 3, 7, 7, 7, 1], ["a"] * 3 + ["b"] * 3 + ["c"])
    assert groups["a"] is not None
    assert groups["b"] is groups["c"] is None


def test_groups_do_not_hide_predictions_that_are_no_numbers() -> None:
    with pytest.raises(UsageError, match="finite"):
        evaluate_groups([1, 2, 3, float("nan")], [1, 2, 3, 4], ["a", "a", "a", "b"])


# -- two models -----------------------------------------------------------------------------------------


def test_a_model_against_itself_differs_by_nothing() -> None:
    x, y = correlated(9, 100, 0.6)
    result = compare(x, x, y)
    assert (result.srcc.value, result.srcc.low, result.srcc.high, result.share_better) == (0, 0, 0, 0)


def test_a_better_model_is_ahead_and_the_other_way_round_behind() -> None:
    generator = np.random.default_rng(10)
    y = generator.normal(size=300)
    good, poor = y + 0.5 * generator.normal(size=300), y + 1.5 * generator.normal(size=300)
    ahead, behind = compare(good, poor, y), compare(poor, good, y)
    assert ahead.srcc.low > 0
    assert ahead.share_better == 1.0
    assert behind.srcc.high < 0
    assert ahead.srcc.value == pytest.approx(evaluate(good, y).srcc.value - evaluate(poor, y).srcc.value)
    assert behind.srcc.value == pytest.approx(-ahead.srcc.value)


def test_pairing_makes_the_difference_of_two_like_models_sharper() -> None:
    generator = np.random.default_rng(11)
    y = generator.normal(size=300)
    first = y + generator.normal(size=300)
    second = first + 0.1 * generator.normal(size=300)
    paired = compare(first, second, y).srcc
    alone = evaluate(first, y).srcc
    assert paired.high - paired.low < (alone.high - alone.low) / 3


def test_a_comparison_becomes_json() -> None:
    x, y = correlated(12, 50, 0.6)
    document = json.loads(json.dumps(compare(x, np.roll(x, 1), y).as_dict(), allow_nan=False))
    assert set(document) == {"images", "srcc", "krcc", "plcc", "share_better"}
    assert 0.9 < document["share_better"] <= 1
