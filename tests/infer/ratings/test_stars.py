"""How many stars a score is worth."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgqa_infer.errors import UsageError
from dgqa_infer.ratings.stars import Stars

SCORES = st.floats(0, 100)


def test_a_set_of_a_hundred_has_ten_twenty_forty_twenty_ten() -> None:
    stars = Stars.of_set([float(score) for score in range(100)])
    assert Counter(map(stars.of, range(100))) == {1: 10, 2: 20, 3: 40, 4: 20, 5: 10}


@given(st.lists(SCORES, min_size=1), SCORES, SCORES)
def test_a_higher_score_never_has_fewer_stars(scores: list[float], one: float, other: float) -> None:
    stars = Stars.of_set(scores)
    low, high = sorted((one, other))
    assert 1 <= stars.of(low) <= stars.of(high) <= 5


def test_thresholds_are_where_the_next_star_begins() -> None:
    stars = Stars.parse("20, 40,60,80", reject_below=5)
    assert [stars.of(score) for score in (4.9, 5, 19.9, 20, 59.9, 60, 80, 100)] == [-1, 1, 1, 2, 3, 4, 5, 5]


@pytest.mark.parametrize("text", ["", "20,40,60", "20,40,40,60", "80,60,40,20", "a,b,c,d", "1,2,3,nan"])
def test_what_are_no_thresholds_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected four ascending scores, e\.g\. 20,40,60,80"):
        Stars.parse(text)
