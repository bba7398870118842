from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from dgqa_infer.bundle.card import Card
from dgqa_infer.cli._files import gate_junit
from dgqa_infer.errors import UsageError
from dgqa_infer.gate import Gate, read_gate


@pytest.fixture
def card(models: Any) -> Card:
    """Score = 10 × raw; tolerance 1e-4 raw, so 0.001 of the score."""
    card: Card = models.card()
    return card


@pytest.fixture
def gate(tmp_path: Path, card: Card) -> Any:
    def read(text: str) -> Gate:
        path = tmp_path / "gate.toml"
        path.write_text(text)
        return read_gate(str(path), card)

    return read


def row(score: float, path: str = "a.jpg", **more: Any) -> dict[str, Any]:
    return {"path": path, "score": score, "raw": score / 10, **more}


def failed(path: str = "a.jpg") -> dict[str, Any]:
    return {"path": path, "error": {"code": "corrupt", "message": "x"}}


def test_a_score_below_the_minimum_fails_and_says_so(gate: Any) -> None:
    judge = gate("[[rule]]\nminimum_score = 50")
    assert judge.judge(row(49.5)) == {
        "rule": "**",
        "passed": False,
        "reasons": ["score 49.5 is below 50"],
        "within_tolerance": False,
    }
    assert judge.judge(row(50))["passed"]
    assert judge.verdict()["passed"] is False


def test_what_could_not_be_scored_fails_with_its_code(gate: Any) -> None:
    verdict = gate("[[rule]]\nminimum_score = 0").judge(failed())
    assert (verdict["passed"], verdict["reasons"]) == (False, ["corrupt"])


def test_a_decision_within_the_backend_s_tolerance_is_marked(gate: Any) -> None:
    judge = gate("[[rule]]\nminimum_score = 50")
    close = [judge.judge(row(score))["within_tolerance"] for score in (49.998, 49.9995, 50.0005, 50.002)]
    assert close == [False, True, True, False]
    assert judge.judge(failed())["within_tolerance"] is False


def test_a_set_s_verdict_is_marked_when_close_rows_could_turn_it(gate: Any) -> None:
    def verdict(*scores: float) -> tuple[bool, bool]:
        judge = gate("[[rule]]\nminimum_score = 50\nmaximum_share_failed = 0.5")
        for score in scores:
            judge.judge(row(score))
        found = judge.verdict()
        return found["passed"], found["within_tolerance"]

    assert verdict(60, 40) == (True, False)
    assert verdict(50.0005, 40) == (True, True)
    assert verdict(60, 40, 40) == (False, False)
    assert verdict(60, 49.9995, 40) == (False, True)
    assert verdict(60, 49.9995, 40, 40, 40) == (False, False)


def test_a_share_of_a_set_may_fail(gate: Any) -> None:
    judge = gate("[[rule]]\nminimum_score = 50\nmaximum_share_failed = 0.1")
    for score in [*[60] * 9, 40]:
        judge.judge(row(score))
    assert judge.verdict()["passed"] is True
    judge.judge(row(40))
    assert judge.verdict() == {
        "passed": False,
        "within_tolerance": False,
        "rules": [
            {
                "rule": "**",
                "match": "**",
                "judged": 11,
                "failed": 2,
                "share_failed": 0.181818,
                "maximum_share_failed": 0.1,
                "quantiles": [],
                "findings": ["2 of 11 failed; 10 % allowed"],
                "passed": False,
                "within_tolerance": False,
            }
        ],
        "not_judged": 0,
    }


@pytest.mark.parametrize("allowed", range(1, 100))
def test_just_the_allowed_share_may_fail_and_not_one_more(gate: Any, allowed: int) -> None:
    judge = gate(f"[[rule]]\nminimum_score = 50\nmaximum_share_failed = {allowed / 100}")
    for number in range(100):
        judge.judge(row(0 if number < allowed else 100))
    assert judge.verdict()["passed"] is True
    judge.forget()
    for number in range(100):
        judge.judge(row(0 if number <= allowed else 100))
    assert judge.verdict()["passed"] is False


def test_a_rule_that_fits_no_photograph_says_so(gate: Any) -> None:
    judge = gate('[[rule]]\nmatch = "**/prodcuts/**"\nminimum_score = 50')
    judge.judge(row(10, "a/products/b.jpg"))
    (rule,) = judge.verdict()["rules"]
    assert rule["findings"] == ["no photograph fits **/prodcuts/**"]


def test_rules_of_one_name_have_examples_of_their_own(gate: Any) -> None:
    judge = gate(
        '[[rule]]\nname = "x"\nmatch = "a/**"\nminimum_score = 50\n'
        '[[rule]]\nname = "x"\nmatch = "b/**"\nminimum_score = 50'
    )
    judge.judge(row(10, "a/1.jpg"))
    judge.judge(row(20, "b/2.jpg"))
    cases = ElementTree.fromstring(gate_junit(judge, "tiny@0", 1.0)).iter("testcase")
    assert ["a/1.jpg" in (case.findtext("failure") or "") for case in cases] == [True, False]


def test_the_median_and_percentiles_of_a_set_are_judged_and_said_in_words(gate: Any) -> None:
    judge = gate("[[rule]]\nminimum_median = 60\nminimum_percentiles = { 10 = 30, 25 = 40 }")
    for score in (20, 35, 50, 60, 61, 70, 75, 80, 90, 95):
        assert judge.judge(row(score))["passed"]
    (rule,) = judge.verdict()["rules"]
    # NumPy's inverted_cdf of these ten: 20, 50 and 61.
    assert [each["score"] for each in rule["quantiles"]] == [61, 20, 50]
    assert [each["passed"] for each in rule["quantiles"]] == [True, False, True]
    assert rule["findings"] == [
        "0 of 10 failed; 0 % allowed",
        "median 61.0; at least 60 demanded",
        "percentile 10 20.0; at least 30 demanded",
        "percentile 25 50.0; at least 40 demanded",
    ]
    assert judge.verdict()["passed"] is False


