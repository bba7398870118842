from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgqa_infer.bundle.card import Domains, Fault
from dgqa_infer.domains.explanation import LEAST_PROBABILITY, MOST, explain, probabilities, with_score

NAMES = ("pristine", "gaussian-blur", "lens-blur", "darken", "jpeg", "white-noise")
logits = st.lists(st.floats(-30, 30), min_size=len(NAMES), max_size=len(NAMES)).map(np.array)
thresholds = st.lists(st.floats(-10, 20), min_size=len(NAMES) - 1, max_size=len(NAMES) - 1)


def domains(*limits: float, temperature: float = 1.0) -> Domains:
    """Severity is a quarter of the evidence, between 0 and 4."""
    faults = {
        name: Fault(limit, (0.0, 16.0), (0.0, 4.0)) for name, limit in zip(NAMES[1:], limits, strict=True)
    }
    return Domains(NAMES, temperature, {}, faults)


def test_a_distortion_is_named_from_its_own_threshold_on() -> None:
    seen = np.array([0.0, 5.0, -9.0, -9.0, -9.0, -9.0])

    (found,) = explain(seen, domains(5.0, 0, 0, 0, 0))
    assert found.name == "soft all over"
    assert found.probability == pytest.approx(math.exp(5) / (math.exp(5) + 1), abs=1e-3)
    assert found.severity == pytest.approx(1.25)
    assert explain(seen, domains(5.01, 0, 0, 0, 0)) == ()


def test_nothing_is_named_because_it_is_the_likeliest() -> None:
    # Each of five is likelier than pristine, none by as much as undistorted photographs make it.
    assert explain(np.array([0.0, 2, 2, 2, 2, 2]), domains(3, 3, 3, 3, 3)) == ()


def test_two_ways_to_be_soft_that_share_the_probability_are_both_named() -> None:
    found = explain(np.array([0.0, 8, 8, -9, -9, -9]), domains(6, 6, 6, 6, 6))

    assert [each.name for each in found] == ["soft all over", "out of focus"]
    assert found[0].probability == pytest.approx(0.5, abs=1e-3)


def test_the_more_harmful_comes_first_even_if_it_is_less_likely() -> None:
    faults = {
        **domains(1, 1, 1, 1, 1).faults,
        "jpeg": Fault(1.0, (0.0, 1.0), (0.5, 0.5)),
        "darken": Fault(1.0, (0.0, 1.0), (3.5, 3.5)),
    }
    found = explain(np.array([0.0, -9, -9, 9.2, 10, -9]), Domains(NAMES, 1.0, {}, faults))

    assert [each.name for each in found] == ["too dark", "blocks from JPEG compression"]
    assert found[0].probability < found[1].probability


def test_evidence_counts_at_the_temperature() -> None:
    seen = np.array([0.0, 5.0, -9.0, -9.0, -9.0, -9.0])

    assert explain(seen, domains(4.0, 0, 0, 0, 0))
    assert explain(seen, domains(4.0, 0, 0, 0, 0, temperature=2.0)) == ()


def test_a_classifier_without_thresholds_names_the_likeliest_without_a_severity() -> None:
    (found,) = explain(np.array([0.0, 5.0, -9.0, -9.0, -9.0, -9.0]), Domains(NAMES, 1.0))

    assert (found.name, found.severity) == ("soft all over", None)
    assert set(found.row()) == {"name", "probability"}


@given(logits, thresholds)
def test_what_is_named_is_clearly_there_likely_enough_and_ordered_by_harm(
    seen: np.ndarray, limits: list[float]
) -> None:
    told = domains(*limits)
    found = explain(seen, told)

    assert len(found) <= MOST
    assert all(each.probability >= LEAST_PROBABILITY for each in found)
    assert all(each.severity is not None and 0 <= each.severity <= 4 for each in found)
    assert list(found) == sorted(found, key=lambda each: -each.harm)
    assert float(probabilities(seen, told).sum()) == pytest.approx(1)


@given(logits, thresholds)
def test_higher_thresholds_never_name_more(seen: np.ndarray, limits: list[float]) -> None:
    low = {each.name for each in explain(seen, domains(*limits))}
    high = {each.name for each in explain(seen, domains(*(limit + 1 for limit in limits)))}

    assert len(low) == MOST or high <= low


def test_a_low_score_is_evidence_for_every_distortion_alike() -> None:
    seen = np.array([[0.0, 2.0, -1.0], [0.0, 2.0, -1.0], [0.0, 2.0, -1.0]])
    weighed = with_score(seen, np.array([50.0, 0.0, 100.0]), 0.5)
    evidence = weighed[:, 1:] - weighed[:, :1]

    # 0.5 × ln(1 / 101) by hand: −2.3076; a high score is no evidence of the contrary.
    assert evidence == pytest.approx(np.array([[2, -1], [4.3076, 1.3076], [2, -1]]), abs=1e-4)
    assert with_score(seen, np.array([3.0, 4.0, 5.0]), 0.0).tolist() == seen.tolist()


def test_the_score_makes_named_what_the_classifier_alone_doubts() -> None:
    seen, told = np.array([0.0, 2.0, -9.0, -9.0, -9.0, -9.0]), domains(3, 3, 3, 3, 3)

    assert explain(with_score(seen, np.array(90.0), 0.5), told) == ()
    (found,) = explain(with_score(seen, np.array(5.0), 0.5), told)
    assert found.name == "soft all over"
