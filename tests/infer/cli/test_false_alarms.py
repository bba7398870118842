"""What people are told of a classifier whose thresholds let too much through."""

from __future__ import annotations

import pytest

from dgqa_infer.cli._false_alarms import warn_of_false_alarms
from dgqa_infer.cli._output import Output


def test_false_alarms_beyond_the_limit_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    thresholds = {"within_limit": False, "false_alarms_on_contents_left_out": 0.1667}
    warn_of_false_alarms({"explanations": thresholds}, Output(json=True))
    said = " ".join(capsys.readouterr().err.split())
    assert "16.7% of undistorted images, more than 5%" in said
    assert "more photographs" in said


@pytest.mark.parametrize("report", [{}, {"explanations": {}}, {"explanations": {"within_limit": True}}])
def test_reports_within_the_limit_or_without_thresholds_are_passed_over(
    report: dict[str, dict[str, bool]], capsys: pytest.CaptureFixture[str]
) -> None:
    warn_of_false_alarms(report, Output(json=True))
    assert capsys.readouterr().err == ""
