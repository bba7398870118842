"""`dgqa-infer score --resume`: what is done again, what is not, and what cannot be continued."""

from __future__ import annotations

import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dgqa_infer.inputs import remote
from dgqa_infer.inputs.archive_listing import list_archive
from dgqa_infer.outputs.reader import read_rows


@pytest.fixture
def score(cli: Any, tiny_bundle: Path) -> Any:
    def run(*arguments: object) -> Any:
        return cli("score", "--model", tiny_bundle, "--device", "cpu", "--workers", 1, *arguments)

    return run


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Three even photographs."""
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path in paths:
        Image.new("L", (64, 64), 51).save(path)
    return paths


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def failed(output: Path, code: str) -> None:
    """Make the second row that of a failure, as this very run would have written it."""
    rows = rows_of(output)
    good, bad = rows[1], rows[-1]
    error = {"code": code, "message": "x", "setup": bad["error"]["setup"]}
    rows[1] = {name: good[name] for name in ("path", "model", "size", "mtime")} | {"error": error}
    output.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def output(score: Any, photos: list[Path], tmp_path: Path) -> Path:
    """The rows of three photographs, and of one that is not there and whose row says how it was scored."""
    path = tmp_path / "rows.jsonl"
    score(*photos, tmp_path / "none.jpg", "-o", path)
    return path


@pytest.mark.parametrize("code", ["unreadable", "timed_out", "crashed"])
def test_what_may_have_passed_is_tried_again(
    score: Any, photos: list[Path], output: Path, tmp_path: Path, code: str
) -> None:
    failed(output, code)
    ran = score(*photos, tmp_path / "none.jpg", "-o", output, "--resume")
    assert ran.stderr.startswith("1 scored in ")
    assert "3 done by an earlier run, 1 of them without a score" in ran.stderr
    assert [Path(row["path"]).name for row in rows_of(output)] == ["0.png", "1.png", "2.png", "none.jpg"]
    assert "score" in rows_of(output)[1]


def test_what_would_fail_again_is_not_tried_again_unless_asked_for(
    score: Any, photos: list[Path], output: Path
) -> None:
    failed(output, "corrupt")
    assert "3 done by an earlier run" in score(*photos, "-o", output, "--resume").stderr
    ran = score(*photos, "-o", output, "--resume", "--retry-failed")
    assert ran.stderr.startswith("1 scored in ")
    assert "score" in rows_of(output)[1]


def test_failures_are_kept_if_asked_for(score: Any, photos: list[Path], output: Path) -> None:
    failed(output, "unreadable")
    ran = score(*photos, "-o", output, "--resume", "--keep-failed", "--limit-pixels", "1MP")
    assert "3 done by an earlier run, 1 of them without a score" in ran.stderr


@pytest.mark.parametrize("options", [("--limit-pixels", "5000p"), ("--strict",), ("--limit-memory", "5GB")])
def test_what_failed_under_other_limits_or_options_is_tried_again(
    score: Any, photos: list[Path], tmp_path: Path, options: tuple[str, ...]
) -> None:
    output = tmp_path / "limited.jsonl"
    limited = score(*photos, "-o", output, "--limit-pixels", "100p")
    assert {row["error"]["code"] for row in rows_of(output)} == {"too_large"}
    assert limited.code == 4
    same = score(*photos, "-o", output, "--resume", "--limit-pixels", "100p")
    assert "3 done by an earlier run" in same.stderr
    assert score(*photos, "-o", output, "--resume", *options).stderr.startswith("3 scored in ")
    assert all("score" in row for row in rows_of(output))


def test_what_failed_with_other_extras_is_tried_again(
    score: Any, photos: list[Path], output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed(output, "unsupported")
    monkeypatch.setattr("dgqa_infer.setup.version", lambda name: "1.0")
    assert score(*photos, "-o", output, "--resume").stderr.startswith("1 scored in ")


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "report.html"])
def test_a_complete_table_is_not_begun_anew_by_resuming(
    score: Any, photos: list[Path], tmp_path: Path, name: str
) -> None:
    output = tmp_path / name
    assert score(photos[0], "-o", output, "--resume").code == 0
    before = output.read_bytes()
    ran = score(*photos, "-o", output, "--resume")
    assert ran.code == 2
    assert f"{name} is complete, and --resume continues only what is not" in ran.stderr
    assert output.read_bytes() == before


@pytest.mark.parametrize("option", ["--retry-failed", "--keep-failed"])
def test_what_to_do_with_failures_is_a_question_of_resuming(
    score: Any, photos: list[Path], tmp_path: Path, option: str
) -> None:
    ran = score(*photos, "-o", tmp_path / "rows.jsonl", option)
    assert (ran.code, "are for --resume" in ran.stderr) == (2, True)


def test_a_member_of_an_archive_that_changed_and_kept_its_size_is_scored_again(
    score: Any, tmp_path: Path
) -> None:
    archive, output = tmp_path / "a.zip", tmp_path / "rows.jsonl"
    for day, shade in ((1, 0), (2, 255)):
        Image.new("L", (64, 64), shade).save(tmp_path / "a.bmp")
        with zipfile.ZipFile(archive, "w") as file:
            for name, date in (("a.bmp", day), ("b.bmp", 1)):
                member = zipfile.ZipInfo(name, (2024, 1, date, 0, 0, 0))
                file.writestr(member, (tmp_path / "a.bmp").read_bytes())
        ran = score(archive, "-o", output, "--resume")
    assert ran.stderr.startswith("1 scored in ")
    assert "1 done by an earlier run" in ran.stderr
    assert [row["path"] for row in rows_of(output)] == [f"zip://{name}.bmp::{archive}" for name in "ab"]


def test_a_damaged_archive_is_listed_once_on_resuming_and_keeps_its_row(
    score: Any, photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, output = tmp_path / "a.tar", tmp_path / "rows.jsonl"
    with tarfile.open(archive, "w") as file:
        for photo in photos:
            file.add(photo, photo.name)
    data = bytearray(archive.read_bytes())
    second = data.index(b"1.png")
    data[second : second + 512] = bytes(512)
    archive.write_bytes(data)
    assert score(archive, "-o", output).code == 3
    rows = output.read_bytes()
    assert [row["path"] for row in rows_of(output)] == [
        *(f"tar://{name}::{archive}" for name in ("0.png", "2.png", "")),
    ]
    listed = []

    def counting(*arguments: Any, **options: Any) -> Any:
        listed.append(arguments)
        return list_archive(*arguments, **options)

    monkeypatch.setattr(remote, "list_archive", counting)
    ran = score(archive, "-o", output, "--resume")
    assert "3 done by an earlier run, 1 of them without a score" in ran.stderr
    assert output.read_bytes() == rows
    assert len(listed) == 1


@pytest.mark.parametrize(
    ("before", "asked", "keys"),
    [
        ((), ("--explain",), {"distortions", "attributes"}),
        ((), ("--explain=all",), {"distortions", "attributes", "probabilities"}),
        (("--explain",), ("--explain=all",), {"distortions", "attributes", "probabilities"}),
    ],
)
def test_what_lacks_an_explanation_that_is_asked_for_is_scored_again(
    score: Any, photos: list[Path], tmp_path: Path, before: Any, asked: Any, keys: set[str]
) -> None:
    output = tmp_path / "rows.jsonl"
    score(*photos[:2], "-o", output, *before)
    ran = score(*photos, "-o", output, "--resume", *asked)
    assert ran.stderr.startswith("3 scored in ")
    assert [row["path"] for row in rows_of(output)] == list(map(str, photos))
    assert all(keys <= set(row) for row in rows_of(output))
    # What holds more than is asked for is done.
    for less in (asked, ("--explain",), ()):
        rows = output.read_bytes()
        assert "3 done by an earlier run" in score(*photos, "-o", output, "--resume", *less).stderr
        assert output.read_bytes() == rows


def test_a_gate_on_distortions_asks_for_explanations(
    score: Any, photos: list[Path], tmp_path: Path, output: Path
) -> None:
    gate = tmp_path / "gate.toml"
    gate.write_text('[[rule]]\nforbidden = { "red eyes" = 0.5 }')
    assert score(*photos, "-o", output, "--resume", "--gate", gate).stderr.startswith("3 scored in ")
    assert all("distortions" in row for row in rows_of(output) if "score" in row)


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "report.html"])
def test_a_table_that_is_continued_holds_what_is_asked_for(
    score: Any, photos: list[Path], tmp_path: Path, name: str
) -> None:
    table = tmp_path / name
    # What an interrupted run leaves beside its table: here of two photographs of three.
    score(*photos[:2], "-o", tmp_path / "rows.jsonl")
    (tmp_path / "rows.jsonl").rename(table.with_name(f"{name}.rows.jsonl"))
    ran = score(*photos, "-o", table, "--resume", "--explain")
    assert ran.stderr.startswith("3 scored in ")
    if name != "report.html":
        rows = list(read_rows(str(table)))
        assert [row["path"] for _, row in rows] == list(map(str, photos))
        assert all({"distortions", "attributes"} <= set(row) for _, row in rows)


def test_a_photograph_whose_map_is_not_there_is_scored_again(
    score: Any, photos: list[Path], output: Path, tmp_path: Path
) -> None:
    maps = tmp_path / "maps"
    assert score(*photos, "-o", output, "--resume", "--maps", maps).stderr.startswith("3 scored in ")
    pictures = sorted(maps.rglob("*.png"))
    assert len(pictures) == 3
    again = score(*photos, "-o", output, "--resume", "--maps", maps)
    assert "3 done by an earlier run" in again.stderr
    pictures[1].unlink()
    # Another's picture of the same name is no map, and stays.
    pictures[2].write_bytes(photos[0].read_bytes())
    assert score(*photos, "-o", output, "--resume", "--maps", maps).stderr.startswith("2 scored in ")
    assert pictures[1].exists()
    assert pictures[2].read_bytes() == photos[0].read_bytes()
    assert len(rows_of(output)) == 4
    # It has its place beside the other's, and is found there.
    assert "3 done by an earlier run" in score(*photos, "-o", output, "--resume", "--maps", maps).stderr


def test_what_is_refused_strictly_is_not_kept_because_it_was_once_scored(score: Any, tmp_path: Path) -> None:
    pytest.importorskip("simplejpeg")
    noise = np.random.default_rng(0).normal(128, 60, (256, 256)).clip(0, 255).astype(np.uint8)
    sound, damaged, output = tmp_path / "a.jpg", tmp_path / "b.jpg", tmp_path / "rows.jsonl"
    Image.fromarray(noise).convert("RGB").save(sound, quality=90)
    data = bytearray(sound.read_bytes())
    for offset in range(data.index(b"\xff\xda") + 2020, len(data) - 1000, 997):
        data[offset] = 0x55
    damaged.write_bytes(data)
    score(sound, damaged, "-o", output)
    assert [row["warnings"] for row in rows_of(output)] == [[], ["jpeg_corrupt_data"]]
    ran = score(sound, damaged, "-o", output, "--resume", "--strict")
    assert ran.stderr.startswith("0 scored, 1 failed (1 corrupt) in ")
    assert "1 done by an earlier run" in ran.stderr
    assert [row.get("error", {}).get("code") for row in rows_of(output)] == [None, "corrupt"]
    # And the other way round.
    score(sound, damaged, "-o", output, "--resume")
    assert ["score" in row for row in rows_of(output)] == [True, True]
