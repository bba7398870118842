"""Photographs in archives: `zip://MEMBER::ARCHIVE` and `tar://MEMBER::ARCHIVE`. Nothing is unpacked to disk.

A member keeps the name that the archive has for it, whatever it is; the second `a.jpg` is `a#2.jpg`.
A tar is read once, in its order. Archives are listed in a process of their own, see `archive_listing`.
"""

from __future__ import annotations

import calendar
import lzma
import math
import os
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TypeAlias

from dgqa_infer.errors import ImageError
from dgqa_infer.inputs.addresses import is_remote, shown
from dgqa_infer.inputs.tars import ScanningTarFile
from dgqa_infer.inputs.zips import BadEntry, OpenZip, open_zip

ENDINGS = {
    ".zip": "zip",
    **dict.fromkeys((".tar", ".tgz", ".tbz2", ".txz"), "tar"),
    **dict.fromkeys((".tar.gz", ".tar.bz2", ".tar.xz"), "tar"),
}
"""How the names of archives end, and what they are."""

_SECRET = 0x1
_LINK = 0xA  # the kind of file in what Unix says of it
_UNIX_TIMES = 0x5455  # an extra field of Info-ZIP's (its proginfo/extrafld.txt)
_NO_DATE = (1980, 1, 1, 0, 0, 0)  # what packers write who write none


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive, or what else lies there.

    Attributes:
        key: its name; the second `a.jpg` is `a#2.jpg`.
        size: in bytes.
        mtime: time of the last change, in seconds since 1970; None where nobody knows.
        other: why it is none of a photograph: "symlink" or "special"; None for a file.
    """

    key: str
    size: int
    mtime: float | None
    other: str | None = None


# A member of a tar, and what reads it, up to a byte more than so many.
_Found: TypeAlias = tuple[Member, Callable[[int], bytes]]


def split(address: str) -> tuple[str, str, str]:
    """Scheme, member and archive of an address.

    Raises:
        ImageError: "unsupported" for an archive within an archive.
    """
    scheme, _, rest = address.partition("://")
    at = rest.find("::")
    first = at
    while at >= 0:
        archive = rest[at + 2 :]
        if is_remote(archive) or os.path.isfile(archive):  # noqa: PTH113
            break
        at = rest.find("::", at + 1)
    at = first if at < 0 else at
    member, archive = (rest[:at], rest[at + 2 :]) if at >= 0 else (rest, "")
    if archive.lower().startswith(("zip://", "tar://")):
        raise ImageError("unsupported", "an archive within an archive is not read", shown(address))
    return scheme.lower(), member, archive


class Archive:
    """An open archive."""

    def __init__(self, scheme: str, open_file: Callable[[], IO[bytes]]) -> None:
        """Open it when it is first needed.

        Args:
            scheme: "zip" or "tar".
            open_file: opens the archive's file anew.
        """
        self._scheme = scheme
        self._open_file = open_file
        self._zip: OpenZip | None = None
        self._entries: dict[str, zipfile.ZipInfo | BadEntry] = {}
        self._walk: Generator[_Found, None, None] | None = None
        self._damage: ImageError | None = None

    def members(self) -> Iterator[Member]:
        """What lies in it: of a zip by name, of a tar in its order.

        Raises:
            ImageError: "too_large" for one that unpacks without end; behind the last member, "corrupt" or
                "truncated" where members may be missing.
        """
        if self._scheme == "tar":
            yield from (member for member, _ in self._tar())
        else:
            entries = self._directory()
            yield from (_member(key, entries[key]) for key in sorted(entries))
        if self._damage is not None:
            raise self._damage

    def read(self, key: str, file_bytes: int) -> tuple[bytes, float | None]:
        """Read one member; of a tar, members in their order cost one reading of it.

        Returns:
            Its bytes, and the time of its last change; None where nobody knows.

        Raises:
            KeyError: there is none of this name.
            ImageError: "too_large", or "unsupported" for one that is encrypted.
        """
        if self._scheme == "tar":
            return self._read_tar(key, file_bytes)
        info = self._directory()[key]
        if isinstance(info, BadEntry):
            raise info.error
        if info.flag_bits & _SECRET:
            raise ImageError("unsupported", "it is encrypted")
        _refuse_large(info.file_size, file_bytes)
        assert self._zip is not None
        with self._zip.file.open(info) as file:
            data = file.read(file_bytes + 1)
        _refuse_large(len(data), file_bytes)
        return data, _mtime(info)

    def __del__(self) -> None:
        """Close what is open: archives are kept open in a cache, which forgets them."""
        if self._walk is not None:
            self._walk.close()
        if self._zip is not None:
            self._zip.file.close()
            self._file.close()

    def _directory(self) -> dict[str, zipfile.ZipInfo | BadEntry]:
        if self._zip is None:
            self._file = file = self._open_file()
            try:
                self._zip = open_zip(file)
            except BaseException:
                file.close()
                raise
            self._damage = self._zip.damage
            seen: Counter[str] = Counter()
            for entry in self._zip.entries:
                if not entry.filename.endswith("/"):
                    self._entries[_key(entry.filename, seen)] = entry
        return self._entries

    def _read_tar(self, key: str, file_bytes: int) -> tuple[bytes, float | None]:
        member, read = self._go_to(key)
        _refuse_large(member.size, file_bytes)
        try:
            return read(file_bytes), member.mtime
        except EOFError as error:
            raise ImageError("truncated", "the archive ends before this member does") from error

    def _go_to(self, key: str) -> _Found:
        if self._walk is not None:
            # It may lie before, and damage behind it is no matter then.
            with suppress(ImageError, *DAMAGED):
                for found in self._walk:
                    if found[0].key == key and found[0].other is None:
                        return found
        self._walk = self._tar()
        for found in self._walk:
            if found[0].key == key and found[0].other is None:
                return found
        self._walk = None
        raise KeyError(key)

    def _tar(self) -> Generator[_Found, None, None]:
        seen: Counter[str] = Counter()
        with self._open_file() as opened, ScanningTarFile(opened) as tar:
            while (info := tar.next()) is not None:
                if info.isdir():
                    continue
                other = None if info.isreg() else "symlink" if info.issym() or info.islnk() else "special"

                def read(limit: int, info: tarfile.TarInfo = info) -> bytes:
                    file = tar.extractfile(info)
                    return file.read(limit + 1) if file is not None else b""

                yield Member(_key(info.name, seen), info.size, _seconds(info.mtime), other), read
            self._damage = tar.damage()


def _key(name: str, seen: Counter[str]) -> str:
    seen[name] += 1
    if seen[name] == 1:
        return name
    stem, ending = os.path.splitext(name)  # noqa: PTH122
    key = f"{stem}#{seen[name]}{ending}"
    return _key(key, seen) if seen[key] else key


def _member(key: str, entry: zipfile.ZipInfo | BadEntry) -> Member:
    if isinstance(entry, BadEntry):
        return Member(key, entry.file_size, None)
    link = entry.external_attr >> 28 == _LINK
    return Member(key, entry.file_size, _mtime(entry), "symlink" if link else None)


def _mtime(info: zipfile.ZipInfo) -> float | None:
    """Time of a member's last change: in UTC where the packer wrote so, else its local time taken for UTC."""
    extra, at = info.extra, 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == _UNIX_TIMES and length >= 5 and at + 9 <= len(extra) and extra[at + 4] & 1:
            return float(struct.unpack_from("<i", extra, at + 5)[0])
        at += 4 + length
    try:
        return None if info.date_time == _NO_DATE else float(calendar.timegm(info.date_time))
    except ValueError:
        # There is no such day.
        return None


def _seconds(mtime: float) -> float | None:
    """Time of a tar's member's last change; None for what is no time."""
    try:
        seconds = round(float(mtime), 6)
    except OverflowError:
        return None
    return seconds if math.isfinite(seconds) else None


def _refuse_large(size: int, file_bytes: int) -> None:
    if size > file_bytes:
        raise ImageError("too_large", f"{size:,} bytes; the limit is {file_bytes:,}")


DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError),
    *(OSError, ValueError, OverflowError, RuntimeError),
)
"""What the standard library raises for archives that are damaged, or of a kind that it does not read."""
