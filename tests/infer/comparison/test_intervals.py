"""Differences of pairs, and how sure they are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap

from dgqa_infer.comparison.intervals import Interval, drops_beyond, summarise


def test_the_intervals_are_those_of_scipys_percentile_bootstrap() -> None:
    differences = np.random.default_rng(3).normal(-2, 4, 60)
    found = summarise(differences)
    for ours, statistic in ((found.mean, np.mean), (found.median, np.median)):
        theirs = bootstrap((differences,), statistic, n_resamples=9999, method="percentile", rng=1)
        assert ours.value == statistic(differences)
        # Two sets of draws differ by some hundredths of the interval's length.
        near = pytest.approx(theirs.confidence_interval, abs=0.25)
        assert (ours.low, ours.high) == near


def test_a_set_against_itself_changes_nothing_and_passes_every_margin() -> None:
    found = summarise(np.zeros(30))
    assert found.mean == found.median == Interval(0, 0, 0)
    assert found.win_rate == Interval(0.5, 0.5, 0.5)
    assert not drops_beyond(found, 0)


def test_the_rule_fails_only_where_the_whole_interval_lies_beyond_the_margin() -> None:
    clear, doubtful = np.full(30, -3.0), np.array([-40.0, *[0.0] * 29])
    assert drops_beyond(summarise(clear), 1)
    assert not drops_beyond(summarise(clear), 3)
    assert doubtful.mean() < -1
    assert not drops_beyond(summarise(doubtful), 1)


def test_the_win_rate_counts_pairs_that_are_alike_half() -> None:
    assert summarise(np.array([2.0, 0.04, -0.04, -1.0, 3.0])).win_rate.value == pytest.approx(0.6)


def test_the_same_differences_have_the_same_interval() -> None:
    differences = np.random.default_rng(0).normal(size=11)
    assert summarise(differences) == summarise(differences)


def test_many_pairs_are_drawn_in_portions() -> None:
    found = summarise(np.random.default_rng(0).normal(1, 1, 300_000))
    assert found.mean.low < 1.0 < found.mean.high
    assert found.mean.high - found.mean.low == pytest.approx(2 * 1.96 / 300_000**0.5, rel=0.1)


def test_figures_are_printed_with_their_sign() -> None:
    assert Interval(-1.234, -2, 0.04).signed() == "−1.2 [−2.0, 0.0]"
    assert Interval(0.333, 0.25, 0.416).percent() == "33% [25%, 42%]"
