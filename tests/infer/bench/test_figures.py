"""Figures as tables, as JSON, and beside those of an earlier run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dgqa_infer.bench.figures import (
    RATE,
    Figure,
    as_document,
    differences,
    of_rounds,
    read,
    tables,
    verdict,
)
from dgqa_infer.errors import UsageError

SPEED = Figure("whole", "end to end", "rate", RATE, 50.0, 48.0, 52.0)
TIME = Figure("latency", "cpu", "p50", "ms", 20.0, 19.0, 21.0)


def test_a_figure_of_rounds_is_their_median_and_range() -> None:
    figure = of_rounds("whole", "end to end", "rate", RATE, [3.0, 1.0, 2.0, 5.0, 4.0, 6.0])
    assert (figure.value, figure.low, figure.high) == (3.5, 1.0, 6.0)


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    open_ended = replace(TIME, name="p99", high=None)
    file = tmp_path / "run.json"
    file.write_text(json.dumps(as_document({"cores": 2}, [SPEED, TIME, open_ended])))
    assert read(str(file)) == ({"cores": 2}, [SPEED, TIME, open_ended])


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[]", "[" * 100_000, '{"format": 2}'),
        '{"format": 1, "conditions": {}, "figures": [{"value": 1}]}',
        '{"format": 1, "conditions": [], "figures": []}',
        *(
            f'{{"format": 1, "conditions": {{}}, "figures": [{{"group": {group}, "subject": "", "name": "",'
            f' "unit": "ms", "value": {value}}}]}}'
            for group, value in (("[]", "1"), ('"a"', '"1"'), ('"a"', "NaN"), ('"a"', "9" * 400))
        ),
    ],
    ids=str.__len__,
)
def test_a_file_that_is_no_run_is_a_usage_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "run.json"
    file.write_text(text)
    with pytest.raises(UsageError, match=r"run\.json is no result of"):
        read(str(file))


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read(str(tmp_path / "none.json"))


def test_a_table_has_a_row_a_subject_and_a_column_a_figure() -> None:
    other = replace(TIME, subject="cuda:0", name="p99", value=1.5, low=None, high=None)
    assert tables([TIME, other, SPEED]) == {
        "latency": [
            {"": "cpu", "p50 (ms)": "20 [19, 21]", "p99 (ms)": ""},
            {"": "cuda:0", "p50 (ms)": "", "p99 (ms)": "1.5"},
        ],
        "whole": [{"": "end to end", f"rate ({RATE})": "50 [48, 52]"}],
    }


def test_an_earlier_run_stands_in_the_same_cell() -> None:
    (row,) = tables([SPEED, TIME], [replace(SPEED, value=25.0, low=24.0, high=26.0)])["whole"]
    assert row[f"rate ({RATE})"] == "50 [48, 52]; 2.00 × better (25)"
    (row,) = tables([TIME], [SPEED])["latency"]
    assert row["p50 (ms)"] == "20 [19, 21]"


def test_more_is_better_for_rates_and_worse_for_times() -> None:
    assert verdict(replace(SPEED, value=25.0, low=24.0, high=26.0), SPEED) == "2.00 × worse (50)"
    assert verdict(replace(TIME, value=10.0, low=9.0, high=11.0), TIME) == "2.00 × better (20)"
    assert verdict(TIME, replace(TIME, value=10.0, low=9.0, high=11.0)) == "2.00 × worse (10)"


def test_json_says_how_each_figure_of_both_runs_compares() -> None:
    """A program reads it, as every output that is no terminal does."""
    slower = replace(SPEED, value=25.0, low=24.0, high=26.0)
    document = as_document({"cores": 4}, [slower, TIME], ({"cores": 2}, [SPEED]))
    assert document["comparison"] == {
        "conditions_changed": ["cores: 2 → 4"],
        "figures": [
            {"group": "whole", "subject": "end to end", "name": "rate", "unit": RATE}
            | {"before": 50.0, "now": 25.0, "verdict": "worse"}
        ],
    }
    assert "comparison" not in as_document({}, [TIME])


def test_intervals_that_touch_and_figures_without_one_tell_nothing_apart() -> None:
    assert verdict(replace(SPEED, value=53.0, low=51.0, high=55.0), SPEED) == "as before (50)"
    assert verdict(replace(SPEED, value=90.0, low=None, high=None), SPEED) == "as before (50)"


def test_conditions_that_changed_are_named() -> None:
    before = {"cores": 2, "packages": {"numpy": "2.4", "pillow": "13"}}
    now = {"cores": 4, "packages": {"numpy": "2.5", "pillow": "13"}, "governor": "performance"}
    assert differences(now, before) == [
        "cores: 2 → 4",
        "governor: None → performance",
        "packages.numpy: 2.4 → 2.5",
    ]
