"""Zips, also those whose directory is damaged in places.

The standard library refuses a zip for one bad entry. Then its directory is divided here, each entry is shown
to the library alone, and a directory of those that it takes is put in the place of the old one.
Formats: APPNOTE.TXT, 4.3.12 to 4.3.16.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any
from zipfile import ZipFile, ZipInfo

from dgqa_infer.errors import ImageError

# Of some 300,000 photographs. Each process that reads a member parses all of it, which takes it seconds.
_MAX_DIRECTORY_BYTES = 32_000_000
_ENTRY, _LOCAL = b"PK\x01\x02", b"PK\x03\x04"
_END, _ZIP64_END, _ZIP64_LOCATOR = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_ENTRY_BYTES, _LOCAL_BYTES, _END_BYTES, _ZIP64_END_BYTES, _LOCATOR_BYTES = 46, 30, 22, 56, 20
_MAX_COMMENT_BYTES = 65_535
_UTF8 = 0x800
_AT_ONCE = 64  # entries that the library is shown before they are shown one by one
_REFUSED = (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error)


@dataclass(frozen=True, slots=True)
class BadEntry:
    """An entry of the directory that cannot be read.

    Attributes:
        filename: as far as it can be read.
        file_size: in bytes.
        error: why its member has no score.
    """

    filename: str
    file_size: int
    error: ImageError


@dataclass(frozen=True, slots=True)
class OpenZip:
    """A zip and what its directory holds.

    Attributes:
        file: what reads the members.
        entries: in the directory's order.
        damage: why members may be missing; None for nothing.
    """

    file: ZipFile
    entries: list[ZipInfo | BadEntry]
    damage: ImageError | None = None


@dataclass(frozen=True, slots=True)
class _Directory:
    """Where the end record says that the directory is.

    Attributes:
        offset: of its beginning, not counting what was put before the zip.
        size: in bytes.
        count: of its entries.
        end: where the records that end the zip begin in the file.
    """

    offset: int
    size: int
    count: int
    end: int


def open_zip(file: IO[bytes]) -> OpenZip:
    """Open a zip, whatever of its directory is damaged.

    Args:
        file: can be sought in, and stays open.

    Raises:
        zipfile.BadZipFile: it is no zip, or its end is damaged.
        ImageError: "too_large" for a directory that would fill the memory.
    """
    directory = _find_directory(file)
    try:
        found = ZipFile(file)
    except _REFUSED:
        return _mended(file, directory)
    infos = found.infolist()
    # Zips of more entries than the record can count have the rest of the division.
    miscounted = (len(infos) - directory.count) % 65_536
    # An empty zip is its end record alone.
    begins = _begins_with(file, infos[0].header_offset, _LOCAL) if infos else directory.end == 0
    if miscounted or not begins:
        return _mended(file, directory)
    return OpenZip(found, [*infos])


def _find_directory(file: IO[bytes]) -> _Directory:
    length = file.seek(0, os.SEEK_END)
    begin = max(0, length - _MAX_COMMENT_BYTES - _END_BYTES - _LOCATOR_BYTES - _ZIP64_END_BYTES)
    file.seek(begin)
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or at + _END_BYTES > len(tail):
        raise zipfile.BadZipFile
    count, size, offset = struct.unpack_from("<HII", tail, at + 10)
    end = begin + at
    locator = at - _LOCATOR_BYTES
    if locator >= 0 and tail.startswith(_ZIP64_LOCATOR, locator):
        before = locator - _ZIP64_END_BYTES
        if before >= 0 and tail.startswith(_ZIP64_END, before):
            count, size, offset = struct.unpack_from("<QQQ", tail, before + 32)
            end = begin + before
    _refuse_large(size)
    file.seek(0)
    return _Directory(offset, size, count, end)


def _refuse_large(size: int) -> None:
    if size > _MAX_DIRECTORY_BYTES:
        raise ImageError(
            "too_large",
            f"the archive's directory has {size:,} bytes; the limit is {_MAX_DIRECTORY_BYTES:,}:"
            " divide the archive, or unpack it",
        )


def _mended(file: IO[bytes], directory: _Directory) -> OpenZip:
    """The zip with a directory of those entries that the library reads."""
    begin = _beginning(file, directory)
    _refuse_large(directory.end - begin)
    file.seek(begin)
    data = file.read(directory.end - begin)
    # What was put before the zip, such as a program that unpacks it, unless its record has a wrong offset.
    before = begin - directory.offset
    if not _is_of_member(file, data, before) and _is_of_member(file, data, 0):
        before = 0
    found, gaps = [], []
    for at, end, whole in _divide(file, data, before):
        if whole:
            found.append(data[at:end])
        else:
            gaps.append((begin + at, begin + end))
    errors = list(_errors(found))
    sound = b"".join(entry for entry, error in zip(found, errors, strict=True) if error is None)
    tail = sound + _ends(begin - before, len(sound))
    mended = ZipFile(_Joined(file, begin, tail))
    infos = iter(mended.infolist())
    entries = [
        next(infos) if error is None else _bad(entry, error)
        for entry, error in zip(found, errors, strict=True)
    ]
    return OpenZip(mended, entries, _damage(gaps, len(found), directory.count))


def _beginning(file: IO[bytes], directory: _Directory) -> int:
    """Where the directory begins: where its record says, or so many bytes before the record."""
    for begin in (directory.offset, directory.end - directory.size):
        if begin < directory.end and _begins_with(file, begin, _ENTRY):
            return begin
    raise zipfile.BadZipFile


def _begins_with(file: IO[bytes], at: int, signature: bytes) -> bool:
    if at < 0:
        return False
    file.seek(at)
    return file.read(len(signature)) == signature


def _divide(file: IO[bytes], data: bytes, before: int) -> Iterator[tuple[int, int, bool]]:
    """Where each entry begins and ends, and whether it is one: else it is a gap between two."""
    at = 0
    while at < len(data):
        end = at
        if data.startswith(_ENTRY, at) and at + _ENTRY_BYTES <= len(data):
            end = at + _ENTRY_BYTES + sum(struct.unpack_from("<HHH", data, at + 28))
        # Lengths are right if another entry follows, or the member has the same name.
        whole = at < end <= len(data) and (
            end == len(data) or data.startswith(_ENTRY, end) or _is_of_member(file, data[at:end], before)
        )
        if not whole:
            end = data.find(_ENTRY, at + 1)
            end = len(data) if end < 0 else end
        yield at, end, whole
        at = end


def _is_of_member(file: IO[bytes], entry: bytes, before: int) -> bool:
    """Whether the member of an entry is where it says, and has the same name."""
    name = _raw_name(entry)
    (at,) = struct.unpack_from("<I", entry, 42)
    if at + before < 0:
        return False
    file.seek(at + before)
    local = file.read(_LOCAL_BYTES + len(name))
    return local.startswith(_LOCAL) and local[26:28] == entry[28:30] and local[_LOCAL_BYTES:] == name


def _errors(entries: list[bytes]) -> Iterator[ImageError | None]:
    """Why the library refuses each entry; None for one that it takes."""
    for first in range(0, len(entries), _AT_ONCE):
        some = entries[first : first + _AT_ONCE]
        if _error(b"".join(some)) is None:
            yield from [None] * len(some)
        else:
            yield from map(_error, some)


def _error(entries: bytes) -> ImageError | None:
    try:
        ZipFile(io.BytesIO(entries + _ends(0, len(entries)))).close()
    except UnicodeError:
        return ImageError("corrupt", "its name in the archive is not UTF-8, as the archive says")
    except NotImplementedError:
        return ImageError("unsupported", "it is packed in a way that is not read")
    except _REFUSED as error:
        return ImageError("corrupt", f"its entry in the archive's directory is damaged: {error}")
    return None


def _bad(entry: bytes, error: ImageError) -> BadEntry:
    (flags,) = struct.unpack_from("<H", entry, 8)
    (size,) = struct.unpack_from("<I", entry, 24)
    name = _raw_name(entry).partition(b"\0")[0]
    text = name.decode("utf-8", "surrogateescape") if flags & _UTF8 else name.decode("cp437")
    return BadEntry(text, size, error)


def _raw_name(entry: bytes) -> bytes:
    (length,) = struct.unpack_from("<H", entry, 28)
    return entry[_ENTRY_BYTES : _ENTRY_BYTES + length]


def _damage(gaps: list[tuple[int, int]], found: int, count: int) -> ImageError | None:
    if gaps:
        (begin, end), more = gaps[0], len(gaps) - 1
        said = f"is damaged from byte {begin:,} to {end:,}"
        said += f", and in {more:,} more places" if more else ""
    elif found < count:
        said = f"has {found:,} entries, and should have {count:,}"
    else:
        return None
    return ImageError("corrupt", f"the archive's directory {said}: members are missing")


def _ends(offset: int, size: int) -> bytes:
    """The records behind a directory; no entries are counted, since the library does not."""
    record = struct.pack("<4sQHHIIQQQQ", _ZIP64_END, 44, 45, 45, 0, 0, 0, 0, size, offset)
    locator = struct.pack("<4sIQI", _ZIP64_LOCATOR, 0, offset + size, 1)
    return record + locator + struct.pack("<4sHHHHIIH", _END, 0, 0, *[0xFFFF] * 2, *[0xFFFFFFFF] * 2, 0)


class _Joined(io.RawIOBase):
    """The beginning of a file, and other bytes behind it."""

    def __init__(self, file: IO[bytes], length: int, tail: bytes) -> None:
        self._file, self._length, self._tail = file, length, tail
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + (0, self._at, self._length + len(self._tail))[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._at < self._length:
            self._file.seek(self._at)
            data = self._file.read(min(len(buffer), self._length - self._at))
        else:
            at = self._at - self._length
            data = self._tail[at : at + len(buffer)]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
