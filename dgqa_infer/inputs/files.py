"""Files are read whole, if they are files, are not too large, and stay what they are meanwhile."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field
from io import FileIO
from typing import TypeAlias

from dgqa_infer import system
from dgqa_infer.errors import ImageError
from dgqa_infer.inputs import remote
from dgqa_infer.inputs.addresses import shown

Input: TypeAlias = str | ImageError
"""A path to score, or the error that an input became before it was read."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A photograph in memory, encoded as in a file.

    Attributes:
        data: the file's bytes.
        name: what results call it; None for nothing. Nothing is opened by this name.
        measure: whether its attributes are measured, where the predictor has attributes measured at all.
    """

    data: bytes = field(repr=False)
    name: str | None = None
    measure: bool = True


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file's bytes, and what tells later whether it is still the same file.

    Attributes:
        data: all of it.
        size: in bytes.
        mtime: time of the last change, in seconds since 1970, to the microsecond; None where unknown.
    """

    data: bytes
    size: int
    mtime: float | None


def read_file(path: str | os.PathLike[str], file_bytes: int, *, allow_private: bool = False) -> ImageFile:
    """Read a whole file, if it is one and is not too large.

    Args:
        path: of a file here, or an address that `dgqa_infer.inputs.remote` knows.
        file_bytes: a larger one is refused.
        allow_private: whether this machine and link-local addresses may be asked for web addresses.

    Raises:
        ImageError: "not_found", "unreadable", "empty" or "too_large".
    """
    name = os.fspath(path)
    if remote.is_remote(name):
        data, changed = remote.read(name, file_bytes, allow_private=allow_private)
        if not data:
            raise ImageError("empty", "the file has no bytes", shown(name))
        return ImageFile(data, len(data), changed)
    try:
        descriptor = system.open_to_read(name)
        with FileIO(descriptor) as file:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                kind = "a folder" if stat.S_ISDIR(before.st_mode) else "a pipe or a device"
                raise ImageError("unreadable", f"this is {kind}, not a file", name)
            if before.st_size > file_bytes:
                raise ImageError("too_large", f"{before.st_size:,} bytes; the limit is {file_bytes:,}", name)
            data = _read_all(file, before.st_size)
            after = os.fstat(descriptor)
    except ValueError as error:
        raise ImageError("not_found", "no file can have this name: it holds a zero byte", name) from error
    except OSError as error:
        missing = error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
        raise ImageError(
            "not_found" if missing else "unreadable", error.strerror or "cannot be read", name
        ) from error
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns) or len(
        data
    ) != after.st_size:
        raise ImageError("unreadable", "the file changed while it was read", name)
    if not data:
        raise ImageError("empty", "the file has no bytes", name)
    return ImageFile(data, after.st_size, mtime(after))


def read_memory(source: object, file_bytes: int) -> bytes:
    """The bytes of a photograph that is in memory, or behind an open file.

    Args:
        source: bytes, or what holds or reads them: `bytearray`, `memoryview`, `io.BytesIO`, an open file.
        file_bytes: more are refused.

    Raises:
        ImageError: "too_large"; "unreadable" where reading fails; "unsupported" for anything else.
    """
    data: object = None
    if isinstance(source, bytes | bytearray | memoryview):
        if memoryview(source).nbytes > file_bytes:
            raise ImageError("too_large", f"more than {file_bytes:,} bytes, which is the limit")
        return bytes(source)
    if callable(read := getattr(source, "read", None)):
        try:
            data = read(file_bytes + 1)
        except Exception as error:
            # Whatever an object that only looks like a file comes up with.
            raise ImageError("unreadable", "the open file cannot be read") from error
    if not isinstance(data, bytes):
        raise ImageError(
            "unsupported",
            f"a {type(source).__name__} is no photograph: give a path, the bytes of a file, a Pillow image, "
            "or an array uint8 [height, width, 3]",
        )
    if len(data) > file_bytes:
        raise ImageError("too_large", f"more than {file_bytes:,} bytes, which is the limit")
    return data


def name_of(path: object) -> Input:
    """A path as the finder takes it; an error for what is none."""
    if isinstance(path, str | bytes | os.PathLike):
        return os.fsdecode(path)
    return ImageError("unsupported", f"a {type(path).__name__} is no path; score_many takes images in memory")


def mtime(status: os.stat_result) -> float:
    """Time of the last change as the rows give it: seconds since 1970, to the microsecond."""
    return round(status.st_mtime_ns / 1e9, 6)


def file_status(path: str, *, allow_private: bool = False) -> tuple[int | None, float | None]:
    """Size and time of the last change of what has this name, as rows give them; None where nothing has."""
    if remote.is_remote(path):
        return remote.status(path, allow_private=allow_private)
    try:
        status = os.stat(path)  # noqa: PTH116 (a Path would take the empty name for the current folder)
    except (OSError, ValueError):
        return None, None
    return status.st_size, mtime(status)


def _read_all(file: FileIO, size: int) -> bytes:
    """At most one byte more than the size, whatever the file has become since."""
    parts = []
    left = size + 1
    while left > 0 and (part := file.read(left)):
        parts.append(part)
        left -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
