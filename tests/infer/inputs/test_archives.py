"""Archives of every sort, listed in a process with limits and read in their own order."""

from __future__ import annotations

import io
import stat
import struct
import tarfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dgqa_infer.errors import ImageError
from dgqa_infer.inputs import archive_listing, archives, remote, tars, zips
from dgqa_infer.inputs.archives import Archive
from dgqa_infer.inputs.files import file_status, read_file
from dgqa_infer.inputs.finder import InputFinder

NAMES = [
    "b.jpg",
    "a//d.jpg",
    "/abs.jpg",
    "a::b.jpg",
    "./c.jpg",
    "../up.jpg",
    "b.jpg",
    "b.jpg",
    "deep/er/e.jpg",
]
KEYS = ["b.jpg", "a//d.jpg", "/abs.jpg", "a::b.jpg", "./c.jpg", "../up.jpg", "b#2.jpg", "b#3.jpg"]
KEYS += ["deep/er/e.jpg"]


def content(index: int) -> bytes:
    return b"\xff\xd8\xff" + bytes([index]) * 50


def write_tar(path: Path, mode: str) -> None:
    with tarfile.open(path, mode) as file:  # type: ignore[call-overload]
        for index, name in enumerate(NAMES):
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content(index)), 1000 + index
            file.addfile(member, io.BytesIO(content(index)))


@pytest.fixture(params=["x.zip", "x.tar", "x.tgz", "x.tar.gz", "x.tar.bz2", "x.txz"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / request.param
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for index, name in enumerate(NAMES):
                file.writestr(name, content(index))
    else:
        write_tar(path, {".tar": "w", ".bz2": "w:bz2", ".txz": "w:xz"}.get(path.suffix, "w:gz"))
    return path


def found(path: object, finder: InputFinder | None = None) -> list[Any]:
    return list((finder or InputFinder()).find([str(path)]))


def test_each_member_is_found_and_read_by_its_own_name_whatever_that_is(archive: Path) -> None:
    scheme = "zip" if archive.suffix == ".zip" else "tar"
    addresses = [f"{scheme}://{key}::{archive}" for key in KEYS]
    listed = found(archive)
    assert listed == (sorted(addresses) if scheme == "zip" else addresses)
    for order in (addresses, addresses[::-1]):
        for address in order:
            file = read_file(address, 1000)
            assert file.data == content(KEYS.index(address[6:].rpartition("::")[0]))
            assert file_status(address) == (file.size, file.mtime)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In another time zone, which must not matter."""
    monkeypatch.setenv("TZ", "NZST-12")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


WHEN = datetime(2024, 2, 1, 10, 30, 2, tzinfo=UTC).timestamp()
# Info-ZIP's field of times: that only the last change is given, and it, in seconds since 1970.
UNIX_TIME = struct.pack("<HHBi", 0x5455, 5, 1, 1_700_000_000)


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("date", "extra", "mtime"),
    [
        ((2024, 2, 1, 10, 30, 2), b"", WHEN),
        ((2024, 2, 1, 10, 30, 2), struct.pack("<HHH", 0xCAFE, 2, 0) + UNIX_TIME, 1_700_000_000.0),
        ((1980, 1, 1, 0, 0, 0), b"", None),
        ((1980, 0, 0, 0, 0, 0), b"", None),
    ],
    ids=["local", "UTC", "none", "no day"],
)
def test_a_member_of_a_zip_has_the_time_of_its_last_change(
    tmp_path: Path, date: Any, extra: bytes, mtime: float | None
) -> None:
    info = zipfile.ZipInfo("a.jpg", date)
    info.extra = extra
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.writestr(info, content(0))
    (address,) = found(tmp_path / "x.zip")
    assert file_status(address)[1] == read_file(address, 1000).mtime == mtime


def test_a_tar_is_read_once_when_its_members_are_read_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.tgz"
    write_tar(path, "w:gz")
    opened: Counter[str] = Counter()
    open_tar = archives.ScanningTarFile

    def counting(file: Any) -> tarfile.TarFile:
        opened["times"] += 1
        return open_tar(file)

    monkeypatch.setattr(archives, "ScanningTarFile", counting)
    remote._archive.cache_clear()
    for address in found(path):
        read_file(address, 1000)
    assert opened["times"] == 1


def test_devices_and_links_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as file:
        for number, kind in enumerate((tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.SYMTYPE)):
            member = tarfile.TarInfo(f"{number}.jpg")
            member.type, member.linkname = kind, "/etc/passwd"
            file.addfile(member)
    finder = InputFinder()
    assert found(path, finder) == []
    assert finder.passed_over == {"special": 3, "symlink": 1}
    linked = zipfile.ZipInfo("link.jpg")
    linked.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        packed.writestr(linked, "/etc/passwd")
    finder = InputFinder()
    assert found(tmp_path / "x.zip", finder) == []
    assert finder.passed_over == {"symlink": 1}


def test_the_other_halves_that_a_mac_packs_are_passed_over(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        for name in ("a.jpg", "__MACOSX/._a.jpg", "._b.jpg", "@eaDir/a.jpg"):
            file.writestr(name, content(0))
    finder = InputFinder()
    assert found(tmp_path / "x.zip", finder) == [f"zip://a.jpg::{tmp_path}/x.zip"]
    assert finder.passed_over == {"excluded": 3}


def test_a_zip_with_a_directory_without_end_is_one_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as file:
        for number in range(300):
            file.writestr(f"{number}.jpg", b"")
    monkeypatch.setattr(zips, "_MAX_DIRECTORY_BYTES", 1000)
    with pytest.raises(ImageError) as error:
        list(Archive("zip", lambda: path.open("rb")).members())
    assert error.value.code == "too_large"


def test_a_tar_that_unpacks_without_end_is_listed_up_to_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.tgz"
    with tarfile.open(path, "w:gz") as file:
        for name, size in (("a.jpg", 10), ("zeros.jpg", 3_000_000), ("b.jpg", 10)):
            member = tarfile.TarInfo(name)
            member.size = size
            file.addfile(member, io.BytesIO(bytes(size)))
    monkeypatch.setattr(tars, "_FREE_BYTES", 100_000)
    members = Archive("tar", lambda: path.open("rb")).members()
    assert next(members).key == "a.jpg"
    with pytest.raises(ImageError) as error:
        list(members)
    assert error.value.code == "too_large"


def test_a_listing_that_takes_too_much_or_says_nothing_is_ended(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_listing, "_BOOTSTRAP", "import os; os.abort()")
    (error,) = found(archive)
    assert error.code == "too_large"
    monkeypatch.setattr(archive_listing, "_BOOTSTRAP", "import time; time.sleep(60)")
    monkeypatch.setattr(archive_listing, "_PATIENCE_SECONDS", 0.3)
    (error,) = found(archive)
    assert (error.code, "said nothing" in error.message) == ("unreadable", True)


@pytest.mark.parametrize(
    "address",
    [
        "zip://a.jpg::simplecache::file:///etc/passwd",
        "zip://a.jpg::zip://b.zip::c.zip",
        "s3://b/a::file:///etc",
    ],
)
def test_every_link_of_a_chain_is_checked(address: str) -> None:
    with pytest.raises(ImageError) as error:
        read_file(address, 1000)
    assert error.value.code in ("unsupported", "not_found")
    (listed,) = InputFinder().find([address])
    assert isinstance(listed, ImageError)
