"""Differences of pairs, and how sure they are."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest, bootstrap, quantile_test

from dgqa_infer.comparison.intervals import Interval, drops_beyond, mean_of, summarise


def test_the_means_interval_is_that_of_scipys_studentised_bootstrap() -> None:
    differences = np.random.default_rng(3).gamma(1.5, 4, 12) - 5

    def t(sample: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        moved = sample.mean(axis=axis) - differences.mean()
        return np.asarray(moved / (sample.std(axis=axis, ddof=1) / np.sqrt(12)))

    found = summarise(differences).mean
    drawn = bootstrap((differences,), t, n_resamples=9999, method="percentile", rng=1).bootstrap_distribution
    error = differences.std(ddof=1) / np.sqrt(12)
    low, high = (differences.mean() - error * np.quantile(drawn, share) for share in (0.975, 0.025))
    assert found.value == differences.mean()
    # Two sets of draws differ by some hundredths of the interval's length.
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.06 * (high - low))


@pytest.mark.parametrize("count", [6, 7, 20, 61, 1999])
def test_the_medians_interval_is_that_of_scipys_quantile_test(count: int) -> None:
    differences = np.random.default_rng(count).gamma(1.5, 4, count)
    found = summarise(differences).median
    theirs = quantile_test(differences, p=0.5).confidence_interval(0.95)
    assert (found.value, found.low, found.high) == (np.median(differences), theirs.low, theirs.high)


@pytest.mark.parametrize(("won", "count"), [(0, 5), (5, 5), (7, 30), (400, 1000)])
def test_the_win_rates_interval_is_scipys_wilson_interval(won: int, count: int) -> None:
    found = summarise(np.array([1.0] * won + [-1.0] * (count - won))).win_rate
    theirs = binomtest(won, count).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=1e-6)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_pairs_too_few_to_bound_anything_let_everything_pass(count: int) -> None:
    found = summarise(np.linspace(-60, -50, count))
    assert (found.mean.low, found.mean.high) == (found.median.low, found.median.high) == (-100, 100)
    assert not drops_beyond(found.mean, 0)


def test_false_alarms_stay_below_five_per_cent_with_ten_pairs_of_skewed_differences() -> None:
    """Differences whose mean is the margin: 2.5 % should fail, and 1,000 sets tell 5 % from that."""
    chance = np.random.default_rng(0)
    sets = chance.gamma(2, 2, (1000, 10)) - 4 - 1
    failed = sum(mean_of(each, seed).high < -1 for seed, each in enumerate(sets))
    assert failed <= 50
    # Quantiles of the drawn means alone fail in more, by more than chance.
    drawn = [each[chance.integers(0, 10, (500, 10))].mean(axis=1) for each in sets]
    assert sum(np.quantile(each, 0.975) < -1 for each in drawn) > 50


def test_a_set_against_itself_changes_nothing_and_passes_every_margin() -> None:
    found = summarise(np.zeros(30))
    assert found.mean == found.median == Interval(0, 0, 0)
    assert found.win_rate.low < found.win_rate.value == 0.5 < found.win_rate.high
    assert not drops_beyond(found.mean, 0)


def test_the_rule_fails_only_where_the_whole_interval_lies_beyond_the_margin() -> None:
    clear, doubtful = np.full(30, -3.0), np.array([-40.0, *[0.0] * 29])
    assert drops_beyond(mean_of(clear), 1)
    assert not drops_beyond(mean_of(clear), 3)
    assert doubtful.mean() < -1
    assert not drops_beyond(mean_of(doubtful), 1)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 30])
def test_the_same_differences_bound_their_mean_only_from_as_many_as_bound_their_median(count: int) -> None:
    """Scores are written with few digits, and their differences are the same but for rounding."""
    old = np.arange(count) + 60.1
    found = mean_of((old - 3) - old)
    theirs = quantile_test(np.full(count, -3.0), p=0.5).confidence_interval(0.95)
    if np.isnan(theirs.low):
        assert (found.low, found.high) == (-100, 100)
    else:
        assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    assert drops_beyond(found, 1) == (count > 5)


def test_the_win_rate_counts_pairs_that_are_alike_half() -> None:
    assert summarise(np.array([2.0, 0.04, -0.04, -1.0, 3.0])).win_rate.value == pytest.approx(0.6)


def test_the_same_differences_have_the_same_interval() -> None:
    differences = np.random.default_rng(0).normal(size=11)
    assert summarise(differences) == summarise(differences)


def test_many_pairs_have_the_normal_interval() -> None:
    found = summarise(np.random.default_rng(0).normal(1, 1, 300_000))
    assert found.mean.low < 1.0 < found.mean.high
    assert found.mean.high - found.mean.low == pytest.approx(2 * 1.96 / 300_000**0.5, rel=0.1)


def test_figures_are_printed_with_their_sign() -> None:
    assert Interval(-1.234, -2, 0.04).signed() == "−1.2 [−2.0, 0.0]"
    assert Interval(0.333, 0.25, 0.416).percent() == "33% [25%, 42%]"
