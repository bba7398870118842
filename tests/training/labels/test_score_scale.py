import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgqa_infer import UsageError
from dgqa_training.labels.labels import kadid_mean
from dgqa_training.labels.score_scale import STEPS, link, percentiles


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([np.sqrt, np.square, lambda x: 10 / (1 + np.exp(5 - x))]))
def test_as_many_images_score_below_a_step_as_have_an_opinion_below_it(seed, bend):
    """What equipercentile linking is; the model's judgement is opinion, bent and blurred."""
    generator = np.random.default_rng(seed)
    opinion = generator.uniform(0, 10, 2_000)
    raw = np.clip(
        3 + 0.4 * bend(opinion) / bend(np.array(10.0)) * 10 + generator.normal(0, 0.3, 2_000), 0, 10
    )
    scale = link(raw, opinion)
    scores = np.array([scale(value) for value in raw])
    for step in STEPS:
        assert (scores < step).mean() == pytest.approx((opinion < step / 10).mean(), abs=0.01)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-5, 15), st.integers(0, 10)), min_size=1, max_size=40),
)
def test_whatever_it_is_given_the_scale_rises_strictly_from_0_to_100(pairs):
    raw, labels = np.array(pairs, float).T
    scale = link(raw, labels)
    assert (scale(0.0), scale(10.0)) == (0.0, 100.0)
    assert (np.diff(scale.raw) > 0).all()
    assert (np.diff(scale.score) > 0).all()


def test_kadids_few_labels_are_linked_at_their_middles():
    """By hand: of images with labels 0, 5 and 10, as many of each, the middle third's median is worth 5."""
    raw = np.arange(300) / 100 + 4  # 4 … 7
    labels = np.repeat([0.0, 5.0, 10.0], 100)
    scale = link(raw, labels)
    assert scale(np.quantile(raw, 0.5)) == pytest.approx(50, abs=0.1)
    assert scale(np.quantile(raw, 1 / 6 + 0.4 / 3)) == pytest.approx(20, abs=0.1)


def test_labels_that_are_all_alike_leave_the_label_scale_times_ten():
    scale = link(np.array([3.0, 4.0]), np.array([7.0, 7.0]))
    assert [scale(raw) for raw in (0, 2.5, 7, 10)] == [0, 25, 70, 100]


def test_opinions_are_on_kadids_scale():
    assert kadid_mean().min() >= 0
    assert kadid_mean().max() <= 10


def test_a_scale_of_percentiles_says_how_many_photographs_are_worse():
    raw = np.random.default_rng(0).normal(6, 1, 4000).clip(0, 10)
    scale = percentiles(raw)
    scores = np.interp(raw, scale.raw, scale.score)
    assert np.median(scores) == pytest.approx(50, abs=0.5)
    assert (scores > 90).mean() == pytest.approx(0.1, abs=0.005)
    assert (scores < 5).mean() == pytest.approx(0.05, abs=0.005)
    assert (np.diff(scale.raw) > 0).all()
    assert (np.diff(scale.score) > 0).all()
    assert (scale.score[0], scale.score[-1]) == (0, 100)


def test_a_handful_of_photographs_makes_no_scale_of_percentiles():
    with pytest.raises(UsageError, match="19 photographs are too few"):
        percentiles(np.linspace(1, 9, 19))
