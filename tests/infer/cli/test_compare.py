"""`compare` as a person or a pipeline of tests calls it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

etree = pytest.importorskip("lxml.etree", reason="lxml is not installed")
HOSTILE = "<b>&a-b.png"


@pytest.fixture
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`old` and `new`: 24 grey scenes in two folders; the new ones are darker by 10 of 255: 3.9 points."""
    for name, change in (("old", 0), ("new", -10)):
        for number in range(24):
            path = tmp_path / name / "ab"[number % 2] / (HOSTILE if number == 0 else f"{number}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (64, 64), (100 + 5 * number + change,) * 3).save(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def compare(cli: Any, tiny_bundle: Path) -> Any:
    return lambda *arguments: cli(
        "compare", *arguments, "--model", tiny_bundle, "--device", "cpu", "--workers", 1
    )


def valid(repository: Path, file: Path) -> Any:
    document = etree.parse(str(file))
    etree.XMLSchema(etree.parse(str(repository / "tests/data/junit/JUnit.xsd"))).assertValid(document)
    return document


def test_a_worse_set_fails_and_says_so_everywhere(compare: Any, sets: Path, repository: Path) -> None:
    ran = compare("old", "new", "--max-drop", 1, "--page", "page.html", "--junit", "verdict.xml")
    assert ran.code == 1
    found = json.loads(ran.stdout)
    # Grey 10 lower is 10 / 2.55 points lower.
    assert found["all"]["mean_difference"]["value"] == pytest.approx(-10 / 2.55, abs=0.01)
    assert found["all"]["win_rate"]["value"] == 0
    assert set(found["folders"]) == {"a", "b"}
    assert len(found["worst"]) == 10
    assert found["verdict"]["passed"] is False
    assert "FAILED: the mean score changes by −3.9" in ran.stderr
    document = valid(repository, sets / "verdict.xml")
    assert document.find("testsuite").get("failures") == "1"
    page = (sets / "page.html").read_text()
    assert page.count("data:image/webp") == 20
    assert "<b>&a" not in page
    # The name is as it is, and the difference has a minus sign.
    assert re.search(r"<h3>a/&lt;b&gt;&amp;a-b.png <b>−3\.9</b></h3>", page)
    assert "<script" not in page


def test_a_new_set_that_has_lost_a_folder_is_compared_by_its_paths(compare: Any, sets: Path) -> None:
    """The old set's own 1.png is a white picture, which is no pair of b/1.png."""
    Image.new("RGB", (64, 64), "white").save(sets / "old" / "1.png")
    shutil.rmtree(sets / "new" / "a")
    ran = compare("old", "./new/")
    assert ran.code == 0
    found = json.loads(ran.stdout)
    assert found["all"]["pairs"] == 12
    assert found["all"]["mean_difference"]["value"] == pytest.approx(-10 / 2.55, abs=0.01)
    assert "1.png" in found["not_paired"]["old"]
    assert found["not_paired"]["new"] == []


def test_a_set_against_itself_passes(compare: Any, sets: Path, repository: Path) -> None:
    ran = compare("old", "old", "--max-drop", 0, "--junit", "verdict.xml", "--table")
    assert ran.code == 0
    assert "passed: the mean score changes by 0.0 [0.0, 0.0]" in ran.stderr
    assert valid(repository, sets / "verdict.xml").find("testsuite").get("failures") == "0"


def test_rows_are_compared_as_folders_are(compare: Any, cli: Any, sets: Path, tiny_bundle: Path) -> None:
    for name, ending in (("old", "csv"), ("new", "parquet")):
        fixed = ("--model", tiny_bundle, "--device", "cpu", "--workers", 1, "--explain", "--quiet")
        assert cli("score", name, *fixed, "-o", f"{name}.{ending}").code == 0
    rows = json.loads(compare("old.csv", "new.parquet").stdout)
    folders = json.loads(compare("old", "new").stdout)
    # A table cannot tell "none found" from "not asked".
    for found in (rows, folders):
        found.pop("faults")
        for pair in found["worst"]:
            del pair["old"]["faults"], pair["new"]["faults"]
    assert rows == folders


def test_a_new_photograph_without_a_score_is_an_error_of_its_own(
    compare: Any, sets: Path, repository: Path
) -> None:
    (sets / "new" / "a" / "2.png").write_bytes(b"")
    ran = compare("old", "new", "--max-drop", 50, "--junit", "verdict.xml")
    assert ran.code == 3
    assert "2.png: the file has no bytes (empty)" in ran.stderr
    suite = valid(repository, sets / "verdict.xml").find("testsuite")
    assert (suite.get("errors"), suite.get("failures")) == ("1", "0")


def test_stdin_is_one_set_and_not_both(compare: Any, sets: Path) -> None:
    """The second one would be read empty."""
    ran = compare("-", "-")
    assert (ran.code, "OLD and NEW are both stdin" in ran.stderr) == (2, True)


def test_what_cannot_be_compared_is_told_in_a_sentence(compare: Any, sets: Path) -> None:
    (sets / "empty").mkdir()
    (sets / "none.jsonl").write_text("")
    (sets / "bad.jsonl").write_text('{"path": "a"}\n')
    for name, words in (
        ("empty", "empty holds no photographs"),
        ("none.jsonl", "none.jsonl has no rows"),
        ("bad.jsonl", "bad.jsonl: line 1 is not a row of `score`: it lacks 'score'"),
        ("old/b/1.png", "old/b/1.png is a PNG picture, not a file of rows; `dgqa-infer score PHOTOS"),
        ("missing", "missing cannot be read: No such file"),
    ):
        ran = compare("old", name)
        assert (ran.code, words in ran.stderr) == (2, True), ran.stderr
