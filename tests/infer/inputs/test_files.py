"""Files that cannot be read, or not trusted."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dgqa_infer.errors import ImageError
from dgqa_infer.images.decode import DecodeLimits, decode
from dgqa_infer.inputs import files
from dgqa_infer.inputs.files import read_file

LIMITS = DecodeLimits()


def photo() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG")
    return file.getvalue()


def error_of(path: str) -> ImageError:
    with pytest.raises(ImageError) as caught:
        decode(path)
    return caught.value


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    codes = {
        name: error_of(str(tmp_path / name)).code
        for name in (
            "pipe.jpg",
            "empty.jpg",
            "folder.jpg",
            "loop.jpg",
            "none.jpg",
            "empty.jpg/x",
            "a\0b",
            "x" * 300,
        )
    }
    assert codes == {
        "pipe.jpg": "unreadable",
        "empty.jpg": "empty",
        "folder.jpg": "unreadable",
        "loop.jpg": "unreadable",
        "none.jpg": "not_found",
        "empty.jpg/x": "not_found",
        "a\0b": "not_found",
        "x" * 300: "not_found",
    }


def test_the_empty_name_is_not_the_current_folder() -> None:
    assert error_of("").code == "not_found"


@pytest.mark.skipif(
    not Path("/proc/self/mem").exists(), reason="needs Linux's /proc for a file whose reading fails"
)
def test_an_error_of_the_disk_is_an_unreadable_file() -> None:
    # Reading address 0 of this process fails with EIO, as a bad sector does.
    error = error_of("/proc/self/mem")
    assert error.code == "unreadable"
    assert "Input/output error" in error.message


def test_a_file_that_is_forbidden_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "secret.jpg"
    path.write_bytes(photo())
    path.chmod(0)
    user = os.geteuid()
    if user == 0:
        # Nothing is forbidden to root, so be nobody for a moment.
        os.seteuid(65534)
    try:
        error = error_of(str(path))
    finally:
        os.seteuid(user)
    assert (error.code, error.message) == ("unreadable", "Permission denied")


@pytest.mark.parametrize("change", [b"more", None])
def test_a_file_that_changes_while_it_is_read_has_no_score(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: bytes | None
) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(photo())
    read_all = files._read_all

    def slowly(file: Any, size: int) -> bytes:
        data: bytes = read_all(file, size)
        with path.open("ab") as other:
            other.write(change) if change else other.truncate(10)
        return data

    monkeypatch.setattr(files, "_read_all", slowly)
    error = error_of(str(path))
    assert (error.code, error.message) == ("unreadable", "the file changed while it was read")


def test_a_file_of_size_zero_that_has_bytes_is_not_trusted() -> None:
    path = Path("/proc/self/status")
    if not path.exists():
        pytest.skip("needs Linux's /proc for a file that says it is empty and is not")
    assert error_of(str(path)).code == "unreadable"


def test_size_and_time_of_the_file_that_was_read_are_known(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(photo())
    os.utime(path, ns=(0, 1_700_000_000_123_456_789))
    file = read_file(path, LIMITS.file_bytes)
    assert (file.size, file.mtime) == (path.stat().st_size, 1_700_000_000.123457)
    assert files.file_status(str(path)) == (file.size, file.mtime)
    assert files.file_status(str(tmp_path / "none")) == (None, None)
