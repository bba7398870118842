"""Expected values by hand, or from a plain restatement of the rule's text."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from dgqa_infer.domains.profile import DomainProfile, votes_of
from dgqa_infer.errors import UsageError
from dgqa_training.selection.votes import DomainSelection, Rule, overlap, select

Array = NDArray[np.float64]


def voting(*choices: tuple[int, ...]) -> Array:
    """Logits of photographs whose highest ones are the given classes."""
    logits = np.zeros((len(choices), 26))
    for row, classes in zip(logits, choices, strict=True):
        row[list(classes)] = np.arange(len(classes), 0, -1)
    return logits


def restated(logits: list[list[float]]) -> tuple[list[int], list[float], list[int]]:
    """The rule's text in plain Python: top 4 of each image, votes / 3N, kept if round(score, 2) >= 0.04."""
    votes = dict.fromkeys(range(26), 0)
    for image in logits:
        ranked = sorted(range(26), key=lambda number: image[number], reverse=True)
        for number in ranked[:4]:
            votes[number] = votes[number] + 1
    scores = [votes[number] / (len(logits) * 3) for number in range(26)]
    kept = [number for number in range(26) if round(scores[number], 2) >= 0.04]
    return list(votes.values()), scores, [number for number in kept if number != 0]


distinct = st.permutations(range(26)).map(list)
"""Logits of one photograph without ties, which the text leaves open."""


def test_votes_scores_and_selection_of_four_photographs_by_hand() -> None:
    found = select(voting((0, 1, 3, 25), (0, 1, 3, 17), (1, 0, 3, 17), (5, 4, 3, 2)))

    # Class 1 is among the top 4 of three of four photographs: 3 / (3 * 4).
    assert found.votes[:6] == (3, 3, 1, 4, 1, 1)
    assert (found.votes[17], found.votes[25]) == (2, 1)
    assert found.scores[1] == pytest.approx(0.25)
    assert found.scores[3] == pytest.approx(1 / 3)
    assert found.selected == (1, 2, 3, 4, 5, 17, 25)
    assert found.photos == 4


def test_pristine_is_never_selected_though_it_has_the_most_votes() -> None:
    found = select(voting(*[(0, 1, 2, 3)] * 30))

    assert found.scores[0] == found.scores[1] > 0.04
    assert found.selected == (1, 2, 3)


@pytest.mark.parametrize(("photos", "least"), [(1162, 123), (10073, 1058), (586, 62)])
def test_a_type_is_kept_from_the_vote_on_that_makes_it_so_in_livec_koniq_and_bid(
    photos: int, least: int
) -> None:
    # Least votes for LIVEC, KonIQ-10k and BID, computed from the released code by others.
    for votes, kept in ((least, (7,)), (least - 1, ())):
        counts = [0] * 26
        counts[7] = votes
        assert DomainSelection(tuple(counts), photos).selected == kept


def test_the_highest_classes_count_whatever_the_scale_of_the_logits() -> None:
    logits = voting((9, 8, 7, 6))

    assert select(logits).votes == select(logits * 1e-3 - 50).votes


@settings(deadline=None)
@given(st.lists(distinct, min_size=1, max_size=60))
def test_the_rule_agrees_with_its_text_restated(rows: list[list[int]]) -> None:
    votes, scores, kept = restated([[float(value) for value in row] for row in rows])
    found = select(np.array(rows, float))

    assert list(found.votes) == votes
    assert list(found.scores) == scores
    assert list(found.selected) == kept


@settings(deadline=None)
@given(st.lists(distinct, min_size=1, max_size=40), st.randoms())
def test_photographs_may_be_counted_one_by_one_and_in_any_order(
    rows: list[list[int]], random: object
) -> None:
    whole = select(np.array(rows, float))
    random.shuffle(rows)  # type: ignore[attr-defined]
    profile = DomainProfile()
    for row in rows:
        profile.add(votes_of(np.array(row, float)))

    assert DomainSelection.of(profile) == whole


@settings(deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(1, 30), st.just(26)), elements=st.floats(-50, 50)))
def test_each_photograph_casts_four_votes_and_a_duplicated_set_selects_the_same(logits: Array) -> None:
    found = select(logits)

    assert sum(found.votes) == 4 * len(logits)
    assert max(found.scores) <= 1 / 3
    twice = select(np.concatenate([logits, logits]))
    assert (twice.scores, twice.selected) == (found.scores, found.selected)


@settings(deadline=None)
@given(st.integers(1, 400), st.data())
def test_the_interval_holds_the_score_and_narrows_with_more_photographs(n: int, data: st.DataObject) -> None:
    votes = data.draw(st.integers(0, n))
    few, many = (DomainSelection((votes * times,) + (0,) * 25, n * times) for times in (1, 10))
    (low, high), (closer, nearer) = few.intervals[0], many.intervals[0]

    assert low <= few.scores[0] + 1e-12
    assert few.scores[0] - 1e-12 <= high
    assert nearer - closer < high - low


def test_the_interval_is_wilsons() -> None:
    # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3: 81 of 263 and 0 of 20.
    votes = (81, 0) + (0,) * 24

    low, high = DomainSelection(votes, 263).intervals[0]
    assert (3 * low, 3 * high) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    low, high = DomainSelection((0,) * 26, 20).intervals[1]
    assert (3 * low, 3 * high) == pytest.approx((0, 0.1611), abs=1e-4)


def test_few_photographs_are_unreliable_and_leave_types_undecided() -> None:
    few, many = (select(voting(*[(0, 1, 2, 3)] * n)) for n in (6, 600))

    assert not few.reliable
    assert 9 in few.undecided
    assert many.reliable
    assert many.undecided == ()


def test_another_rule_is_applied_as_named() -> None:
    logits = voting(*[(0, 1, 2, 3, 4)] * 9, (0, 5, 2, 3, 4))

    found = select(logits, Rule(top=2, counted=1, threshold=0.5))
    assert (found.votes[1], found.votes[2], found.selected) == (9, 0, (1,))


@pytest.mark.parametrize(
    "logits", [np.zeros((3, 25)), np.zeros(26), np.full((2, 26), np.nan), np.zeros((0, 26))]
)
def test_logits_that_the_rule_cannot_judge_are_refused(logits: Array) -> None:
    with pytest.raises(UsageError):
        select(logits)


def test_rules_without_sense_are_refused() -> None:
    for wrong in ({"top": 0}, {"top": 27}, {"counted": 0}):
        with pytest.raises(UsageError, match="no rule"):
            Rule(**wrong)


def test_overlap_is_common_types_of_all() -> None:
    assert overlap((1, 3, 10), (1, 3, 17, 25)) == pytest.approx(2 / 5)
    assert overlap((), ()) == 1


def test_the_rule_needs_neither_torch_nor_scipy() -> None:
    code = (
        "import sys, dgqa_training.selection.votes; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'scipy', 'skimage', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
