"""The one way to write a file or a folder: it is there whole or not at all.

What is written has another name until it is complete. A link is followed, so that it stays one; what is no
regular file, such as a device or a pipe, is never replaced.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from dgqa_infer import system
from dgqa_infer.errors import OutputError

PART: Final = ".part"
"""Ending of the names that files have until they are complete; such a name begins with a dot."""


@contextmanager
def whole_file(path: Path, *, mode: int | None = None, durable: bool = True) -> Iterator[BinaryIO]:
    """Write a file under another name beside its own, and give it its own when it is complete.

    Args:
        path: what it shall be called; a file of that name is replaced, and so is what a link points to.
        mode: permissions; None for those of the file that is replaced, or of a new file.
        durable: whether it must outlive a power failure, which takes milliseconds.

    Raises:
        OutputError: it cannot be written, or is something that is no regular file; what was there still is.
    """
    try:
        target = _target(path)
        descriptor, name = tempfile.mkstemp(PART, f".{target.name[:100]}.", target.parent)
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123 (a descriptor)
                yield file
                file.flush()
                if durable:
                    os.fsync(descriptor)
                system.set_mode(descriptor, name, _mode(target) if mode is None else mode)
            os.replace(name, target)  # noqa: PTH105 (names of bytes that are not text)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)  # noqa: PTH108
            raise
        if durable:
            system.sync_folder(target.parent)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error


def write_whole(path: Path, data: bytes, *, mode: int | None = None, durable: bool = True) -> None:
    """Write a file of these bytes; see `whole_file`.

    Raises:
        OutputError: as `whole_file` does.
    """
    with whole_file(path, mode=mode, durable=durable) as file:
        file.write(data)


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder under another name beside its own, and give it its own when it is complete.

    Args:
        folder: what it shall be called; a folder of that name is replaced with all that it holds.
        files: names within it, which may have folders of their own, such as "1/model.onnx".

    Raises:
        OutputError: it cannot be written; what was there still is.
    """
    try:
        fresh = Path(tempfile.mkdtemp(PART, f".{folder.name}.", folder.parent))
        try:
            for name, data in files.items():
                (fresh / name).parent.mkdir(exist_ok=True)
                with (fresh / name).open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            fresh.chmod(0o755)
            _take_the_place(fresh, folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}") from error


def _take_the_place(fresh: Path, folder: Path) -> None:
    if not folder.exists():
        fresh.rename(folder)
        return
    # A folder cannot be exchanged in one step everywhere; the old one steps aside first.
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
    folder.rename(old / folder.name)
    fresh.rename(folder)
    shutil.rmtree(old)


def _target(path: Path) -> Path:
    """The regular file that a path means, or will mean.

    Raises:
        OutputError: it is a device, a pipe or another thing that must not be replaced.
    """
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    with contextlib.suppress(FileNotFoundError):
        status = target.stat()
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise OutputError(f"{path} is not a regular file and is left alone; name a file")
    return target


def _mode(path: Path) -> int:
    """The mode of the file that is replaced, or that of a new file."""
    try:
        return path.stat().st_mode & 0o777
    except OSError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask
