"""Tars with damage: each sound member has its row, and one row says where others are missing."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dgqa_infer.errors import ImageError
from dgqa_infer.inputs import archive_listing, remote, tars
from dgqa_infer.inputs.files import read_file
from dgqa_infer.inputs.finder import InputFinder

NAMES = [f"{letter}.jpg" for letter in "abcdef"]
BLOCK = 512
SIZE = 3000  # of each member, which takes six blocks and one for its header
STEP = 7 * BLOCK


def content(name: str) -> bytes:
    return (b"\xff\xd8\xff" + name.encode() * SIZE)[:SIZE]


def packed(names: list[str], format: int = tarfile.USTAR_FORMAT) -> bytearray:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format) as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = SIZE
            tar.addfile(member, io.BytesIO(content(name)))
    return bytearray(file.getvalue())


@pytest.fixture(autouse=True)
def nothing_is_kept_open() -> Iterator[None]:
    yield
    remote._archive.cache_clear()


def found(path: Path) -> tuple[list[str], str, str]:
    """Names of the members, each of which is read and is what it was; the archive's own code and message."""
    names, code, message = [], "", ""
    for each in InputFinder().find([str(path)]):
        if isinstance(each, ImageError):
            assert not code, "the archive has one row"
            code, message = each.code, each.message
            assert each.path == f"tar://::{path}"
        else:
            name = each.removeprefix("tar://").partition("::")[0]
            names.append(name)
            assert read_file(each, 100_000).data == content(name)
    return names, code, message


def zeroed(data: bytearray) -> None:
    data[2 * STEP : 2 * STEP + BLOCK] = bytes(BLOCK)


def flipped(data: bytearray) -> None:
    data[2 * STEP + 150] ^= 1  # in the checksum


def another_size(data: bytearray) -> None:
    data[2 * STEP + 124 : 2 * STEP + 135] = b"77777777777"


@pytest.mark.parametrize("damage", [zeroed, flipped, another_size])
@pytest.mark.parametrize("ending", [".tar", ".tar.gz"])
def test_a_damaged_header_costs_its_own_member_alone(tmp_path: Path, damage: Any, ending: str) -> None:
    data = packed(NAMES)
    damage(data)
    path = tmp_path / f"x{ending}"
    path.write_bytes(gzip.compress(data) if ending == ".tar.gz" else data)
    names, code, message = found(path)
    assert names == ["a.jpg", "b.jpg", "d.jpg", "e.jpg", "f.jpg"]
    assert code == "corrupt"
    assert f"byte {2 * STEP:,} to {3 * STEP:,}: members that lay there are missing" in message


def test_the_first_header_may_be_the_damaged_one(tmp_path: Path) -> None:
    data = packed(NAMES)
    data[:BLOCK] = bytes(BLOCK)
    (tmp_path / "x.tar").write_bytes(data)
    assert found(tmp_path / "x.tar")[:2] == (NAMES[1:], "corrupt")


def test_several_damaged_places_are_one_row(tmp_path: Path) -> None:
    data = packed(NAMES)
    for member in (1, 3, 4):
        data[member * STEP + 20] ^= 255
    (tmp_path / "x.tar").write_bytes(data)
    names, code, message = found(tmp_path / "x.tar")
    assert (names, code) == (["a.jpg", "c.jpg", "f.jpg"], "corrupt")
    assert f"from byte {STEP:,} to {2 * STEP:,}, and in 1 more places" in message


def test_a_hole_of_whole_members_is_no_end(tmp_path: Path) -> None:
    data = packed(NAMES)
    data[2 * STEP : 4 * STEP] = bytes(2 * STEP)
    (tmp_path / "x.tar").write_bytes(data)
    assert found(tmp_path / "x.tar")[:2] == (["a.jpg", "b.jpg", "e.jpg", "f.jpg"], "corrupt")


