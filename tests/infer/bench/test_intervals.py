"""Intervals of quantiles; expected places are counted by hand from binomial coefficients."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgqa_infer.bench import intervals

NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)


@pytest.mark.parametrize(
    ("count", "places", "sure"),
    [
        (5, (0, 6), 1 - 2 / 32),  # one value of five is out of bounds too often: 1/32 > 2.5 %
        (6, (1, 6), 1 - 2 / 64),
        (10, (2, 9), 1 - 2 * (1 + 10) / 1024),
        (15, (4, 12), 1 - 2 * (1 + 15 + 105 + 455) / 2**15),
    ],
)
def test_the_places_that_bound_a_median(count: int, places: tuple[int, int], sure: float) -> None:
    assert intervals.order_statistics(count, 0.5) == places
    assert intervals.coverage(count) == pytest.approx(sure)


def test_of_a_hundred_the_fortieth_and_the_sixty_first_bound_the_median() -> None:
    """Conover, Practical Nonparametric Statistics, 3.2: the usual table of such intervals."""
    assert intervals.order_statistics(100, 0.5) == (40, 61)


@given(NUMBERS, st.sampled_from([0.5, 0.9, 0.99]))
def test_the_quantile_is_numpy_s_and_lies_within_its_interval(values: list[float], q: float) -> None:
    if (found := intervals.quantile(values, q)) is None:
        assert len(values) < 1 / (1 - q)
        return
    value, low, high = found
    assert value == pytest.approx(float(np.quantile(values, q)))
    assert low <= value
    assert high is None or value <= high


@given(NUMBERS)
def test_the_median_lies_between_measurements_that_were_made(values: list[float]) -> None:
    value, low, high = intervals.median(values)
    assert value == pytest.approx(float(np.median(values)))
    assert {low, high} <= set(values)
    assert low <= value <= high


@pytest.mark.parametrize(("q", "needed"), [(0.9, 10), (0.99, 100), (0.999, 1000)])
def test_a_quantile_that_the_measurements_cannot_show_is_not_told(q: float, needed: int) -> None:
    assert intervals.quantile(range(needed - 1), q) is None
    assert intervals.quantile(range(needed), q) is not None


def test_a_high_quantile_of_few_measurements_has_no_upper_end() -> None:
    """0.99 ** 100 = 37 % of all samples of a hundred have nothing above the quantile."""
    found = intervals.quantile(range(100), 0.99)
    assert found is not None
    assert found[2] is None


@pytest.mark.parametrize(("count", "q"), [(6, 0.5), (11, 0.5), (400, 0.99)])
def test_the_interval_holds_the_true_quantile_as_often_as_it_says(count: int, q: float) -> None:
    generator = np.random.default_rng(1)
    held = 0
    for _ in range(2000):
        found = intervals.quantile(generator.random(count).tolist(), q)
        assert found is not None
        held += found[1] <= q and (found[2] is None or q <= found[2])
    assert held / 2000 >= 0.94
