"""Photographs in another folder, and none lost or replaced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dgqa_infer.errors import OutputError
from dgqa_infer.outputs.picking import How, place_in, put


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "set" / "a.jpg"
    path.parent.mkdir()
    path.write_bytes(b"picture")
    path.with_name("a.jpg.xmp").write_bytes(b"stars")
    os.utime(path, ns=(1, 1_000_000_007))
    return path


@pytest.mark.parametrize("how", How)
def test_a_photograph_and_its_sidecar_arrive_whole(photo: Path, tmp_path: Path, how: How) -> None:
    target = tmp_path / "into" / "b" / "a.jpg"
    assert put(photo, target, how)
    assert target.read_bytes() == b"picture"
    assert target.with_name("a.jpg.xmp").read_bytes() == b"stars"
    assert target.stat().st_mtime_ns == 1_000_000_007
    assert target.is_symlink() is (how is How.LINK)
    assert photo.exists() is (how is not How.MOVE)


@pytest.mark.parametrize("how", [How.COPY, How.LINK])
def test_what_was_done_before_is_not_done_again(photo: Path, tmp_path: Path, how: How) -> None:
    target = tmp_path / "into" / "a.jpg"
    assert put(photo, target, how)
    assert not put(photo, target, how)


@pytest.mark.parametrize("how", How)
def test_nothing_is_replaced(photo: Path, tmp_path: Path, how: How) -> None:
    target = tmp_path / "into" / "a.jpg"
    target.parent.mkdir()
    target.write_bytes(b"another")
    with pytest.raises(OutputError, match=r"a\.jpg is there already, and is not replaced"):
        put(photo, target, how)
    assert (target.read_bytes(), photo.read_bytes()) == (b"another", b"picture")


def test_moving_between_file_systems_copies_first(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another_device(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", another_device)
    target = tmp_path / "into" / "a.jpg"
    assert put(photo, target, How.MOVE)
    assert target.read_bytes() == b"picture"
    assert not photo.exists()


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("a/b.jpg", "a/b.jpg"),
        ("../../etc/x.jpg", "etc/x.jpg"),
        ("/etc/x.jpg", "etc/x.jpg"),
        ("./x.jpg", "x.jpg"),
    ],
)
def test_no_name_leads_out_of_the_folder(name: str, there: str) -> None:
    assert place_in(Path("into"), name) == Path("into") / there


def test_a_link_that_is_moved_leads_to_the_same_photograph(photo: Path, tmp_path: Path) -> None:
    link, target = tmp_path / "links" / "a.jpg", tmp_path / "picked" / "deeper" / "b.jpg"
    link.parent.mkdir()
    link.symlink_to(os.path.relpath(photo, link.parent))
    before = photo.read_bytes()
    put(link, target, How.MOVE)
    assert target.is_symlink()
    assert target.read_bytes() == before == photo.read_bytes()
    assert not os.path.lexists(link)
