from __future__ import annotations

import numpy as np
import pytest

from dgqa_infer.errors import UsageError
from dgqa_training.evaluation.metrics import Evaluation, Interval, evaluate
from dgqa_training.evaluation.protocols import OURS, PAPERS, Outcome, best_epoch, random_crops, table


def evaluation(srcc: float, plcc: float = 0.5) -> Evaluation:
    def around(value: float) -> Interval:
        return Interval(value, value - 0.1, value + 0.1)

    return Evaluation(100, around(srcc), around(0.4), around(plcc), around(plcc), around(0.7))


def test_figures_of_the_two_protocols_are_never_put_into_one_table() -> None:
    ours = Outcome("all 25 types", "livec", OURS, evaluation(0.5))
    theirs = Outcome("selected types", "livec", PAPERS, evaluation(0.6))
    with pytest.raises(UsageError, match="ours and papers do not belong in one table"):
        table([ours, theirs])


def test_a_table_has_a_line_for_each_outcome_with_its_intervals() -> None:
    outcomes = [
        Outcome(name, "bid", OURS, evaluation(srcc)) for name, srcc in (("all", 0.5), ("selected", 0.61))
    ]
    first, second = table(outcomes)
    assert (first["trained on"], second["trained on"]) == ("all", "selected")
    assert second["SRCC"] == "0.610 [0.510, 0.710]"
    assert first.keys() == second.keys()


def test_only_the_papers_protocol_looks_at_the_targets_labels_to_choose() -> None:
    assert PAPERS.chosen_on_target
    assert not OURS.chosen_on_target


def test_the_best_epoch_is_that_of_the_highest_srcc_and_all_figures_are_its_own() -> None:
    generator = np.random.default_rng(0)
    scores = generator.uniform(0, 100, 50)
    poor, good = scores + 40 * generator.normal(size=50), scores + 10 * generator.normal(size=50)
    bent = np.exp(scores / 20)  # ranks perfectly, yet its PLCC is below that of `good`
    epoch, figures = best_epoch([poor, bent, good], scores, True)
    assert epoch == 1
    assert figures == evaluate(bent, scores)
    assert figures.plcc.value < evaluate(good, scores).plcc.value


def test_the_best_epoch_knows_difference_scores_and_passes_over_an_epoch_without_ranks() -> None:
    scores = np.array([10.0, 20, 30, 40])
    epoch, figures = best_epoch([np.zeros(4), scores, -scores], scores, False)
    assert epoch == 2
    assert figures.srcc.value == pytest.approx(1)


def test_random_crops_are_pieces_of_the_photograph_as_it_is() -> None:
    rows, columns = np.mgrid[:70, :90]
    image = np.stack([rows, columns, rows + columns], axis=2).astype(np.uint8)
    crops = random_crops(image, np.random.default_rng(0), count=40, side=32)
    assert crops.shape == (40, 32, 32, 3)
    corners = {(int(top), int(left)) for top, left, _ in crops[:, 0, 0]}
    for crop, (top, left, _) in zip(crops, crops[:, 0, 0].astype(int), strict=True):
        assert np.array_equal(crop, image[top : top + 32, left : left + 32])
    assert len(corners) > 30


def test_random_crops_reach_every_edge() -> None:
    image = np.zeros((10, 9, 3), np.uint8)
    image[0], image[-1] = 1, 2
    image[1:-1, 0], image[1:-1, -1] = 3, 4
    seen = np.unique(random_crops(image, np.random.default_rng(1), count=60, side=8))
    assert set(seen) == {0, 1, 2, 3, 4}


def test_the_same_generator_state_cuts_the_same_crops() -> None:
    image = np.random.default_rng(0).integers(256, size=(50, 60, 3), dtype=np.uint8)
    first, again = (random_crops(image, np.random.default_rng(7), side=16) for _ in range(2))
    assert np.array_equal(first, again)


def test_a_photograph_smaller_than_the_crop_is_refused() -> None:
    with pytest.raises(UsageError, match=r"224 pixels do not fit a photograph of 300 × 200"):
        random_crops(np.zeros((200, 300, 3), np.uint8), np.random.default_rng(0))
