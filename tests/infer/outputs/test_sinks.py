from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from dgqa_infer.atomic import whole_file
from dgqa_infer.errors import UsageError
from dgqa_infer.outputs import FORMATS, open_sink
from dgqa_infer.outputs.columns import COLUMNS

GOOD: dict[str, Any] = {
    "path": "a/b.jpg",
    "score": 61.8,
    "raw": 6.31,
    "spread": 0.42,
    "width": 4032,
    "height": 3024,
    "warnings": ["alpha_over_grey", "upscaled"],
    "model": "dgqa-lite0@1f3a9c0e",
    "distortions": [
        {"name": "motion blur", "probability": 0.61, "severity": 2.3},
        {"name": "grain", "probability": 0.2},
    ],
    "attributes": {"sharpness": 0.4, "brightness": 31.5, "clipped": 0.02, "noise": 1.25},
    "gate": {
        "rule": "all",
        "passed": False,
        "reasons": ["score 61.8 is below 70"],
        "within_tolerance": False,
    },
    "size": 1234,
    "mtime": 1.5,
}
BAD: dict[str, Any] = {
    "path": "a/c.jpg",
    "error": {"code": "truncated", "message": "the file ends 41 kB before its image data does"},
    "model": "dgqa-lite0@1f3a9c0e",
    "size": None,
    "mtime": None,
}


def written(format: str, *rows: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    with open_sink(format, stream) as sink:
        for row in rows:
            sink.write(row)
    return stream.getvalue()


def csv_rows(*rows: dict[str, Any]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(written("csv", *rows).decode(), newline="")))


def test_json_lines_are_the_rows() -> None:
    assert [json.loads(line) for line in written("jsonl", GOOD, BAD).splitlines()] == [GOOD, BAD]


def test_json_lines_keep_a_name_that_is_not_text() -> None:
    name = os.fsdecode(b"caf\xe9\xff.jpg") if sys.platform != "darwin" else "caf\udce9\udcff.jpg"
    line = written("jsonl", GOOD | {"path": name})
    assert line.isascii()
    assert json.loads(line)["path"] == name


def test_json_lines_are_readable_text_otherwise() -> None:
    assert "写真/é.jpg" in written("jsonl", GOOD | {"path": "写真/é.jpg"}).decode()


def test_a_line_feed_in_a_name_does_not_end_the_row() -> None:
    assert len(written("jsonl", GOOD | {"path": "a\nb\u2028.jpg"}).decode().strip("\n").split("\n")) == 1


def test_nothing_that_is_no_number_is_written() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        written("jsonl", GOOD | {"score": float("nan")})


def test_csv_has_always_the_same_columns() -> None:
    good, bad = csv_rows(GOOD, BAD)
    assert tuple(good) == tuple(bad) == COLUMNS
    assert good == {
        "path": "a/b.jpg",
        "score": "61.8",
        "raw": "6.31",
        "spread": "0.42",
        "width": "4032",
        "height": "3024",
        "warnings": "alpha_over_grey; upscaled",
        "distortions": "motion blur 0.61 (severity 2.3); grain 0.2",
        "sharpness": "0.4",
        "brightness": "31.5",
        "clipped": "0.02",
        "noise": "1.25",
        "error_code": "",
        "error_message": "",
        "verdict": "failed",
        "verdict_reasons": "score 61.8 is below 70",
        "within_tolerance": "false",
        "model": "dgqa-lite0@1f3a9c0e",
        "size": "1234",
        "mtime": "1.5",
    }
    assert (bad["path"], bad["score"], bad["error_code"]) == ("a/c.jpg", "", "truncated")


def test_csv_tells_nothing_found_from_not_asked() -> None:
    unasked = {name: value for name, value in GOOD.items() if name not in ("distortions", "attributes")}
    found = csv_rows(GOOD | {"distortions": []}, unasked, BAD)
    assert [row["distortions"] for row in found] == ["none found", "", ""]


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_each_class_has_a_column_where_all_probabilities_were_asked_for(format: str) -> None:
    if format == "parquet":
        pytest.importorskip("pyarrow")
    stream = io.BytesIO()
    with open_sink(format, stream, classes=("pristine", "motion-blur")) as sink:
        sink.write(GOOD | {"probabilities": {"pristine": 0.39, "motion-blur": 0.61}})  # type: ignore[arg-type]
        sink.write(BAD)  # type: ignore[arg-type]
    if format == "csv":
        good, bad = csv.DictReader(io.StringIO(stream.getvalue().decode(), newline=""))
        assert (good["p_pristine"], good["p_motion_blur"], bad["p_pristine"]) == ("0.39", "0.61", "")
    else:
        from pyarrow import parquet

        good, bad = parquet.read_table(io.BytesIO(stream.getvalue())).to_pylist()
        assert (good["p_pristine"], good["p_motion_blur"], bad["p_pristine"]) == (0.39, 0.61, None)
    assert tuple(good) == (*COLUMNS, "p_pristine", "p_motion_blur")


@pytest.mark.parametrize(
    "name", ["=cmd|'/c calc'!A0", "+1.jpg", "-1.jpg", "@SUM(A1)", "\t=1", "\r=1", "\n=1"]
)
def test_a_spreadsheet_runs_nothing_that_a_name_says(name: str) -> None:
    (row,) = csv_rows(GOOD | {"path": name})
    assert row["path"] == f"'{name}"


def test_numbers_below_zero_stay_numbers_in_csv() -> None:
    (row,) = csv_rows(GOOD | {"raw": -0.3})
    assert row["raw"] == "-0.3"


@pytest.mark.parametrize("name", ['a"b.jpg', "a,b.jpg", "a\nb.jpg", "a;b.jpg", " a.jpg"])
def test_csv_keeps_names_with_its_own_characters(name: str) -> None:
    (row,) = csv_rows(GOOD | {"path": name})
    assert row["path"] == name


def test_csv_and_parquet_spell_out_bytes_that_are_not_text() -> None:
    pytest.importorskip("pyarrow")
    from pyarrow import parquet

    row = GOOD | {"path": "caf\udce9.jpg"}
    assert csv_rows(row)[0]["path"] == "caf\\udce9.jpg"
    table = parquet.read_table(io.BytesIO(written("parquet", row)))
    assert table["path"].to_pylist() == ["caf\\udce9.jpg"]


def test_parquet_has_types(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    from pyarrow import parquet

    from dgqa_infer.outputs import parquet as sink

    monkeypatch.setattr(sink, "_ROWS_AT_ONCE", 2)
    table = parquet.read_table(io.BytesIO(written("parquet", GOOD, BAD, GOOD, BAD, GOOD)))
    assert table.column_names == list(COLUMNS)
    assert table.num_rows == 5
    good, bad = table.slice(0, 2).to_pylist()
    assert (good["score"], good["width"], good["warnings"]) == (61.8, 4032, ["alpha_over_grey", "upscaled"])
    assert good["distortions"] == [
        {"name": "motion blur", "probability": 0.61, "severity": 2.3},
        {"name": "grain", "probability": 0.2, "severity": None},
    ]
    assert (good["sharpness"], good["noise"], bad["noise"]) == (0.4, 1.25, None)
    assert (good["verdict"], good["within_tolerance"]) == ("failed", False)
    assert (bad["score"], bad["error_code"], bad["size"]) == (None, "truncated", None)


def test_parquet_without_rows_is_a_table_without_rows() -> None:
    pytest.importorskip("pyarrow")
    from pyarrow import parquet

    assert parquet.read_table(io.BytesIO(written("parquet"))).num_rows == 0


def test_a_missing_pyarrow_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError) as error:
        written("parquet")
    assert str(error.value) == "Parquet needs pyarrow: pip install 'dgqa-infer[parquet]'"


def test_the_table_has_a_line_a_row() -> None:
    lines = (
        written("table", GOOD, BAD, GOOD | {"distortions": [], "warnings": [], "gate": None})
        .decode()
        .splitlines()
    )
    assert lines == [
        " score spread  photograph",
        "  61.8   0.42  a/b.jpg"
        "  (FAILED: score 61.8 is below 70, motion blur 0.61, grain 0.20, alpha_over_grey, upscaled)",
        "     –      –  a/c.jpg  (truncated: the file ends 41 kB before its image data does)",
        "  61.8   0.42  a/b.jpg  (no fault found)",
    ]


def test_a_name_cannot_drive_the_terminal() -> None:
    data = written("table", GOOD | {"path": "\x1b[2J\x1b]0;pwned\x07\u202e\udcff.jpg"})
    assert b"\x1b" not in data
    assert b"\\x1b[2J" in data
    assert "\u202e" not in data.decode()


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_takes_every_row(format: str) -> None:
    if format == "parquet":
        pytest.importorskip("pyarrow")
    assert written(format, GOOD, BAD)


def test_a_format_that_is_none_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"csv, .*jsonl"):
        open_sink("xlsx", io.BytesIO())


def test_a_whole_file_replaces_the_old_one_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("old")
    path.chmod(0o640)
    with contextlib.suppress(RuntimeError), whole_file(path, overwrite=True) as file:
        file.write(b"half of")
        raise RuntimeError
    assert path.read_text() == "old"
    with whole_file(path, overwrite=True) as file:
        file.write(b"new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["rows.csv"]
