from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dgqa_infer import OutputError
from dgqa_infer.atomic import check_output, whole_file, whole_file_in, write_folder, write_whole
from dgqa_infer.folder import Folder


def test_a_file_appears_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "rows.csv"
    with whole_file(target, overwrite=False) as file:
        file.write(b"half")
        assert not target.exists()
    assert target.read_bytes() == b"half"
    assert list(tmp_path.iterdir()) == [target]


def test_a_writer_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "rows.csv"
    target.write_bytes(b"old")

    def fail() -> None:
        with whole_file(target, overwrite=True) as file:
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
    write_whole(link, b"new", overwrite=True)
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


def test_a_link_to_a_file_that_is_to_be_stays_one(tmp_path: Path) -> None:
    link = tmp_path / "link.csv"
    link.symlink_to("rows.csv")
    write_whole(link, b"rows", overwrite=False)
    assert link.is_symlink()
    assert (tmp_path / "rows.csv").read_bytes() == b"rows"


def test_a_file_is_replaced_only_if_that_is_said(tmp_path: Path) -> None:
    target = tmp_path / "rows.csv"
    target.write_bytes(b"old")
    link = tmp_path / "link.csv"
    link.symlink_to(target)
    for path in (target, link):
        with pytest.raises(OutputError, match=rf"{path.name} is there already.*--overwrite"):
            write_whole(path, b"new", overwrite=False)
        with pytest.raises(OutputError, match="is there already"):
            check_output(path, overwrite=False)
    assert target.read_bytes() == b"old"
    write_whole(target, b"new", overwrite=True)
    assert target.read_bytes() == b"new"


def test_a_file_without_a_byte_has_nothing_to_lose(tmp_path: Path) -> None:
    """As `mktemp` makes them."""
    target = tmp_path / "rows.csv"
    target.touch()
    write_whole(target, b"rows", overwrite=False)
    assert target.read_bytes() == b"rows"


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_appears_meanwhile_is_not_replaced_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """On a file system without hard links too, such as those of memory cards."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    target = tmp_path / "rows.csv"

    def write() -> None:
        with whole_file(target, overwrite=False) as file:
            file.write(b"ours")
            target.write_bytes(b"another's")

    with pytest.raises(OutputError, match="is there already"):
        write()
    assert target.read_bytes() == b"another's"
    assert list(tmp_path.iterdir()) == [target]
    target.unlink()
    write_whole(target, b"ours", overwrite=False)
    assert target.read_bytes() == b"ours"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.timeout(30)
@pytest.mark.parametrize("through_a_link", [False, True])
def test_through_a_pipe_bytes_go_as_they_come(tmp_path: Path, through_a_link: bool) -> None:
    pipe = named = tmp_path / "pipe"
    os.mkfifo(pipe)
    if through_a_link:
        named = tmp_path / "link"
        named.symlink_to(pipe)
    check_output(named, overwrite=False)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        try:
            write_whole(named, b"rows", overwrite=False)
            assert reader.communicate(timeout=20)[0] == b"rows"
        finally:
            reader.kill()
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert sorted(tmp_path.iterdir()) == sorted({pipe, named})


@pytest.fixture
def device(tmp_path: Path) -> Callable[[int], Path]:
    """A twin of a device of the machine, by its minor number: 3 is /dev/null, 7 is /dev/full."""

    def make(minor: int) -> Path:
        path = tmp_path / "device"
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, minor))
            path.open("wb").close()
        except OSError as error:
            pytest.skip(f"devices cannot be made here: {error}")
        return path

    return make


@pytest.mark.timeout(30)
def test_a_device_is_written_to_and_stays_one(device: Callable[[int], Path]) -> None:
    """As root the machine's /dev/null was replaced by a file once."""
    null = device(3)
    write_whole(null, b"rows", overwrite=True)
    assert stat.S_ISCHR(null.stat().st_mode)


@pytest.mark.timeout(30)
def test_a_device_that_is_full_says_so(device: Callable[[int], Path]) -> None:
    full = device(7)
    with pytest.raises(OutputError, match="device cannot be written: No space left on device"):
        write_whole(full, b"rows", overwrite=True)
    assert stat.S_ISCHR(full.stat().st_mode)


def test_what_is_neither_file_nor_stream_is_left_alone(tmp_path: Path) -> None:
    folder, here = tmp_path / "folder", tmp_path / "socket"
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(here))
        for path, kind in ((folder, "a folder"), (here, "a socket")):
            with pytest.raises(OutputError, match=f"is {kind}, not a file, and is left alone"):
                write_whole(path, b"rows", overwrite=True)
    assert stat.S_ISSOCK(here.stat().st_mode)
    assert list(folder.iterdir()) == []


