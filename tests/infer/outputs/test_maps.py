"""Pictures of quality maps: where they go, and that a run writes one for every score."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from dgqa_infer.bundle.card import Calibration
from dgqa_infer.outputs.maps import MapFolder, place
from dgqa_infer.pipeline.predictor import Outcome
from dgqa_infer.quality_map import QualityMap
from dgqa_infer.results import Failure, Score

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
paths = st.lists(st.one_of(names, st.sampled_from(["a", "..", ".", "", "a.png", "x" * 255])), min_size=1).map(
    "/".join
)

TENTHS = Calibration((0.0, 10.0), (0.0, 100.0))


def outcome(path: str) -> Outcome[Any]:
    found = QualityMap(np.full((1, 1, 1), 5, np.float32), ((0, 0, 1, 1),))
    score = Score(path, 50, 5, 0, 8, 6, (), "tiny@0", quality_map=found)
    return Outcome(score, 1, 1.0, np.full((6, 8, 3), 90, np.uint8))


def test_a_relative_path_is_mirrored() -> None:
    assert place("a/b/c.jpg") == Path("a/b/c.jpg.png")
    assert place("c.jpg") == Path("c.jpg.png")


@pytest.mark.parametrize(
    "path", ["/etc/a.jpg", "../a.jpg", "./a.jpg", "a//b.jpg", "https://host/a.jpg", "a/../b.jpg", "x" * 252]
)
def test_any_other_path_has_a_hash_in_its_name(path: str) -> None:
    found = place(path)
    assert not found.is_absolute()
    assert ".." not in found.parts
    assert len(found.name) <= 255
    assert found != place(path + "x")


@settings(max_examples=50, deadline=None)
@given(paths, paths)
@example("a.jpg", "./a.jpg")
@example("/a/b.jpg", "a/b.jpg")
@example("a/../b", "b")
@example("x" * 255, "x" * 254)
def test_no_two_photographs_share_a_picture_and_none_leaves_the_folder(one: str, two: str) -> None:
    for path in (one, two):
        found = place(path)
        assert not found.is_absolute()
        assert ".." not in found.parts
        assert all(len(os.fsencode(part)) <= 255 for part in found.parts)
    assert (place(one) == place(two)) == (one == two)


@pytest.mark.parametrize(
    "path", ["a/b.jpg", "/a/b.jpg", "<b>.jpg", "caf\udce9.jpg", "line\nfeed.jpg", "é" * 127, "https://h/?a=b"]
)
def test_a_picture_is_written_for_any_name(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "maps"
    written = MapFolder(folder, TENTHS).write(outcome(path))
    assert written is not None
    assert folder in written.parents
    with Image.open(os.fsencode(written)) as picture:  # type: ignore[arg-type]
        assert picture.format == "PNG"
    assert not list(folder.rglob(".*"))


def test_a_folder_with_the_name_of_a_picture_costs_neither_its_own(tmp_path: Path) -> None:
    maps = MapFolder(tmp_path, TENTHS)
    written = [maps.write(outcome(path)) for path in ("a", "a.png/b.jpg", "c.png/d", "c")]
    assert len({path for path in written if path is not None and path.is_file()}) == 4


@pytest.mark.parametrize("path", ["a/b.jpg", "a/c/b.jpg"])
def test_no_link_within_the_folder_is_followed(tmp_path: Path, path: str) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "maps"
    (elsewhere / "c").mkdir(parents=True)
    folder.mkdir()
    (folder / "a").symlink_to(elsewhere)
    written = MapFolder(folder, TENTHS).write(outcome(path))
    assert written is not None
    assert written.parent == folder
    assert written.is_file()
    assert list(elsewhere.rglob("*.png")) == []


def test_a_picture_that_is_a_link_or_another_s_is_left_alone(tmp_path: Path) -> None:
    theirs, folder = tmp_path / "theirs.png", tmp_path / "maps"
    folder.mkdir()
    theirs.write_bytes(b"theirs")
    (folder / "a.jpg.png").symlink_to(theirs)
    (folder / "b.jpg.png").write_bytes(b"theirs")
    os.mkfifo(folder / "c.jpg.png")
    maps = MapFolder(folder, TENTHS)
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        written = maps.write(outcome(name))
        assert written is not None
        assert written.is_file()
        assert written.name != f"{name}.png"
    assert theirs.read_bytes() == (folder / "b.jpg.png").read_bytes() == b"theirs"
    assert (folder / "a.jpg.png").is_symlink()


def test_a_picture_of_an_earlier_run_is_replaced_and_the_folder_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "maps").symlink_to("real")
    maps = MapFolder(tmp_path / "maps", TENTHS)
    assert maps.write(outcome("a/b.jpg")) == maps.write(outcome("a/b.jpg")) == tmp_path / "maps/a/b.jpg.png"
    assert [path.name for path in (tmp_path / "real").rglob("*.png")] == ["b.jpg.png"]


def test_what_has_no_score_has_no_picture(tmp_path: Path) -> None:
    failed = Outcome(Failure("a.jpg", "empty", "no bytes", "tiny@0"), 0, 1.0)
    assert MapFolder(tmp_path, TENTHS).write(failed) is None
    assert list(tmp_path.iterdir()) == []


def test_a_run_writes_a_picture_for_every_score(
    cli: Any, tiny_bundle: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (photos / "a" / "bad.jpg").touch()
    ran = cli(
        *("score", "photos", "--model", tiny_bundle, "--device", "cpu", "--workers", 2, "--maps", "maps"),
        *("--batch-size", 2),
    )
    assert ran.code == 3
    scored = {row["path"] for row in ran.rows if "score" in row}
    found = {str(path.relative_to("maps")) for path in Path("maps").rglob("*.png")}
    assert found == {f"{path}.png" for path in scored}
    assert len(found) == 9
    for path in scored:
        with Image.open(f"maps/{path}.png") as picture, Image.open(path) as photograph:
            # Small photographs are shown as they are, dimmed and tinted; below them is the legend.
            assert picture.height == photograph.height + 64


def test_a_folder_that_cannot_be_made_is_told_before_any_work(
    cli: Any, tiny_bundle: Path, photos: Path
) -> None:
    ran = cli("score", photos, "--model", tiny_bundle, "--maps", photos / "none" / "maps")
    assert ran.code == 2
    assert "none/maps cannot be made: No such file or directory" in ran.stderr
    assert ran.stdout == b""
