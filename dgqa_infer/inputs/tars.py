"""Tars, plain and compressed, read once from their beginning, and past what is damaged.

The standard library takes the first damaged header for a tar's end. Here only zeros at the end of the data
are one; anything else that is no member is damage, and the next header with a right checksum is searched for.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zlib
from collections.abc import Iterator
from tarfile import BLOCKSIZE, RECORDSIZE, TarInfo
from typing import IO, Any

from dgqa_infer.errors import ErrorCode, ImageError

# Photographs hardly shrink. What unpacks to so many times its size, and to more than this, is a bomb.
_MAX_RATIO = 50
_FREE_BYTES = 1_000_000_000
_DECOMPRESSORS: dict[bytes, Any] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
# The end of a tar is two blocks of zeros, and as many more as fill its record: 20 blocks, with `tar -b` up to
# some 128. A longer tail of zeros is what is left of members, as in a download that was never finished.
_END_BYTES = 2 * BLOCKSIZE
_MAX_TAIL_BYTES = 128 * BLOCKSIZE + _END_BYTES
_SCAN_BYTES = 1 << 20
# A header's checksum: octal digits, and spaces and zeros around them.
_CHECKSUM = range(148, 156)
_MAY_BE_CHECKSUM = bytes(byte in b"01234567 \0" for byte in range(256))
_TYPE = slice(156, 157)
_NAMES = (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE)
_BAD_HEADER = (tarfile.HeaderError, ValueError, OverflowError, RecursionError)


class ScanningTarFile(tarfile.TarFile):
    """A tar that is read from its beginning to the end of its data, whatever is damaged between.

    `next()` keeps no members; one that it gave can be read until it is called again.
    """

    def __init__(self, file: IO[bytes]) -> None:
        """Open it and read its first header.

        Args:
            file: stands at the tar's beginning.

        Raises:
            tarfile.ReadError: it is no tar: there is no header in it.
            ImageError: as `next` has it.
        """
        head = file.read(6)
        file.seek(0)
        unpack = next((found for magic, found in _DECOMPRESSORS.items() if head.startswith(magic)), None)
        self._blocks = _Blocks(_Unpacked(file, unpack) if unpack is not None else file)
        self._unit = "byte" if unpack is None else "unpacked byte"
        self._begin = 0  # of the tar among several that were joined
        self._damaged: tuple[int, int] | None = None
        self._more_damaged = 0
        self._cut = False
        super().__init__(fileobj=self._blocks, mode="r")  # type: ignore[arg-type]

    def next(self) -> TarInfo | None:
        """Go to the next member.

        Returns:
            None where the data ends; `damage` then says whether members are missing.

        Raises:
            ImageError: "corrupt" or "truncated" compressed data; "too_large" for what unpacks without end.
        """
        first: TarInfo | None = self.firstmember  # type: ignore[has-type]
        if first is not None:
            self.firstmember = None
            return first
        try:
            self._blocks.seek(self.offset)
            return self._next(self.offset)
        except EOFError:
            self._cut = True
            return None
        except ImageError as error:
            if (before := self.damage()) is not None:
                raise ImageError(error.code, f"{before.message}; {error.message}") from error
            raise

    def _next(self, begin: int) -> TarInfo | None:
        damaged = False
        while True:
            blank, found = self._blocks.find_header()
            at = self._blocks.tell()
            if damaged or not self._is_sound(begin, at, blank, found):
                self._note_damage(begin, at)
            if not found:
                return None
            try:
                if self._blocks.skip_damaged_name():
                    raise tarfile.HeaderError("a damaged name")
                info = self.tarinfo.fromtarfile(self)
                if self.offset < self._blocks.tell():
                    raise tarfile.HeaderError("a negative size")
            except _BAD_HEADER:
                # Long names and the like have headers of their own before the member's. What was read of
                # them is theirs; the search goes on behind it.
                begin, damaged = at, True
                continue
            return info

    def _is_sound(self, begin: int, end: int, blank: bool, found: bool) -> bool:
        """Whether what lies between two headers, or before the end of the data, may lie there.

        Args:
            begin: where a header was looked for.
            end: where one is, or the data ends.
            blank: whether there are only zeros between.
            found: whether there is a header at the end.
        """
        length = end - begin
        if found:
            joined = length == _END_BYTES or (
                _END_BYTES <= length < RECORDSIZE + _END_BYTES and (end - self._begin) % RECORDSIZE == 0
            )
            if blank and joined:
                self._begin = end
            return not length or (blank and joined)
        if begin == 0 and not (blank and length >= BLOCKSIZE):
            raise tarfile.ReadError("there is no header in it")
        if not blank and length < BLOCKSIZE:
            raise EOFError
        return blank and length <= _MAX_TAIL_BYTES

    def _note_damage(self, begin: int, end: int) -> None:
        if self._damaged is None:
            self._damaged = begin, end
        else:
            self._more_damaged += 1

    def damage(self) -> ImageError | None:
        """What was damaged as far as the tar was read; None for nothing."""
        said = []
        if self._damaged is not None:
            begin, end = self._damaged
            more = f", and in {self._more_damaged:,} more places" if self._more_damaged else ""
            said.append(
                f"the archive is damaged from {self._unit} {begin:,} to {end:,}{more}:"
                " members that lay there are missing"
            )
        if self._cut:
            said.append(f"the archive ends within a member, at {self._unit} {self._blocks.tell():,}")
        code: ErrorCode = "truncated" if self._damaged is None else "corrupt"
        return ImageError(code, "; ".join(said)) if said else None


class _Blocks:
    """The data of a tar, which is read forwards only: a file for `tarfile`."""

    def __init__(self, file: IO[bytes] | io.RawIOBase) -> None:
        self._file: Any = file
        self._position = 0
        self._end = None
        if file.seekable():
            self._end = file.seek(0, os.SEEK_END)
            file.seek(0)
        # What was read of the file and not given yet begins at this index.
        self._buffer, self._index = b"", 0

    def tell(self) -> int:
        return self._position

    def seekable(self) -> bool:
        return True

    def seek(self, position: int) -> None:
        """Go on to a position; EOFError where the data ends before it."""
        if position < self._position:
            raise ValueError("a tar is read forwards only")
        if self._end is None or position - self._position <= len(self._buffer) - self._index:
            while position > self._position:
                self.read(min(position - self._position, _SCAN_BYTES))
            return
        self._position = self._file.seek(min(position, self._end))
        self._buffer, self._index = b"", 0
        if position > self._end:
            raise EOFError

    def read(self, size: int) -> bytes:
        """So many bytes, or EOFError."""
        if self._end is not None and self._position + size > self._end:
            raise EOFError
        data = self._buffer[self._index : self._index + size]
        if len(data) == size:
            self._index += size
        else:
            self._buffer, self._index = b"", 0
            data += self._read_file(size - len(data))
        self._position += len(data)
        if len(data) < size:
            raise EOFError
        return data

    def find_header(self) -> tuple[bool, bool]:
        """Go on to the next block that is a header, or to the end of the data.

        Returns:
            Whether there are only zeros before it, and whether there is a header.
        """
        blank, size = True, BLOCKSIZE
        while chunk := self._take(size):
            for at in _headers(chunk):
                self._give_back(len(chunk) - at)
                return blank and not chunk[:at].strip(b"\0"), True
            blank = blank and not chunk.strip(b"\0")
            # No more is looked at in vain than was before it.
            size = min(2 * size, _SCAN_BYTES)
        return blank, False

    def skip_damaged_name(self) -> bool:
        """Go past a long name that the header here announces, if it is damaged; it has no checksum."""
        block = self._take(BLOCKSIZE)
        self._give_back(BLOCKSIZE)
        if block[_TYPE] not in _NAMES:
            return False
        header = TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if not 0 < header.size <= _SCAN_BYTES:
            return False
        length = BLOCKSIZE + -(-header.size // BLOCKSIZE) * BLOCKSIZE
        data = self._take(length)
        name = data[BLOCKSIZE : BLOCKSIZE + header.size]
        is_sound = _are_records if header.type == tarfile.XHDTYPE else _is_text
        if len(data) == length and not is_sound(name):
            return True
        self._give_back(len(data))
        return False

    def _take(self, size: int) -> bytes:
        """So many bytes, or as many as there are; they can be given back."""
        if self._index + size > len(self._buffer):
            rest = self._buffer[self._index :]
            self._buffer, self._index = rest + self._read_file(size - len(rest)), 0
        data = self._buffer[self._index : self._index + size]
        self._index += len(data)
        self._position += len(data)
        return data

    def _give_back(self, size: int) -> None:
        self._index -= size
        self._position -= size

    def _read_file(self, size: int) -> bytes:
        parts = []
        while size > 0 and (part := self._file.read(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


def _is_text(data: bytes) -> bool:
    """Whether there is text up to the zeros at the end."""
    text = data.rstrip(b"\0")
    return text != b"" and b"\0" not in text


def _are_records(data: bytes) -> bool:
    """Whether a pax header holds records, each "LENGTH KEY=VALUE\\n", and nothing else."""
    at = 0
    while at < len(data):
        digits, space, _ = data[at : at + 20].partition(b" ")
        end = at + int(digits) if digits.isdigit() and space else 0
        if not at < end <= len(data) or data[end - 1 : end] != b"\n":
            return False
        at = end
    return True


def _headers(chunk: bytes) -> Iterator[int]:
    """Where in whole blocks headers with a right checksum are."""
    if not chunk.strip(b"\0"):
        return
    blocks = len(chunk) // BLOCKSIZE
    # One operation for all blocks: what is a checksum's place in a photograph hardly ever looks like one.
    likely = int.from_bytes(b"\1" * blocks, "big")
    for place in _CHECKSUM:
        column = chunk[place : blocks * BLOCKSIZE : BLOCKSIZE].translate(_MAY_BE_CHECKSUM)
        likely &= int.from_bytes(column, "big")
    flags = likely.to_bytes(blocks, "big")
    block = flags.find(1)
    while block >= 0:
        at = block * BLOCKSIZE
        try:
            TarInfo.frombuf(chunk[at : at + BLOCKSIZE], "utf-8", "surrogateescape")
            yield at
        except _BAD_HEADER:
            pass
        block = flags.find(1, block + 1)


class _Unpacked(io.RawIOBase):
    """A compressed tar, unpacked as it is read; no more than photographs can unpack to."""

    def __init__(self, packed: IO[bytes], unpack: Any) -> None:
        self._packed = packed
        self._file = unpack(packed)
        self._count = 0
        self._error: ImageError | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """As much as can be unpacked at once, at least one byte until the end."""
        if self._error is not None:
            raise self._error
        try:
            # What was unpacked before damage is found is given; `read` would drop it.
            data: bytes = self._file.read1(size)
        except EOFError:
            self._error = ImageError(
                "truncated", f"the archive's compressed data ends within unpacked byte {self._count:,}"
            )
        except (zlib.error, lzma.LZMAError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            self._error = ImageError(
                "corrupt", f"the archive's compressed data is damaged behind unpacked byte {self._count:,}"
            )
        else:
            self._count += len(data)
            if self._count <= _FREE_BYTES + _MAX_RATIO * self._packed.tell():
                return data
            self._error = ImageError("too_large", "the archive unpacks to far more than photographs do")
        raise self._error
