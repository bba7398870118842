"""`rate` and `pick` after a real run of `score`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dgqa_infer.ratings.xmp import Xmp


@pytest.fixture
def scored(cli: Any, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten grey photographs, one of them broken, and their rows; score = grey / 2.55."""
    monkeypatch.chdir(tmp_path)
    for number in range(10):
        path = tmp_path / "set" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 64), (25 * number,) * 3).save(path)
    (tmp_path / "set" / "a" / "broken.png").write_bytes(b"")
    (tmp_path / "gate.toml").write_text("[[rule]]\nminimum_score = 50\n")
    fixed = ("--model", tiny_bundle, "--device", "cpu", "--workers", 1, "--gate", "gate.toml")
    assert cli("score", "set", *fixed, "-o", "rows.jsonl").code == 1
    return tmp_path


def test_stars_follow_the_scores_and_are_given_once(cli: Any, scored: Path) -> None:
    ran = cli("rate", "rows.jsonl")
    assert ran.code == 0
    stars = {Path(each["path"]).stem: each["stars"] for each in json.loads(ran.stdout)["photographs"]}
    assert [stars[str(number)] for number in range(10)] == [1, 2, 2, 3, 3, 3, 3, 4, 4, 5]
    sidecar = scored / "set" / "b" / "9.png.xmp"
    assert Xmp(sidecar.read_bytes()).rating == "5"
    again = json.loads(cli("rate", "rows.jsonl").stdout)["photographs"]
    assert {each["outcome"] for each in again} == {"unchanged"}


def test_thresholds_and_rejects_are_as_they_are_given(cli: Any, scored: Path) -> None:
    ran = cli("rate", "rows.jsonl", "--thresholds", "20,40,60,80", "--reject-below", 10, "--naming", "stem")
    stars = [each["stars"] for each in json.loads(ran.stdout)["photographs"]]
    # a: 0 2 4 6 8, b: 1 3 5 7 9; scores in steps of 9.8.
    assert stars == [-1, 1, 2, 3, 4, -1, 2, 3, 4, 5]
    assert Xmp((scored / "set" / "a" / "0.xmp").read_bytes()).rating == "-1"


def test_a_photograph_that_changed_since_it_was_scored_is_not_rated(cli: Any, scored: Path) -> None:
    Image.new("RGB", (99, 99), "red").save(scored / "set" / "a" / "4.png")
    ran = cli("rate", "rows.jsonl")
    assert ran.code == 3
    assert "4.png has changed since it was scored, and is not rated" in ran.stderr
    assert not (scored / "set" / "a" / "4.png.xmp").exists()
    assert len(json.loads(ran.stdout)["photographs"]) == 9


def test_rows_that_do_not_name_their_model_are_rated(cli: Any, scored: Path) -> None:
    rows = [json.loads(line) for line in (scored / "rows.jsonl").read_text().splitlines()]
    for row in rows:
        del row["model"]
    (scored / "bare.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert cli("rate", "bare.jsonl").code == 0
    assert Xmp((scored / "set" / "b" / "9.png.xmp").read_bytes()).rating == "5"


def test_a_dry_run_says_all_and_writes_nothing(cli: Any, scored: Path) -> None:
    ran = cli("rate", "rows.jsonl", "--dry-run", "--table")
    assert ran.code == 0
    assert "Would be rated" in ran.stdout.decode()
    assert list(scored.rglob("*.xmp")) == []


def test_photographs_that_are_gone_are_told_and_the_others_rated(cli: Any, scored: Path) -> None:
    (scored / "set" / "a" / "4.png").unlink()
    (scored / "set" / "a" / "6.png.xmp").write_bytes(b"no XMP")
    ran = cli("rate", "rows.jsonl")
    assert ran.code == 3
    assert "set/a/4.png is not there; --photos names the folder" in ran.stderr
    assert "6.png.xmp is left as it is" in ran.stderr
    assert len(json.loads(ran.stdout)["photographs"]) == 8


def test_two_photographs_with_one_sidecar_are_not_both_rated(
    cli: Any, tiny_bundle: Path, scored: Path
) -> None:
    Image.new("RGB", (64, 64)).save(scored / "set" / "a" / "0.jpg")
    fixed = ("--model", tiny_bundle, "--device", "cpu", "--workers", 1)
    cli("score", "set/a/0.png", "set/a/0.jpg", *fixed, "-o", "two.jsonl")
    ran = cli("rate", "two.jsonl", "--naming", "stem")
    assert ran.code == 3
    assert "shares the sidecar" in ran.stderr


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--worst", 3], ["a/0.png", "a/2.png", "b/1.png"]),
        (["--best", 2], ["a/8.png", "b/9.png"]),
        (["--below", 20], ["a/0.png", "a/2.png", "b/1.png"]),
        (["--from", 80, "--best", 1], ["b/9.png"]),
        (["--failed"], ["a/0.png", "a/2.png", "a/4.png", "a/broken.png", "b/1.png", "b/3.png", "b/5.png"]),
        (["--failed", "--worst", 1], ["a/0.png"]),
        (["--passed"], ["a/6.png", "a/8.png", "b/7.png", "b/9.png"]),
    ],
)
def test_photographs_are_picked_as_the_options_say(
    cli: Any, scored: Path, options: list[Any], names: list[str]
) -> None:
    ran = cli("pick", "rows.jsonl", "--into", "into", *options)
    assert ran.code == 0
    there = sorted(str(each.relative_to(scored / "into")) for each in (scored / "into").rglob("*.png"))
    assert there == names
    assert len(list((scored / "set").rglob("*.png"))) == 11


