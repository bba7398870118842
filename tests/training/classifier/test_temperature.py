from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgqa_infer.errors import UsageError
from dgqa_training.classifier.temperature import (
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
)


@pytest.mark.parametrize("truth", [0.5, 1.0, 2.5])
def test_the_temperature_of_overconfident_logits_is_found(truth: float) -> None:
    # Classes are drawn from softmax(z); logits of truth * z need just that temperature.
    generator = np.random.default_rng(0)
    plain = generator.normal(size=(20_000, 5)) * 2
    shares = np.exp(plain) / np.exp(plain).sum(1, keepdims=True)
    classes = (shares.cumsum(1) > generator.random((len(plain), 1))).argmax(1)

    assert fit_temperature(plain * truth, classes) == pytest.approx(truth, rel=0.03)
    assert expected_calibration_error(plain * truth, classes, truth) < 0.02


def test_the_likelihood_is_that_of_the_softmax_by_hand() -> None:
    logits = np.array([[0.0, math.log(3)], [0.0, math.log(3)]])  # p = 1/4, 3/4

    found = negative_log_likelihood(logits, np.array([1, 0]))
    assert found == pytest.approx(-(math.log(3 / 4) + math.log(1 / 4)) / 2)
    # At a temperature of 2 the odds are sqrt(3).
    odds = math.sqrt(3)
    found = negative_log_likelihood(logits, np.array([1, 1]), 2.0)
    assert found == pytest.approx(-math.log(odds / (1 + odds)))


def test_the_calibration_error_weighs_bins_by_their_images() -> None:
    # Three images said with 0.75, one of them wrong; one said with 0.9 and wrong: (|2 - 2.25| + 0.9) / 4.
    logits = np.array([[0.0, math.log(3)]] * 3 + [[0.0, math.log(9)]])

    found = expected_calibration_error(logits, np.array([1, 1, 0, 0]))
    assert found == pytest.approx((0.25 + 0.9) / 4)


def test_a_certain_classifier_that_is_right_has_no_calibration_error() -> None:
    logits = np.eye(4) * 1000

    assert expected_calibration_error(logits, np.arange(4)) == 0
    assert fit_temperature(logits, np.arange(4)) >= 0.05


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32), st.floats(0.1, 10))
def test_the_fitted_temperature_is_no_worse_than_any_other(seed: int, other: float) -> None:
    generator = np.random.default_rng(seed)
    logits, classes = generator.normal(size=(50, 6)), generator.integers(6, size=50)
    best = fit_temperature(logits, classes)

    found, rival = (negative_log_likelihood(logits, classes, each) for each in (best, other))
    assert found <= rival + 1e-6


def test_nothing_can_be_fitted_to_no_images() -> None:
    with pytest.raises(UsageError, match="without images"):
        fit_temperature(np.zeros((0, 26)), np.zeros(0, np.int64))
