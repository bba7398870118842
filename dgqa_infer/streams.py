"""Outputs that are no files: pipes, terminals and other devices, and what the shell opened, as /dev/stdout.

Bytes go through them as they come; there is nothing to replace, and nothing to continue.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from dgqa_infer import system

STDOUT: Final = Path("/dev/stdout")
"""This program's output, on systems without such a file too."""

_LINKS: Final = 40  # that are followed, as Linux does
_STANDARD: Final = 2  # the last of the descriptors that every program is given


def is_stream(path: Path) -> bool:
    """Whether a path, links followed, names something that bytes go through."""
    if _descriptor(path) is not None:
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def check_stream(path: Path) -> None:
    """Find out whether a stream can be written to; a pipe need not have a reader yet.

    Raises:
        OSError: it cannot.
    """
    if (descriptor := _descriptor(path)) is not None:
        _check(descriptor)
    elif not system.may_write(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


@contextmanager
def open_stream(path: Path) -> Iterator[BinaryIO]:
    """Open a stream for writing; of a pipe with a name, wait for its reader, which any signal ends.

    Raises:
        OSError: it cannot be opened, or what was written did not come through.
    """
    if (descriptor := _descriptor(path)) is None:
        opened = os.open(path, os.O_WRONLY | system.BINARY)
    else:
        _check(descriptor)
        # Opened by its name, a file would be written from its beginning, and a socket not at all.
        opened = os.dup(descriptor)
    file = open(opened, "wb")  # noqa: PTH123, SIM115 (a descriptor, closed below)
    try:
        yield file
    except BaseException:
        # What could not be written would be tried again, and be told a second time.
        with suppress(OSError):
            file.close()
        raise
    file.close()


def _descriptor(path: Path) -> int | None:
    """The number of a descriptor of this process that a path names."""
    if path == STDOUT:
        return 1
    ours = re.compile(rf"/dev/fd|/proc/{os.getpid()}(/task/\d+)?/fd")
    for _ in range(_LINKS):
        folder = os.path.realpath(path.parent)
        if ours.fullmatch(folder) and path.name.isdecimal():
            return int(path.name)
        if not path.is_symlink():
            return None
        path = Path(folder, os.readlink(path))  # noqa: PTH115 (without what it does to the name)
    return None


def _check(descriptor: int) -> None:
    """See that a descriptor can be written to, and is not one that this program opened for itself.

    Raises:
        OSError: it is not.
    """
    own = descriptor > _STANDARD and not os.get_inheritable(descriptor)
    if own or not system.is_for_writing(descriptor):
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