def test_a_move_moves_and_a_dry_run_does_not(cli: Any, scored: Path) -> None:
    fixed = ("pick", "rows.jsonl", "--into", "into", "--worst", 1, "--how", "move")
    assert cli(*fixed, "--dry-run").code == 0
    assert (scored / "set" / "a" / "0.png").exists()
    assert cli(*fixed).code == 0
    assert not (scored / "set" / "a" / "0.png").exists()
    assert (scored / "into" / "a" / "0.png").exists()


def test_what_changed_since_or_is_in_the_way_is_left(cli: Any, scored: Path) -> None:
    with (scored / "set" / "a" / "0.png").open("ab") as file:
        file.write(b"edited")
    (scored / "into" / "b").mkdir(parents=True)
    (scored / "into" / "b" / "1.png").write_bytes(b"mine")
    ran = cli("pick", "rows.jsonl", "--into", "into", "--worst", 3)
    assert ran.code == 3
    assert "0.png has changed since it was scored" in ran.stderr
    assert "1.png is there already, and is not replaced" in ran.stderr
    assert (scored / "into" / "b" / "1.png").read_bytes() == b"mine"


def test_what_changed_and_kept_its_size_is_left_but_a_copy_has_a_time_of_its_own(
    cli: Any, scored: Path
) -> None:
    photo = scored / "set" / "a" / "0.png"
    when = photo.stat().st_mtime + 60
    photo.write_bytes(photo.read_bytes()[::-1])
    os.utime(photo, (when, when))
    ran = cli("pick", "rows.jsonl", "--into", "into", "--worst", 1, "--how", "move")
    assert (ran.code, "0.png has changed since it was scored" in ran.stderr) == (3, True)
    assert photo.exists()
    assert cli("pick", "rows.jsonl", "--into", "into", "--worst", 1, "--photos", scored).code == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "say which: --worst N"),
        (["--worst", 1, "--best", 1], "--worst and --best exclude each other"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    cli: Any, scored: Path, options: list[Any], words: str
) -> None:
    ran = cli("pick", "rows.jsonl", "--into", "into", *options)
    assert (ran.code, words in ran.stderr) == (2, True)


@pytest.mark.parametrize("command", [("rate",), ("pick", "--worst", 1, "--into", "out")])
def test_a_folder_of_photographs_that_is_none_is_told_once(
    cli: Any, scored: Path, command: tuple[Any, ...]
) -> None:
    """Not once for each photograph, as one that is gone from its folder."""
    (scored / "a.txt").write_text("a")
    name, *options = command
    for folder in ("none", "a.txt"):
        ran = cli(name, "rows.jsonl", *options, "--photos", folder)
        assert ran.code == 2
        assert "--photos" in ran.stderr
        assert folder in ran.stderr


def test_a_file_is_no_place_to_pick_into(cli: Any, scored: Path) -> None:
    (scored / "a.txt").write_text("a")
    ran = cli("pick", "rows.jsonl", "--worst", 1, "--into", "a.txt")
    assert (ran.code, "--into a.txt is a file: name a folder" in ran.stderr) == (2, True)
    assert (scored / "a.txt").read_text() == "a"


def test_a_gate_s_verdict_needs_a_gate(cli: Any, scored: Path) -> None:
    rows = [json.loads(line) for line in (scored / "rows.jsonl").read_text().splitlines()]
    for row in rows:
        del row["gate"]
    (scored / "plain.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ran = cli("pick", "plain.jsonl", "--into", "into", "--failed")
    assert (ran.code, "score with --gate first" in ran.stderr) == (2, True)


def test_a_table_is_sorted_and_cut_and_the_gate_written_for_continuous_integration(
    cli: Any, tiny_bundle: Path, scored: Path, repository: Path
) -> None:
    etree = pytest.importorskip("lxml.etree", reason="lxml is not installed")
    fixed = ("--model", tiny_bundle, "--device", "cpu", "--workers", 1)
    ran = cli("score", "set", *fixed, "--worst", 3, "--gate", "gate.toml", "--junit", "gate.xml")
    lines = ran.stdout.decode().splitlines()[1:]
    assert [line.split()[2] for line in lines] == ["set/a/0.png", "set/b/1.png", "set/a/2.png"]
    assert "gate **: FAILED: 7 of 11 failed; 0 % allowed" in ran.stderr
    document = etree.parse("gate.xml")
    etree.XMLSchema(etree.parse(str(repository / "tests/data/junit/JUnit.xsd"))).assertValid(document)
    assert "set/a/broken.png: empty" in document.findtext(".//failure")
    best = cli("score", "set", *fixed, "--sort", "best").stdout.decode().splitlines()[1:]
    assert best[0].split()[2] == "set/b/9.png"
    assert "empty" in best[-1]
    assert len(best) == 11


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-f", "jsonl", "--worst", 3], "--sort and --worst are for the table"),
        (["--worst", 3, "--sort", "best"], "--worst lists the worst first"),
        (["--junit", "x.xml"], "--junit writes the verdict of a gate"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(
    cli: Any, tmp_path: Path, options: list[Any], words: str
) -> None:
    ran = cli("score", tmp_path, *options)
    assert (ran.code, words in ran.stderr) == (2, True)