def test_a_median_within_the_backend_s_tolerance_is_marked(gate: Any) -> None:
    def close(score: float) -> bool:
        judge = gate("[[rule]]\nminimum_median = 50")
        judge.judge(row(score))
        return bool(judge.verdict()["within_tolerance"])

    assert [close(score) for score in (49.9, 50.0, 50.1)] == [False, True, False]


def test_a_set_without_a_score_has_no_median_and_fails(gate: Any) -> None:
    judge = gate("[[rule]]\nminimum_median = 1\nmaximum_share_failed = 1")
    judge.judge(failed())
    assert judge.verdict()["rules"][0]["findings"][1] == "median –; at least 1 demanded"
    assert judge.verdict()["passed"] is False


def test_the_first_rule_that_fits_decides_and_the_rest_is_not_judged(gate: Any) -> None:
    judge = gate(
        '[[rule]]\nname = "shop"\nmatch = "shop/**"\nminimum_score = 70\n'
        '[[rule]]\nmatch = "*.jpg"\nminimum_score = 30\n'
    )
    assert judge.judge(row(50, "shop/a.jpg"))["rule"] == "shop"
    assert judge.judge(row(50, "home/a.JPG"))["passed"] is True
    assert judge.judge(row(1, "home/a.png")) is None
    verdict = judge.verdict()
    assert [rule["passed"] for rule in verdict["rules"]] == [False, True]
    assert verdict["not_judged"] == 1


def test_a_forbidden_distortion_fails_from_its_probability_on(gate: Any) -> None:
    judge = gate('[[rule]]\nforbidden = { "dust spots" = 0.5, red_eyes = 0.9 }')
    assert judge.needs_distortions

    def reasons(**found: float) -> list[str]:
        distortions = [
            {"name": name.replace("_", " "), "probability": share} for name, share in found.items()
        ]
        verdict: dict[str, Any] = judge.judge(row(90, distortions=distortions))
        assert verdict["passed"] == (not verdict["reasons"])
        return list(verdict["reasons"])

    assert reasons() == []
    assert reasons(dust_spots=0.49, red_eyes=0.6) == []
    assert reasons(dust_spots=0.5) == ["dust spots 0.50"]
    assert reasons(red_eyes=0.95) == ["red eyes 0.95"]


def test_a_limit_of_nothing_forbids_a_distortion_wherever_it_is_named(gate: Any) -> None:
    judge = gate('[[rule]]\nforbidden = { "dust spots" = 0 }')

    found = {"name": "dust spots", "probability": 0.12, "severity": 3.1}
    assert judge.judge(row(90, distortions=[found]))["reasons"] == ["dust spots 0.12"]
    assert judge.judge(row(90, distortions=[]))["passed"]


def test_a_gate_can_begin_anew(gate: Any) -> None:
    judge = gate("[[rule]]\nminimum_score = 50")
    judge.judge(row(1))
    judge.forget()
    assert judge.verdict()["passed"] is True
    assert judge.verdict()["rules"][0]["judged"] == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must hold"),
        ("minimum_score = 3", "must hold"),
        ("rule = 3", "must hold"),
        ("[[rule]]", "rule 1 demands nothing"),
        ("[[rule]]\nminimum_scor = 3", "unknown key 'minimum_scor'"),
        ("[[rule]]\nminimum_score = 101", "minimum_score is 101, not a number from 0 to 100"),
        ("[[rule]]\nminimum_score = true", "minimum_score is True"),
        ("[[rule]]\nminimum_score = 'x'", "minimum_score is 'x'"),
        ("[[rule]]\nminimum_score = nan", "minimum_score is nan"),
        ("[[rule]]\nminimum_median = 101", "minimum_median is 101"),
        ("[[rule]]\nminimum_percentiles = 3", "must be a table such as { 10 = 40 }"),
        ("[[rule]]\nminimum_percentiles = { ten = 40 }", "'ten' is not a percentile"),
        ("[[rule]]\nminimum_percentiles = { 100 = 40 }", "'100' is not a percentile"),
        ("[[rule]]\nminimum_percentiles = { 10 = 400 }", "10 is 400, not a number from 0 to 100"),
        ("[[rule]]\nminimum_score = 1\nmaximum_share_failed = 2", "maximum_share_failed is 2"),
        ("[[rule]]\nmatch = 3\nminimum_score = 1", "must be text"),
        ("[[rule]]\nforbidden = { fog = 0.5 }", "no distortion 'fog', but: dust spots, red eyes"),
        ("[[rule]]\nforbidden = { 'red eyes' = -0.01 }", "from 0 to 1"),
        ("[[rule]", "is not TOML"),
    ],
)
def test_a_gate_that_makes_no_sense_is_refused_with_the_reason(gate: Any, text: str, words: str) -> None:
    with pytest.raises(UsageError) as error:
        gate(text)
    assert words in str(error.value)


def test_a_gate_file_that_is_missing_is_named(card: Card, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml cannot be read: No such file"):
        read_gate(str(tmp_path / "none.toml"), card)


def test_a_gate_file_may_begin_with_a_byte_order_mark(gate: Any) -> None:
    assert gate("\ufeff[[rule]]\nminimum_score = 10\n").judge(row(5))["passed"] is False
