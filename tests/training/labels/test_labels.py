"""Labels of contents that nobody has rated."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dgqa_training.labels.kadid_scores import built_in
from dgqa_training.labels.labels import PRISTINE_LABEL, kadid_mean, kadid_quantile, to_label

# Mean labels of KADID contents rescaled to 0–10, levels 1, 3, 5, and their standard deviation: averages over
# the 24 contents of SynDR-IQA's additional_samples.pkl (docs/distortions.md, "Severity").
SEVERITY = {
    1: ((9.16, 0.13), (5.06, 0.61), (0.83, 0.15)),
    3: ((9.20, 0.16), (4.88, 0.62), (1.71, 0.30)),
    9: ((9.04, 0.23), (7.61, 0.83), (0.98, 0.17)),
    21: ((7.62, 0.46), (4.98, 0.61), (1.37, 0.61)),
    23: ((4.43, 0.64), (3.26, 0.41), (2.50, 0.23)),
    25: ((6.16, 0.48), (8.38, 0.42), (5.84, 0.55)),
}


def test_bounds_of_kadids_scores_are_0_and_10():
    scores = built_in()
    np.testing.assert_allclose(to_label(np.array(scores.bounds), scores), (0, 10))
    assert PRISTINE_LABEL == 10


@pytest.mark.parametrize("number", list(SEVERITY))
def test_mean_labels_agree_with_published_pseudo_labels(number):
    labels = kadid_mean()[number - 1, [0, 2, 4]]
    for label, (mean, deviation) in zip(labels, SEVERITY[number], strict=True):
        assert label == pytest.approx(mean, abs=max(deviation, 0.2))


def test_mean_labels_are_not_monotone_where_the_levels_are_not():
    labels = kadid_mean()
    assert labels[24].argmax() == 2  # contrast: level 3 is the mildest
    assert labels[17].argmax() == 2  # mean shift: level 3 is the identity


def test_quantile_labels_follow_the_metric_and_keep_kadids_distribution():
    draw = np.random.default_rng(0)
    qualities = draw.random(2000)
    labels = kadid_quantile(qualities, 4, 2)
    assert stats.spearmanr(qualities, labels).statistic == pytest.approx(1)
    scores = built_in()
    wanted = to_label(scores.quantiles[3, 1], scores)
    np.testing.assert_allclose(np.quantile(labels, np.linspace(0, 1, 11)), wanted, atol=0.05)
    assert labels.mean() == pytest.approx(kadid_mean()[3, 1], abs=0.15)


def test_quantile_labels_of_equal_qualities_are_equal():
    labels = kadid_quantile(np.array([0.5, 0.9, 0.5, 0.1]), 1, 3)
    assert labels[0] == labels[2]
    assert labels[3] < labels[0] < labels[1]


def test_the_only_content_gets_the_median():
    scores = built_in()
    median = to_label(scores.quantiles[6, 0, 5:6], scores)
    np.testing.assert_allclose(kadid_quantile(np.array([0.3]), 7, 1), median)


def test_qualities_that_cannot_be_ordered_are_refused():
    with pytest.raises(ValueError, match="type 3, level 2"):
        kadid_quantile(np.array([0.1, np.nan]), 3, 2)


@given(
    st.lists(st.floats(-10, 10), min_size=1, max_size=40),
    st.integers(1, 25),
    st.integers(1, 5),
)
def test_labels_stay_within_0_and_10_and_keep_the_order(qualities, number, level):
    values = np.array(qualities)
    labels = kadid_quantile(values, number, level)
    assert labels.min() >= 0
    assert labels.max() <= 10
    order = np.argsort(values, kind="stable")
    assert (np.diff(labels[order]) >= 0).all()
