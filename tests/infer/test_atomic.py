from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from dgqa_infer import OutputError
from dgqa_infer.atomic import whole_file, write_folder, write_whole


def test_a_file_appears_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "rows.csv"
    with whole_file(target) as file:
        file.write(b"half")
        assert not target.exists()
    assert target.read_bytes() == b"half"
    assert list(tmp_path.iterdir()) == [target]


def test_a_writer_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "rows.csv"
    target.write_bytes(b"old")

    def fail() -> None:
        with whole_file(target) as file:
            file.write(b"new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_is_followed_and_stays_one(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    real, link = tmp_path / "elsewhere" / "real.csv", tmp_path / "rows.csv"
    real.write_bytes(b"old")
    link.symlink_to(real)
    write_whole(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


@pytest.mark.parametrize("through_a_link", [False, True])
def test_what_is_no_regular_file_is_never_replaced(tmp_path: Path, through_a_link: bool) -> None:
    """A pipe stands for all of them; as root the machine's /dev/null was replaced by a file once."""
    pipe = named = tmp_path / "pipe"
    os.mkfifo(pipe)
    if through_a_link:
        named = tmp_path / "link"
        named.symlink_to(pipe)
    with pytest.raises(OutputError, match="is not a regular file and is left alone"):
        write_whole(named, b"rows")
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_file_keeps_its_mode_and_a_private_one_is_private(tmp_path: Path) -> None:
    target = tmp_path / "rows.csv"
    target.write_bytes(b"old")
    target.chmod(0o640)
    write_whole(target, b"new")
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    write_whole(target, b"new", mode=0o600)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_an_error_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"missing/rows\.csv cannot be written: No such file or directory"):
        write_whole(tmp_path / "missing" / "rows.csv", b"rows")


def test_a_folder_takes_another_s_place_with_all_its_files(tmp_path: Path) -> None:
    target = tmp_path / "model"
    write_folder(target, {"card.json": b"{}", "1/model.onnx": b"old"})
    write_folder(target, {"1/model.onnx": b"new"})
    found = {
        str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    }
    assert found == {"model/1/model.onnx": b"new"}
