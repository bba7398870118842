"""Photographs copied, linked or moved into a folder, and none lost or replaced."""

from __future__ import annotations

import os
import shutil
from enum import StrEnum
from pathlib import Path, PurePosixPath

from dgqa_infer.errors import OutputError
from dgqa_infer.inputs.own_pictures import mark_folder


class How(StrEnum):
    """What is done with a photograph."""

    COPY = "copy"
    LINK = "link"
    MOVE = "move"


def place_in(folder: Path, name: str) -> Path:
    """Where a photograph goes within a folder; never outside of it.

    Args:
        folder: the folder.
        name: the photograph's path within its set.
    """
    parts = [part for part in PurePosixPath(name).parts if part not in ("/", "..", ".")]
    return folder.joinpath(*parts)


def put(source: Path, target: Path, how: How) -> bool:
    """Copy, link or move one file, and its sidecar `NAME.xmp` where it has one.

    Args:
        source: the file.
        target: its new name; folders are made. A file that is there is never replaced.
        how: what is done.

    Returns:
        Whether it was done; false where the same was done before.

    Raises:
        OutputError: something else is there, or it cannot be done.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(target):
            if _done_before(source, target):
                return False
            raise OutputError(f"{target} is there already, and is not replaced")
        _put(source, target, how)
        sidecar, beside = (each.with_name(f"{each.name}.xmp") for each in (source, target))
        if sidecar.is_file() and not os.path.lexists(beside):
            _put(sidecar, beside, how)
    except OSError as error:
        raise OutputError(f"{source} cannot be put at {target}: {error.strerror or error}") from error
    return True


def mark_copies(folder: Path) -> None:
    """Mark a folder of copies or links, so that they are not scored beside their originals.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        mark_folder(folder)
    except OSError as error:
        raise OutputError(f"{folder} cannot be marked: {error.strerror or error}") from error


def _done_before(source: Path, target: Path) -> bool:
    if target.is_symlink():
        return target.resolve() == source.resolve()
    there, here = target.stat(), source.stat()
    return (there.st_size, there.st_mtime_ns) == (here.st_size, here.st_mtime_ns)


def _put(source: Path, target: Path, how: How) -> None:
    if how is How.LINK:
        target.symlink_to(source.resolve())
        return
    if how is How.MOVE:
        if source.is_symlink():
            # As it is it would lead elsewhere from there, or nowhere.
            target.symlink_to(source.resolve())
            source.unlink()
            return
        try:
            # A link first: unlike a rename it never replaces what is there.
            os.link(source, target)
        except FileExistsError:
            raise
        except (OSError, NotImplementedError):
            # There are no such links here: on another disk, on Windows.
            _copy(source, target)
        source.unlink()
        return
    _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    """Copy a file with its times and its mode; what cannot be copied whole is not left there."""
    with source.open("rb") as reader, target.open("xb") as writer:
        try:
            shutil.copyfileobj(reader, writer, 1 << 20)
            writer.flush()
            os.fsync(writer.fileno())
        except BaseException:
            target.unlink(missing_ok=True)
            raise
    shutil.copystat(source, target)
