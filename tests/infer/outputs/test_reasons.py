"""What is said of a photograph with a low score: the fact that stands out, and nothing that does not."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgqa_infer.outputs import reasons as module
from dgqa_infer.outputs.reasons import NOTHING_STANDS_OUT, SetCounts, measured, reasons

ORDINARY = {"sharpness": 0.7, "brightness": 45.0, "clipped": 0.0, "noise": 0.5}


def row(score: float = 10.0, found: tuple[str, ...] = (), **more: Any) -> Any:
    attributes = ORDINARY | {name: more.pop(name) for name in ORDINARY if name in more}
    return {
        "path": "a.jpg",
        "score": score,
        "width": 4000,
        "height": 3000,
        "warnings": [],
        "distortions": [{"name": name, "probability": 0.9} for name in found],
        "attributes": attributes,
    } | more


def said(row: Any, others: list[Any] | None = None) -> list[str]:
    if others is None:
        return reasons(measured(row))
    counts = SetCounts()
    for each in others:
        counts.add(measured(each))
    return reasons(measured(row), counts)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"brightness": 9.2}, "dark: mean brightness 9 of 100"),
        ({"brightness": 95.3}, "very bright: mean brightness 95 of 100"),
        ({"clipped": 0.12}, "12 % of the pixels are clipped"),
        ({"sharpness": 0.4}, "softer than 95 % of ordinary photographs"),
        ({"noise": 9.0}, "noisier than 99 % of ordinary photographs"),
        ({"width": 320, "height": 240}, "small: 240 pixels on the short side"),
        ({}, NOTHING_STANDS_OUT),
    ],
)
def test_a_low_score_has_what_stands_out_or_a_sentence_that_nothing_does(facts: Any, words: str) -> None:
    assert said(row(**facts)) == [words]


def test_a_photograph_is_compared_with_its_own_set_where_that_is_large_enough() -> None:
    others = [row(50, sharpness=0.5 + 0.001 * number) for number in range(100)]
    # 96 are sharper, and 0.503 is below the sharpness that half of ordinary photographs have.
    assert said(row(sharpness=0.5029), others) == ["softer than 97 % of these"]
    assert said(row(sharpness=0.5029), others[:19]) == [NOTHING_STANDS_OUT]
    # The softest of a sharp set is not soft.
    sharp = [row(50, sharpness=0.75 + 0.001 * number) for number in range(100)]
    assert said(row(sharpness=0.74), sharp) == [NOTHING_STANDS_OUT]


def test_what_is_as_good_as_most_of_its_set_does_not_stand_out_in_it() -> None:
    same = [row(50, noise=0.9) for _ in range(100)]
    assert said(row(noise=0.9), same) == [NOTHING_STANDS_OUT]
    assert said(row(noise=0.91), same) == ["noisier than 100 % of these"]


def test_a_good_photograph_may_be_dark_and_a_bad_one_of_a_good_set_may_not() -> None:
    assert said(row(80, brightness=9)) == []
    good = [row(score) for score in range(70, 100)]
    assert said(row(71, brightness=9), good) == ["dark: mean brightness 9 of 100"]
    assert said(row(95, brightness=9), good) == []
    # With nothing to say, a score above that of half of ordinary photographs is not called low.
    assert said(row(71), good) == []


def test_a_named_fault_is_not_said_twice_and_has_one_fact_beside_it() -> None:
    dark = {"brightness": 9.0, "clipped": 0.4, "sharpness": 0.3, "noise": 9.0}
    assert said(row(**dark)) == ["dark: mean brightness 9 of 100", "40 % of the pixels are clipped"]
    assert said(row(found=("out of focus",), **dark)) == ["dark: mean brightness 9 of 100"]
    assert said(row(found=("too dark",), **dark)) == ["softer than 99 % of ordinary photographs"]
    assert said(row(found=("too dark", "motion blur"), **dark)) == [
        "noisier than 99 % of ordinary photographs"
    ]
    assert said(row(found=("banding",), width=300)) == []


def test_a_warning_is_reason_enough() -> None:
    assert said(row(warnings=["not_a_photograph"])) == []


def test_nothing_is_said_where_nothing_was_measured() -> None:
    unasked = {name: value for name, value in row().items() if name not in ("attributes", "distortions")}
    failed: Any = {"path": "a.jpg", "error": {"code": "empty", "message": "no bytes"}}
    assert said(unasked) == said(failed) == []
    counts = SetCounts()
    counts.add(measured(unasked))
    assert counts.photographs == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.floats(0, 1))
def test_shares_are_those_of_the_values(values: list[float], value: float) -> None:
    counts = SetCounts()
    for each in values:
        counts.add(measured(row(sharpness=each)))
    step = measured(row(sharpness=value)).sharpness
    below = sum(round(each * 10_000) < step for each in values)
    assert counts.share_below("sharpness", step) == below / len(values)


@given(st.floats(0, 100), st.floats(0, 1e9), st.integers(1, 10**9))
def test_every_row_fits_into_16_bits_and_has_few_phrases(score: float, value: float, side: int) -> None:
    found = measured(row(score, noise=value, brightness=value, width=side, height=side))
    assert all(0 <= each < 2**16 for each in found)
    assert len(reasons(found)) <= module.MOST


def test_the_borders_are_those_that_the_program_measured(repository: Path) -> None:
    measured_borders = json.loads((repository / "benchmarks" / "results" / "reasons.json").read_text())
    percentiles = measured_borders["borders"]["percentiles"]
    for share, border in module.SOFT.items():
        assert border == round(percentiles["sharpness"][str(100 - share)], 2)
    for share, border in module.NOISY.items():
        assert border == round(percentiles["noise"][str(share)], 1)
    assert round(percentiles["clipped"]["95"], 2) == module.CLIPPED
    assert all(
        share["fault_or_fact"] > 0.5
        for each in measured_borders["reported"].values()
        for share in (each["low"], each["worst"])
    )


def test_dark_and_bright_are_two_stops_from_middle_grey() -> None:
    def srgb(light: float) -> float:  # IEC 61966-2-1
        return 100 * (1.055 * light ** (1 / 2.4) - 0.055)

    assert math.isclose(srgb(0.18 / 4), module.DARK, abs_tol=0.1)
    assert math.isclose(srgb(0.18 * 4), module.BRIGHT, abs_tol=0.1)
