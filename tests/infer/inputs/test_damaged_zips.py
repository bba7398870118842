"""Zips with damage in their directory: each sound member has its row, and so has what is not."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dgqa_infer.errors import ImageError
from dgqa_infer.inputs import remote
from dgqa_infer.inputs.archives import Archive
from dgqa_infer.inputs.files import read_file
from dgqa_infer.inputs.finder import InputFinder

NAMES = ["a.jpg", "b.jpg", "ü.jpg", "d.jpg", "e.jpg"]
# An extra field that nobody knows, of four bytes.
EXTRA = struct.pack("<HH4s", 0xCAFE, 4, b"rest")
ENTRY, END = b"PK\x01\x02", b"PK\x05\x06"


def content(number: int) -> bytes:
    return b"\xff\xd8\xff" + bytes([number]) * 700


def packed(names: list[str] = NAMES) -> bytearray:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, name in enumerate(names):
            info = zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0))
            info.extra = EXTRA
            archive.writestr(info, content(number))
    return bytearray(file.getvalue())


def entries(data: bytearray) -> list[int]:
    """Where the entries of the directory begin."""
    at, found = struct.unpack_from("<I", data, data.rindex(END) + 16)[0], []
    while data.startswith(ENTRY, at):
        found.append(at)
        at += 46 + sum(struct.unpack_from("<HHH", data, at + 28))
    return found


@pytest.fixture(autouse=True)
def nothing_is_kept_open() -> Iterator[None]:
    yield
    remote._archive.cache_clear()


def outcomes(path: Path, names: list[str] = NAMES) -> dict[str, str]:
    """What became of each path: "whole" where the member is what it was, else its error."""
    found: dict[str, str] = {}
    for each in InputFinder().find([str(path)]):
        error, key = each, f"zip://::{path}"
        if isinstance(each, str):
            key = each
            try:
                data = read_file(each, 100_000).data
            except ImageError as raised:
                error = raised
            else:
                assert data == content(names.index(each[6:].rpartition("::")[0]))
                error = "whole"
        assert key not in found
        member = key[6:].rpartition("::")[0]
        found[member] = error if isinstance(error, str) else f"{error.code}: {error.message}"
    return found


def bad_extra(data: bytearray) -> None:
    at = data.index(EXTRA, entries(data)[2])
    data[at + 2 : at + 4] = b"\xff\xff"


def bad_zip64_extra(data: bytearray) -> None:
    at = entries(data)[2]
    data[at + 24 : at + 28] = b"\xff" * 4  # its size is said to be in a field of 8 bytes, which has 4
    at = data.index(EXTRA, at)
    data[at : at + 2] = b"\x01\x00"


def no_utf8(data: bytearray) -> None:
    at = data.index("ü".encode(), entries(data)[2])
    data[at : at + 2] = b"\xfc_"


def unknown_version(data: bytearray) -> None:
    data[entries(data)[2] + 6] = 99


@pytest.mark.parametrize(
    ("damage", "name", "said"),
    [
        (bad_extra, "ü.jpg", "corrupt: its entry in the archive's directory is damaged"),
        (bad_zip64_extra, "ü.jpg", "corrupt: its entry in the archive's directory is damaged"),
        (no_utf8, "\udcfc_.jpg", "corrupt: its name in the archive is not UTF-8"),
        (unknown_version, "ü.jpg", "unsupported: it is packed in a way that is not read"),
    ],
)
def test_a_bad_entry_has_its_own_row_and_all_others_are_read(
    tmp_path: Path, damage: Callable[[bytearray], None], name: str, said: str
) -> None:
    data = packed()
    damage(data)
    (tmp_path / "x.zip").write_bytes(data)
    found = outcomes(tmp_path / "x.zip")
    assert found.pop(name).startswith(said)
    assert found == dict.fromkeys(["a.jpg", "b.jpg", "d.jpg", "e.jpg"], "whole")


def signature(data: bytearray) -> None:
    data[entries(data)[2]] ^= 1


def name_length(data: bytearray) -> None:
    data[entries(data)[2] + 28] += 40


def all_of_it(data: bytearray) -> None:
    _, _, begin, end, _ = entries(data)
    data[begin:end] = bytes(end - begin)


@pytest.mark.parametrize("damage", [signature, name_length, all_of_it])
def test_a_hole_in_the_directory_is_said_and_costs_what_lay_there(
    tmp_path: Path, damage: Callable[[bytearray], None]
) -> None:
    data = packed()
    _, _, begin, end, _ = entries(data)
    damage(data)
    (tmp_path / "x.zip").write_bytes(data)
    found = outcomes(tmp_path / "x.zip")
    if damage is all_of_it:
        begin, end = entries(packed())[2:4]
    said = found.pop("")
    assert (
        said
        == f"corrupt: the archive's directory is damaged from byte {begin:,} to {end:,}: members are missing"
    )
    assert set(found.values()) == {"whole"}
    assert set(found) == {"a.jpg", "b.jpg", "d.jpg", "e.jpg"}


def with_number(place: int, number: int, format: str = "<I") -> bytearray:
    """A zip whose end record has another number."""
    data = packed()
    struct.pack_into(format, data, data.rindex(END) + place, number)
    return data


def test_the_directory_is_found_whichever_number_of_the_end_record_is_wrong(tmp_path: Path) -> None:
    data = packed()
    size_from_the_second = data.rindex(END) - entries(data)[1]
    empty = with_number(8, 0)
    struct.pack_into("<I", empty, empty.rindex(END) + 12, 0)
    for wrong in (
        empty,
        with_number(10, 3, "<H"),
        with_number(12, size_from_the_second),
        with_number(12, 99),
        with_number(16, 77),
        with_number(16, 1_000_000),
    ):
        (tmp_path / "x.zip").write_bytes(wrong)
        remote._archive.cache_clear()
        assert outcomes(tmp_path / "x.zip") == dict.fromkeys(NAMES, "whole")


def test_a_directory_with_fewer_entries_than_it_should_have_says_so(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(with_number(10, 9, "<H"))
    found = outcomes(path)
    assert (
        found.pop("")
        == "corrupt: the archive's directory has 5 entries, and should have 9: members are missing"
    )
    assert found == dict.fromkeys(NAMES, "whole")
    # Behind a program only its size says where the directory begins.
    data = packed()
    path.write_bytes(b"#!/bin/sh\n" * 100 + with_number(12, data.rindex(END) - entries(data)[1]))
    found = outcomes(path)
    assert "has 4 entries, and should have 5" in found.pop("")
    assert set(found) == set(NAMES[1:])


def test_what_is_put_before_a_zip_does_not_matter_to_a_damaged_one(tmp_path: Path) -> None:
    data = packed()
    bad_extra(data)
    (tmp_path / "x.zip").write_bytes(b"#!/bin/sh\n" * 1000 + data)
    found = outcomes(tmp_path / "x.zip")
    assert found.pop("ü.jpg").startswith("corrupt")
    assert found == dict.fromkeys(["a.jpg", "b.jpg", "d.jpg", "e.jpg"], "whole")


def test_names_keep_their_numbers_whichever_of_them_is_bad(tmp_path: Path) -> None:
    names = ["a.jpg", "b.jpg", "a.jpg", "a.jpg"]
    data = packed(names)
    bad_extra(data)
    (tmp_path / "x.zip").write_bytes(data)
    found = outcomes(tmp_path / "x.zip", ["a.jpg", "b.jpg", "a#2.jpg", "a#3.jpg"])
    assert found.pop("a#2.jpg").startswith("corrupt")
    assert found == dict.fromkeys(["a.jpg", "b.jpg", "a#3.jpg"], "whole")


def test_what_is_encrypted_stays_so(tmp_path: Path) -> None:
    data = packed()
    bad_extra(data)
    data[entries(data)[1] + 8] |= 1
    (tmp_path / "x.zip").write_bytes(data)
    found = outcomes(tmp_path / "x.zip")
    assert found.pop("b.jpg") == "unsupported: it is encrypted"
    assert found.pop("ü.jpg").startswith("corrupt")
    assert set(found.values()) == {"whole"}


def test_a_zip_of_more_entries_than_its_first_record_can_count(tmp_path: Path) -> None:
    """Which has the records of Zip64."""
    file = io.BytesIO()
    count = 66_000
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(count):
            archive.writestr(f"{number:05}.jpg", b"x")
        info = zipfile.ZipInfo("last.jpg")
        info.extra = EXTRA
        archive.writestr(info, content(0))
    data = bytearray(file.getvalue())
    assert b"PK\x06\x06" in data
    data[data.rindex(EXTRA) + 2] = 255
    archive_file = Archive("zip", lambda: io.BytesIO(data))
    assert sum(1 for _ in archive_file.members()) == count + 1
    assert archive_file.read("65999.jpg", 10)[0] == b"x"
    with pytest.raises(ImageError, match="its entry in the archive's directory is damaged"):
        archive_file.read("last.jpg", 1000)


def test_a_zip_of_gigabytes_with_a_bad_entry_is_read(tmp_path: Path) -> None:
    """Offsets beyond 32 bits are in the entries' own extra fields."""
    path = tmp_path / "x.zip"
    with path.open("wb") as file:
        file.truncate(5_000_000_000)
    with zipfile.ZipFile(path, "a") as archive:
        for number, name in enumerate(NAMES):
            info = zipfile.ZipInfo(name)
            info.extra = EXTRA
            archive.writestr(info, content(number))
    with path.open("r+b") as file:
        file.seek(5_000_000_000)
        tail = bytearray(file.read())
        at = tail.rindex(EXTRA, 0, tail.rindex(b"d.jpg"))
        tail[at + 2 : at + 4] = b"\xff\xff"
        file.seek(5_000_000_000)
        file.write(tail)
    found = outcomes(path)
    assert found.pop("ü.jpg").startswith("corrupt")
    assert found == dict.fromkeys(["a.jpg", "b.jpg", "d.jpg", "e.jpg"], "whole")


def test_an_empty_zip_has_no_row_and_one_that_only_seems_empty_has_one(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w"):
        pass
    assert outcomes(path) == {}
    data = packed()
    path.write_bytes(data[:-12] + bytes(12))
    (said,) = outcomes(path).values()
    assert said.startswith("unreadable")


@pytest.mark.parametrize("keep", [0.5, 0.99])
def test_a_zip_whose_end_is_gone_is_one_row(tmp_path: Path, keep: float) -> None:
    data: Any = packed()
    (tmp_path / "x.zip").write_bytes(data[: int(len(data) * keep)])
    (said,) = outcomes(tmp_path / "x.zip").values()
    assert said.startswith("unreadable")
