"""The one way to write a file or a folder: it is there whole or not at all.

What is written has another name until it is complete. A link is followed, so that it stays one. What is no
file, such as a pipe, a terminal or /dev/stdout, is never replaced: bytes are sent through it as they come.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from dgqa_infer import system
from dgqa_infer.errors import OutputError
from dgqa_infer.folder import Folder
from dgqa_infer.streams import check_stream, is_stream, open_stream

PART: Final = ".part"
"""Ending of the names that files have until they are complete; such a name begins with a dot."""


@contextmanager
def whole_file(
    path: Path, *, overwrite: bool, mode: int | None = None, durable: bool = True
) -> Iterator[BinaryIO]:
    """Write a file under another name beside its own, and give it its own when it is complete.

    Args:
        path: what it shall be called; of a link, what it points to. Bytes go through a stream as they come.
        overwrite: whether a file that is there is replaced. One without a byte always is.
        mode: permissions; None for those of the file that is replaced, or of a new file.
        durable: whether it must outlive a power failure, which takes milliseconds.

    Raises:
        OutputError: it cannot be written, or is there and is not to be replaced; what was there still is.
    """
    with _told(path):
        check_output(path, overwrite=overwrite)
        if is_stream(path):
            with open_stream(path) as stream:
                yield stream
            return
        target = _followed(path)
        with (
            Folder(target.parent) as folder,
            whole_file_in(folder, target.name, overwrite=overwrite, mode=mode, durable=durable) as file,
        ):
            yield file


@contextmanager
def whole_file_in(
    folder: Folder, name: str, *, overwrite: bool, mode: int | None = None, durable: bool = True
) -> Iterator[BinaryIO]:
    """As `whole_file`, in a folder that is open; a link of this name is replaced, and not followed.

    Args:
        folder: it.
        name: of the file in it.
        overwrite: as for `whole_file`.
        mode: as for `whole_file`.
        durable: as for `whole_file`.

    Raises:
        OSError: it cannot be written; FileExistsError if it is there and is not to be replaced.
    """
    part = f".{_beginning(name)}.{secrets.token_hex(4)}{PART}"
    descriptor = folder.create(part)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 (a descriptor)
            yield file
            file.flush()
            if durable:
                os.fsync(descriptor)
            mode = _mode(folder, name) if mode is None else mode
            system.set_mode(descriptor, folder.path_of(part), mode)
        _give_name(folder, part, name, overwrite=overwrite)
    except BaseException:
        with contextlib.suppress(OSError):
            folder.remove(part)
        raise
    if durable:
        folder.sync()


def write_whole(
    path: Path, data: bytes, *, overwrite: bool, mode: int | None = None, durable: bool = True
) -> None:
    """Write a file of these bytes; see `whole_file`.

    Raises:
        OutputError: as `whole_file` does.
    """
    with whole_file(path, overwrite=overwrite, mode=mode, durable=durable) as file:
        file.write(data)


def check_output(path: Path, *, overwrite: bool) -> None:
    """Find out now what would keep `whole_file` from writing at the end of hours of work.

    Raises:
        OutputError: says what; nothing is changed.
    """
    with _told(path):
        if is_stream(path):
            check_stream(path)
            return
        target = _followed(path)
        if not system.may_write(target.parent):
            # Which of the reasons it is, the system says best.
            Folder(target.parent).close()
            raise OutputError(f"{path} cannot be written: no file can be made in {target.parent}")
        with contextlib.suppress(FileNotFoundError):
            status = target.stat()
            if not stat.S_ISREG(status.st_mode):
                raise OutputError(f"{path} is {_kind(status.st_mode)}, not a file, and is left alone")
            if status.st_size and not overwrite:
                raise FileExistsError


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder under another name beside its own, and give it its own when it is complete.

    Args:
        folder: what it shall be called; of a link, what it points to. A folder of that name is replaced with
            all that it holds.
        files: names within it, which may have folders of their own, such as "1/model.onnx".

    Raises:
        OutputError: it cannot be written; what was there still is.
    """
    with _told(folder):
        target = _followed(folder)
        fresh = Path(tempfile.mkdtemp(PART, f".{_beginning(target.name)}.", target.parent))
        try:
            for name, data in files.items():
                (fresh / name).parent.mkdir(exist_ok=True)
                with (fresh / name).open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            fresh.chmod(0o755)
            _take_the_place(fresh, target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What the system says becomes a sentence with the file's name."""
    try:
        yield
    except FileExistsError as error:
        raise OutputError(
            f"{path} is there already, and is not replaced without --overwrite; or name another file"
        ) from error
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error


def _give_name(folder: Folder, part: str, name: str, *, overwrite: bool) -> None:
    """Rename a file; unless it may be replaced, one of that name that has appeared meanwhile stays."""
    if not overwrite:
        try:
            # A link, for unlike a rename it never replaces what is there.
            folder.link(part, name)
        except FileExistsError:
            if folder.status(name).st_size:
                raise
        except OSError:
            # A file system without links.
            with contextlib.suppress(FileNotFoundError):
                if folder.status(name).st_size:
                    raise FileExistsError from None
        else:
            folder.remove(part)
            return
    try:
        folder.rename(part, name)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        # A single file that is mounted, as into a container: nothing can take its place, so it is filled.
        folder.fill(name, part)
        folder.remove(part)


def _take_the_place(fresh: Path, folder: Path) -> None:
    if not folder.exists():
        fresh.rename(folder)
        return
    # A folder cannot be exchanged in one step everywhere; the old one steps aside first.
    old = Path(tempfile.mkdtemp(prefix=f".{_beginning(folder.name)}.old.", dir=folder.parent))
    folder.rename(old / folder.name)
    fresh.rename(folder)
    shutil.rmtree(old)


def _beginning(name: str) -> str:
    """As much of a name as leaves room for more: systems count bytes, of which a letter has up to four."""
    return os.fsdecode(os.fsencode(name)[:100])


def _followed(path: Path) -> Path:
    """What a path means, links followed; it need not be there."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFBLK: "a disk", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a special file")


def _mode(folder: Folder, name: str) -> int:
    """The mode of the file that is replaced, or that of a new file."""
    with contextlib.suppress(OSError):
        there = folder.status(name).st_mode
        if stat.S_ISREG(there):
            return there & 0o777
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask
