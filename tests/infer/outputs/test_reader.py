"""Rows read back are the rows that were written."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgqa_infer.errors import UsageError
from dgqa_infer.outputs import open_sink
from dgqa_infer.outputs.reader import read_rows

TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8)
FORMULAS = [
    "=1+1",
    "'=1+1",
    "''-1",
    " =1",
    "\u3000@A",
    "\uff1d1+1",
    "\uff0b1",
    "\uff0d1",
    "\uff20A",
    "'\t=1",
    "\ufeff=1",
]
ACTING = ["a\x9b2J.jpg", "a\x85b.jpg", "a\u202egpj.exe", "a\u2066b\u2069.jpg", "a\u2028b.jpg", "a\x7f.jpg"]
WORD = st.sampled_from(["upscaled", "first_frame", "score 1.0 is below 2"])


def rows() -> st.SearchStrategy[dict[str, Any]]:
    common = {
        "path": TEXT.map(lambda text: f"a/{text}.jpg")
        | st.just("caf\udce9.jpg")
        | st.sampled_from(FORMULAS + ACTING),
        "model": st.just("tiny@0"),
        "size": st.integers(1, 2**40) | st.none(),
        "mtime": st.floats(0, 2e9).map(lambda value: round(value, 6)) | st.none(),
    }
    share = st.floats(0, 1).map(lambda value: round(value, 4))
    found = st.fixed_dictionaries({"name": st.sampled_from(["motion blur", "grain"]), "probability": share})
    scored = {
        "score": st.floats(0, 100).map(lambda value: round(value, 2)),
        "raw": st.floats(-1, 11).map(lambda value: round(value, 5)),
        "spread": share,
        "width": st.integers(1, 9000),
        "height": st.integers(1, 9000),
        "warnings": st.lists(WORD, max_size=2, unique=True),
    }
    failure = {"error": st.just({"code": "corrupt", "message": "it ends: early, 'so'"})}
    return st.fixed_dictionaries(
        common | scored, optional={"distortions": st.lists(found, min_size=1, max_size=2)}
    ) | (st.fixed_dictionaries(common | failure))


def same(row: dict[str, Any]) -> dict[str, Any]:
    """A row without its empty values, which tables cannot tell from absent ones."""
    return {name: value for name, value in row.items() if value is not None}


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
@settings(max_examples=25, deadline=None)
@given(st.lists(rows(), max_size=5, unique_by=lambda row: row["path"]))
def test_what_a_run_writes_is_read_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, ending: str, written: list[dict[str, Any]]
) -> None:
    file = tmp_path_factory.mktemp("rows") / f"rows.{ending}"
    with file.open("wb") as stream, open_sink(ending, stream) as sink:
        for row in written:
            sink.write(row)  # type: ignore[arg-type]
    assert [same(row) for _, row in read_rows(str(file))] == [same(row) for row in written]


def test_of_an_input_that_was_done_again_the_last_row_counts(tmp_path: Path) -> None:
    lines = [("a", 1), ("b", 2), ("a", 3)]
    (tmp_path / "rows.jsonl").write_text(
        "".join(json.dumps({"path": path, "model": "m", "score": score}) + "\n" for path, score in lines)
    )
    found = [(number, row["score"]) for number, row in read_rows(str(tmp_path / "rows.jsonl"))]
    assert found == [(3, 3), (2, 2)]


def test_stdin_is_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(b'{"path": "a", "model": "m"}\n{"path": "b", "mo'))
    monkeypatch.setattr(sys, "stdin", stream)
    told: list[str] = []
    assert [row["path"] for _, row in read_rows("-", told.append)] == ["a"]
    assert told == ["the last line of - is not whole and is left out: its run was broken off"]


ROWS = [
    {"path": "äöü 漢.jpg", "model": "m", "score": 41.5, "mtime": 1796097740.473319, "warnings": ["upscaled"]},
    {"path": "b.jpg", "model": "m", "score": 7.25, "mtime": -1.5, "warnings": []},
]


def as_written(format: str) -> str:
    stream = io.BytesIO()
    with open_sink(format, stream) as sink:
        for row in ROWS:
            sink.write(row)  # type: ignore[arg-type]
    return stream.getvalue().decode()


@pytest.mark.parametrize("format", ["jsonl", "csv"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_rows_may_be_as_windows_saves_or_redirects_them(
    tmp_path: Path, format: str, encoding: str, line_end: str
) -> None:
    file = tmp_path / f"rows.{format}"
    file.write_bytes((as_written(format) + "\n").replace("\n", line_end).encode(encoding))
    assert [same(row) for _, row in read_rows(str(file))] == ROWS


def test_a_spreadsheet_s_semicolons_and_decimal_commas_are_read(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(as_written("csv").replace(",", ";").replace(".5;", ",5;").encode("utf-8-sig"))
    assert "41,5;" in file.read_text()
    assert [same(row) for _, row in read_rows(str(file))] == ROWS


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_rows_may_come_through_a_pipe_with_a_name(tmp_path: Path, format: str) -> None:
    pipe = tmp_path / f"rows.{format}"
    os.mkfifo(pipe)
    with subprocess.Popen(["tee", pipe], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as writer:
        assert writer.stdin is not None
        writer.stdin.write(as_written(format).encode())
        writer.stdin.close()
        assert [same(row) for _, row in read_rows(str(pipe))] == ROWS


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("rows.csv", "path,score\nä.jpg,7\n".encode("latin-1"), "is not UTF-8: save it as UTF-8"),
        ("rows.jsonl", b"\xff\xfe{", "begins as utf-16 and is not"),
        ("rows.jsonl", b"{]\n", "line 1 is not JSON"),
        ("rows.csv", b"path,score\na.jpg,high\n", "line 2 is not a row of `score`"),
        ("rows.parquet", b"no such thing", "is not Parquet"),
    ],
)
def test_what_holds_no_rows_is_refused(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UsageError, match=words):
        list(read_rows(str(tmp_path / name)))


@pytest.mark.parametrize("name", ["none.jsonl", "none.csv", "none.parquet"])
def test_what_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} cannot be read"):
        list(read_rows(str(tmp_path / name)))


@pytest.mark.parametrize("ending", ["jpg", "csv", "jsonl"])
def test_what_is_no_file_of_rows_is_told_from_one_and_how_rows_are_written(
    photos: Path, tmp_path: Path, ending: str
) -> None:
    how = "`dgqa-infer score PHOTOS -o rows.jsonl` writes rows"
    for data, what in (
        (next(photos.rglob("*.jpg")).read_bytes(), "is a JPEG picture, not a file of rows"),
        (next(photos.rglob("*.png")).read_bytes(), "is a PNG picture, not a file of rows"),
        (gzip.compress(b"{}\n"), "is binary, not a file of rows"),
        (b"\x08\x08\x12\x07pytorch" * 9, "is binary, not a file of rows"),
    ):
        file = tmp_path / f"a.{ending}"
        file.write_bytes(data)
        with pytest.raises(UsageError) as told:
            list(read_rows(str(file)))
        assert str(told.value) == f"{file} {what}; {how}"


def test_a_folder_is_told_how_to_make_rows_of(tmp_path: Path) -> None:
    folder = tmp_path / "my photos"
    folder.mkdir()
    with pytest.raises(UsageError, match=r"is a folder, .*score '.*/my photos' -o rows\.jsonl` writes rows"):
        list(read_rows(str(folder)))


def test_json_that_is_spread_over_lines_is_not_rows_and_it_is_said_what_makes_them(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps([{"path": "a"}], indent=2))
    with pytest.raises(UsageError, match=r"line 1 is not JSON .*; `dgqa-infer score PHOTOS"):
        list(read_rows(str(tmp_path / "rows.json")))