def test_a_disk_is_left_alone(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    try:
        # A number that no driver has: nothing could be written even if it was tried.
        os.mknod(disk, stat.S_IFBLK | 0o600, os.makedev(0, 0))
    except OSError as error:
        pytest.skip(f"devices cannot be made here: {error}")
    with pytest.raises(OutputError, match="is a disk, not a file, and is left alone"):
        write_whole(disk, b"rows", overwrite=True)
    assert stat.S_ISBLK(disk.stat().st_mode)


def test_a_file_keeps_its_mode_and_a_private_one_is_private(tmp_path: Path) -> None:
    target = tmp_path / "rows.csv"
    target.write_bytes(b"old")
    target.chmod(0o640)
    write_whole(target, b"new", overwrite=True)
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    write_whole(target, b"new", overwrite=True, mode=0o600)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_an_error_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"missing/rows\.csv cannot be written: No such file or directory"):
        write_whole(tmp_path / "missing" / "rows.csv", b"rows", overwrite=False)


def test_a_folder_takes_another_s_place_with_all_its_files(tmp_path: Path) -> None:
    target = tmp_path / "model"
    write_folder(target, {"card.json": b"{}", "1/model.onnx": b"old"})
    write_folder(target, {"1/model.onnx": b"new"})
    found = {
        str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    }
    assert found == {"model/1/model.onnx": b"new"}


def test_a_link_to_a_folder_stays_one(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "model"
    write_folder(real, {"card.json": b"old"})
    link.symlink_to(real)
    write_folder(link, {"card.json": b"new"})
    assert link.is_symlink()
    assert (real / "card.json").read_bytes() == b"new"


def test_in_a_folder_that_is_open_no_link_is_followed(tmp_path: Path) -> None:
    elsewhere, link = tmp_path / "elsewhere", tmp_path / "link"
    elsewhere.write_bytes(b"theirs")
    link.symlink_to(elsewhere)
    with Folder(tmp_path) as folder, whole_file_in(folder, "link", overwrite=True) as file:
        file.write(b"ours")
    assert elsewhere.read_bytes() == b"theirs"
    assert not link.is_symlink()
    assert link.read_bytes() == b"ours"


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("letter", ["a", "é", "漢", "😀", "\udce9"])
def test_a_name_may_be_as_long_as_names_may_be(tmp_path: Path, letter: str) -> None:
    # NAME_MAX is in bytes, of which a letter has up to four.
    name = letter * (255 // len(os.fsencode(letter)))
    write_whole(tmp_path / name, b"rows", overwrite=False)
    write_whole(tmp_path / name, b"more", overwrite=True)
    assert names_in(tmp_path) == [name]
    assert (tmp_path / name).read_bytes() == b"more"
    folder = tmp_path / f"{name[:-1]}_"
    for content in (b"1", b"2"):
        write_folder(folder, {"card.json": content})
    assert (folder / "card.json").read_bytes() == b"2"
    assert names_in(tmp_path) == sorted([name, folder.name])


_MOUNTED = """
mount --bind "$1/outside" "$1/rows.csv" && exec "$2" -c '
import sys
from pathlib import Path
from dgqa_infer.atomic import write_whole
target = Path(sys.argv[1], "rows.csv")
write_whole(target, b"rows", overwrite=False)
write_whole(target, b"row", overwrite=True)
' "$1"
"""


def test_a_single_file_that_is_mounted_is_filled(tmp_path: Path) -> None:
    # As `docker run -v` mounts one: no other file can take its place.
    for name in ("outside", "rows.csv"):
        (tmp_path / name).touch()
    script = ["bash", "-c", _MOUNTED, "-", str(tmp_path), sys.executable]
    apart = ["unshare", "--mount", "--map-root-user"]
    if subprocess.run([*apart, "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs a mount namespace of its own")
    subprocess.run([*apart, *script], check=True)
    assert (tmp_path / "outside").read_bytes() == b"row"
    assert names_in(tmp_path) == ["outside", "rows.csv"]


_FULL = """
mount -t tmpfs -o size=8k none "$1/small" && head -c 4096 /dev/zero > "$1/small/rows.csv" &&
mount --bind "$1/small/rows.csv" "$1/rows.csv" && "$2" -c '
import sys
from pathlib import Path
from dgqa_infer.atomic import write_whole
write_whole(Path(sys.argv[1], "rows.csv"), bytes(20_000), overwrite=True)
' "$1"; cmp "$1/small/rows.csv" <(head -c 4096 /dev/zero) && ls -A "$1"
"""


def test_a_mounted_file_without_room_stays_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").touch()
    (tmp_path / "small").mkdir()
    apart = ["unshare", "--mount", "--map-root-user"]
    if subprocess.run([*apart, "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs a mount namespace of its own")
    ended = subprocess.run(
        [*apart, "bash", "-c", _FULL, "-", str(tmp_path), sys.executable],
        check=False,
        capture_output=True,
        text=True,
    )
    assert "rows.csv cannot be written: No space left on device" in ended.stderr
    assert (ended.returncode, ended.stdout.split()) == (0, ["rows.csv", "small"])