def test_a_tail_of_zeros_that_is_longer_than_any_padding_is_damage(tmp_path: Path) -> None:
    data = packed(NAMES)
    for zeros, code in ((60_000, ""), (100_000, "corrupt")):
        (tmp_path / "x.tar").write_bytes(data[: 2 * STEP] + bytes(zeros))
        assert found(tmp_path / "x.tar")[:2] == (["a.jpg", "b.jpg"], code)


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("header", range(3))
def test_each_header_of_a_long_name_may_be_damaged(tmp_path: Path, format: int, header: int) -> None:
    """A long name has a header, a block with the name, and the member's own header."""
    long = "long/" * 30 + "l.jpg"
    before = len(packed(["a.jpg"], format).rstrip(b"\0"))
    at = -(-before // BLOCK) * BLOCK
    data = packed(["a.jpg", long, "b.jpg"], format)
    if header == 1:
        # The name's own block has no checksum.
        data[at + BLOCK : at + 2 * BLOCK] = bytes(BLOCK)
    else:
        data[at + header * BLOCK + 10] ^= 255
    path = tmp_path / "x.tar"
    path.write_bytes(data)
    *addresses, error = InputFinder(include=["*"]).find([str(path)])
    assert isinstance(error, ImageError)
    assert error.code == "corrupt"
    assert addresses[0] == f"tar://a.jpg::{path}"
    assert addresses[-1] == f"tar://b.jpg::{path}"
    assert read_file(str(addresses[-1]), SIZE).data == content("b.jpg")
    # Without its long name a member goes by the beginning of it.
    assert len(addresses) == (2 if header == 2 else 3)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_within_a_sound_member_is_never_looked_into(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "x.tar"
    inner = bytes(packed(["invented.jpg"]))
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, data in (("a.jpg", content("a.jpg")), ("inner.jpg", inner), ("b.jpg", content("b.jpg"))):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    listed = list(InputFinder().find([str(path)]))
    assert listed == [f"tar://{name}::{path}" for name in ("a.jpg", "inner.jpg", "b.jpg")]
    assert read_file(str(listed[1]), 100_000).data == inner


def test_tars_that_were_joined_are_read_as_one(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(packed(NAMES[:2]) + packed(NAMES[2:4]) + packed(NAMES[4:]))
    assert found(path) == (NAMES, "", "")
    # Some packers write two blocks of zeros and no more.
    path.write_bytes(packed(NAMES[:2])[: 2 * STEP] + bytes(1024) + packed(NAMES[2:]))
    assert found(path) == (NAMES, "", "")


@pytest.mark.skipif(shutil.which("tar") is None, reason="needs GNU tar")
def test_what_gnu_tar_joins_and_makes_sparse_is_read(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).write_bytes(content(name))
    with (tmp_path / "sparse.jpg").open("wb") as file:
        file.write(content("sparse.jpg"))
        file.truncate(2_000_000)
    run: dict[str, Any] = {"cwd": tmp_path, "check": True}
    subprocess.run(["tar", "-cf", "x.tar", *NAMES[:3]], **run)
    subprocess.run(["tar", "-cf", "y.tar", *NAMES[3:]], **run)
    subprocess.run(["tar", "--concatenate", "-f", "x.tar", "y.tar"], **run)
    assert found(tmp_path / "x.tar") == (NAMES, "", "")
    for format in ("--format=gnu", "--format=pax"):
        subprocess.run(["tar", format, "-S", "-cf", "s.tar", "sparse.jpg", *NAMES], **run)
        assert (tmp_path / "s.tar").stat().st_size < 100_000
        path = tmp_path / "s.tar"
        sparse, *others = InputFinder().find([str(path)])
        assert others == [f"tar://{name}::{path}" for name in NAMES]
        assert read_file(str(sparse), 3_000_000).data == (tmp_path / "sparse.jpg").read_bytes()


@pytest.mark.parametrize("rest", [b"signed by nobody", b"\n" * 2000])
def test_what_is_behind_the_end_and_no_member_is_said(tmp_path: Path, rest: bytes) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(packed(NAMES) + rest)
    names, code, message = found(path)
    assert (names, code) == (NAMES, "corrupt")
    assert f"from byte {6 * STEP:,} to {path.stat().st_size:,}" in message


@pytest.mark.parametrize("ending", [".tar", ".tar.xz"])
@pytest.mark.parametrize("end", [2 * STEP + 100, 2 * STEP + BLOCK, 2 * STEP + 2000])
def test_a_tar_that_ends_too_early_says_so(tmp_path: Path, ending: str, end: int) -> None:
    data = packed(NAMES)[:end]
    path = tmp_path / f"x{ending}"
    path.write_bytes(lzma.compress(data) if ending == ".tar.xz" else data)
    *members, error = InputFinder().find([str(path)])
    assert isinstance(error, ImageError)
    assert (error.code, "the archive ends within a member" in error.message) == ("truncated", True)
    whole = [f"tar://{name}::{path}" for name in NAMES[:2]]
    assert members[:2] == whole
    assert [read_file(each, SIZE).data for each in whole] == list(map(content, NAMES[:2]))
    for torn in members[2:]:
        with pytest.raises(ImageError) as raised:
            read_file(str(torn), SIZE)
        assert raised.value.code == "truncated"


def test_a_tar_without_an_end_but_at_a_members_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    for end in (0, BLOCK, 1000, 2 * BLOCK):
        path.write_bytes(packed(NAMES)[: 6 * STEP + end])
        assert found(path) == (NAMES, "", "")


def random_photographs(count: int) -> tuple[bytes, list[bytes]]:
    """A tar of what cannot be compressed, and its members."""
    photographs = [random.Random(number).randbytes(100_000) for number in range(count)]
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for number, photograph in enumerate(photographs):
            member = tarfile.TarInfo(f"{number}.jpg")
            member.size = len(photograph)
            tar.addfile(member, io.BytesIO(photograph))
    return file.getvalue(), photographs


def cut(data: bytearray) -> bytearray:
    return data[:350_000]


def changed(data: bytearray) -> bytearray:
    data[350_000:350_100] = bytes(100)
    return data


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
@pytest.mark.parametrize(("damage", "code"), [(cut, "truncated"), (changed, "corrupt")])
def test_a_damaged_compressed_stream_costs_what_is_behind_the_damage(
    tmp_path: Path, kind: str, damage: Any, code: str
) -> None:
    data, photographs = random_photographs(6)
    path = tmp_path / f"x.tar.{kind}"
    packer = {"gz": gzip, "bz2": bz2, "xz": lzma}[kind]
    path.write_bytes(damage(bytearray(packer.compress(data))))
    *members, error = InputFinder().find([str(path)])
    assert isinstance(error, ImageError)
    assert (error.code, "compressed data" in error.message, error.path) == (code, True, f"tar://::{path}")
    addresses = [f"tar://{number}.jpg::{path}" for number in range(6)]
    assert members == addresses[: len(members)]
    # bzip2 has blocks of 900 kB, none of which is whole here.
    if kind != "bz2":
        assert [read_file(each, 200_000).data for each in addresses[:3]] == photographs[:3]


def test_a_member_is_read_again_behind_which_the_stream_is_damaged(tmp_path: Path) -> None:
    data, photographs = random_photographs(6)
    path = tmp_path / "x.tar.gz"
    path.write_bytes(gzip.compress(data)[:350_000])
    for number in (2, 0, 1):
        assert read_file(f"tar://{number}.jpg::{path}", 200_000).data == photographs[number]


def test_a_member_that_is_named_has_one_row_whatever_is_damaged_behind_it(tmp_path: Path) -> None:
    data = packed(NAMES)
    zeroed(data)
    path = tmp_path / "x.tar"
    path.write_bytes(data)
    assert list(InputFinder().find([f"tar://a.jpg::{path}"])) == [f"tar://a.jpg::{path}"]
    (missing,) = InputFinder().find([f"tar://c.jpg::{path}"])
    assert isinstance(missing, ImageError)
    assert missing.code == "corrupt"


@pytest.mark.parametrize("data", [b"", b"just text", b"text" * 1000, bytes(100)])
def test_what_is_no_tar_is_one_row(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.tar").write_bytes(data)
    names, code, message = found(tmp_path / "x.tar")
    assert (names, code) == ([], "unreadable")
    assert "no archive of this kind" in message


def test_a_negative_size_and_a_time_without_end_are_no_trap(tmp_path: Path) -> None:
    data = packed(NAMES)
    for member, place, field in ((1, 124, b"\xff" * 10 + b"\xfe\x00"), (3, 136, b"\x80" + b"\x7f" * 11)):
        header = data[member * STEP : member * STEP + BLOCK]
        header[place : place + 12] = field
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        data[member * STEP : member * STEP + BLOCK] = header
    (tmp_path / "x.tar").write_bytes(data)
    names, code, _ = found(tmp_path / "x.tar")
    assert (names, code) == (["a.jpg", "c.jpg", "d.jpg", "e.jpg", "f.jpg"], "corrupt")


def test_a_scan_reads_each_byte_a_few_times_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever lies between sound headers: the work grows as the archive does."""
    taken = 0
    take = tars._Blocks._take

    def counting(blocks: tars._Blocks, size: int) -> bytes:
        nonlocal taken
        taken += len(data := take(blocks, size))
        return data

    monkeypatch.setattr(tars._Blocks, "_take", counting)
    header = packed(["a.jpg"])[:BLOCK]
    bad = bytes(header[:20]) + b"\xff" + bytes(header[21:])
    empty = bytearray(header)
    empty[124:135] = b"0" * 11
    empty[148:156] = b" " * 8
    empty[148:156] = b"%06o\0 " % sum(empty)
    # Each says that the next million bytes are its names.
    names = bytearray(empty)
    names[124:157] = b"%011o\0" % 1_000_000 + bytes(names[136:148]) + b" " * 8 + b"x"
    names[148:156] = b"%06o\0 " % sum(names)
    for pattern in (bad + bytes(empty), bad * 50 + bytes(empty) * 50, bad, bytes(names)):
        data = bytes(empty) + pattern * (2_000_000 // len(pattern))
        taken = 0
        tar = tars.ScanningTarFile(io.BytesIO(data))
        assert sum(1 for _ in iter(tar.next, None)) == data.count(bytes(empty))
        assert taken <= 4 * len(data)


def test_a_listing_keeps_its_order_and_its_names(tmp_path: Path) -> None:
    data = packed(["a.jpg", "x.jpg", "a.jpg", "a.jpg"])
    data[STEP + 10] ^= 255
    path = tmp_path / "x.tar"
    path.write_bytes(data)
    members = archive_listing.list_archive("tar", str(path))
    assert [next(members).key for _ in range(3)] == ["a.jpg", "a#2.jpg", "a#3.jpg"]
    with pytest.raises(ImageError):
        next(members)
