"""A folder that is open: what is done in it is done there, whatever becomes of its name meanwhile."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Self

from dgqa_infer import system


class Folder:
    """An open folder; a context manager that closes it. Names are of what lies in it; no link is followed."""

    def __init__(self, path: Path | str, within: Folder | None = None) -> None:
        """Open it.

        Args:
            path: of the folder.
            within: the folder that it lies in; there a link is no folder.

        Raises:
            OSError: it cannot be opened, or is none.
        """
        self._path = os.fspath(path) if within is None else within.path_of(os.fspath(path))
        self._descriptor: int | None = system.open_folder(
            self._path if within is None else os.fspath(path),
            None if within is None else within._descriptor,
            links=within is None,
        )

    def path_of(self, name: str) -> str:
        """The path of what has this name, which whoever renames a folder makes another's."""
        return os.path.join(self._path, name)  # noqa: PTH118 (names of bytes that are not text)

    def create(self, name: str) -> int:
        """A descriptor of a new file that only this user may read; the caller closes it.

        Raises:
            OSError: it cannot be made, or is there.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | system.BINARY
        return os.open(self._at(name), flags, 0o600, dir_fd=self._descriptor)

    def read(self, name: str, most: int) -> bytes:
        """The first bytes of a regular file.

        Raises:
            OSError: there is none, it cannot be read, or it is something else.
        """
        return system.read_no_link(self._at(name), most, within=self._descriptor)

    def make(self, name: str) -> None:
        """Make a folder in it.

        Raises:
            OSError: it cannot be made, or is there.
        """
        os.mkdir(self._at(name), dir_fd=self._descriptor)

    def status(self, name: str) -> os.stat_result:
        """What the system says of a name.

        Raises:
            OSError: there is nothing.
        """
        return os.stat(self._at(name), dir_fd=self._descriptor, follow_symlinks=False)

    def link(self, name: str, other: str) -> None:
        """Give a file a second name.

        Raises:
            OSError: that name is there, or the file system has no such links.
        """
        here = self._descriptor
        os.link(self._at(name), self._at(other), src_dir_fd=here, dst_dir_fd=here)

    def rename(self, name: str, other: str) -> None:
        """Give a file another name; what has it is replaced.

        Raises:
            OSError: it cannot be done.
        """
        here = self._descriptor
        os.replace(self._at(name), self._at(other), src_dir_fd=here, dst_dir_fd=here)

    def fill(self, name: str, other: str) -> None:
        """Give a regular file the bytes of another, in its place; no link is followed.

        Raises:
            OSError: it cannot be written, or is something else. Where there is no room it stays as it was.
        """
        here = self._descriptor
        with (
            open(os.open(self._at(other), os.O_RDONLY | system.BINARY, dir_fd=here), "rb") as source,  # noqa: PTH123
            open(system.open_no_link(self._at(name), os.O_WRONLY, here), "wb") as target,  # noqa: PTH123
        ):
            size = os.fstat(source.fileno()).st_size
            system.reserve(target.fileno(), size)
            shutil.copyfileobj(source, target, 1 << 20)
            target.truncate(size)
            os.fsync(target.fileno())

    def remove(self, name: str) -> None:
        """Remove a file.

        Raises:
            OSError: it cannot be removed.
        """
        os.unlink(self._at(name), dir_fd=self._descriptor)

    def sync(self) -> None:
        """Make sure that new names outlive a power failure, where a folder can be synchronised."""
        if self._descriptor is not None:
            system.sync(self._descriptor)

    def close(self) -> None:
        """Close it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _at(self, name: str) -> str:
        return self.path_of(name) if self._descriptor is None else name
