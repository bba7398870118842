"""Where the rows of a cluster go: a folder on a file system that every node sees, or in an object store.

What is written is there whole or not at all, so a partition that two actors write is one that either wrote.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from dgqa_infer.atomic import whole_file
from dgqa_infer.errors import OutputError, UsageError
from dgqa_infer.inputs import remote
from dgqa_infer.inputs.addresses import shown, without_secrets

SCHEMES = ("s3", "gs", "gcs", "az", "abfs")


@dataclass(frozen=True, slots=True)
class Destination:
    """A folder. Can be pickled.

    Attributes:
        name: a path, or an address such as "s3://bucket/folder".
    """

    name: str

    def __post_init__(self) -> None:
        scheme = self.name.partition("://")[0].lower() if remote.is_remote(self.name) else None
        if scheme is not None and scheme not in SCHEMES:
            raise UsageError(f"{self.shown}: rows can be written to a folder, or to {', '.join(SCHEMES)}")

    @property
    def shown(self) -> str:
        """Its name without credentials and signatures."""
        return shown(self.name)

    def read(self, name: str) -> bytes | None:
        """The bytes of a file in it; None where there is none."""
        with self._errors("read"):
            try:
                if remote.is_remote(self.name):
                    system, root = self._system()
                    data: bytes = system.cat_file(f"{root}/{name}")
                    return data
                return (Path(self.name) / name).read_bytes()
            except FileNotFoundError:
                return None

    def write(self, name: str, data: bytes) -> None:
        """Write a file; one of the same name is replaced."""
        with self.writing(name) as file:
            file.write(data)

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """A file to write to, which is there when the block ends without an error.

        Raises:
            OutputError: it cannot be written.
        """
        with self._errors("written"):
            if remote.is_remote(self.name):
                # In memory until it is whole: an object appears when the last of it has arrived.
                memory = io.BytesIO()
                yield memory
                system, root = self._system()
                system.pipe_file(f"{root}/{name}", memory.getvalue())
                return
            path = Path(self.name) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path, overwrite=True) as file:
                yield file

    def names(self, folder: str = "") -> list[str]:
        """Names of what lies in a folder of it, sorted; none where there is no such folder."""
        with self._errors("listed"):
            try:
                if not remote.is_remote(self.name):
                    return sorted(path.name for path in (Path(self.name) / folder).iterdir())
                system, root = self._system()
                found = system.ls(f"{root}/{folder}".rstrip("/"), detail=False, refresh=True)
                return sorted(name.rstrip("/").rpartition("/")[2] for name in found)
            except FileNotFoundError:
                return []

    def remove(self, name: str) -> None:
        """Remove a file, if there is one."""
        with self._errors("changed"):
            try:
                if remote.is_remote(self.name):
                    system, root = self._system()
                    system.rm_file(f"{root}/{name}")
                else:
                    (Path(self.name) / name).unlink()
            except FileNotFoundError:
                return

    def _system(self) -> tuple[Any, str]:
        """fsspec's file system, and the folder's path in it; opened once in a process."""
        try:
            from fsspec.core import url_to_fs

            system, root = url_to_fs(self.name)
        except ImportError as error:
            raise UsageError(
                f"{self.shown} needs packages that are not installed: pip install 'dgqa-infer[remote]'"
            ) from error
        return system, root.rstrip("/")

    @contextmanager
    def _errors(self, word: str) -> Iterator[None]:
        try:
            yield
        except (OutputError, UsageError):
            raise
        except OSError as error:
            raise OutputError(f"{self.shown} cannot be {word}: {error.strerror or error}") from error
        except Exception as error:
            if not remote.is_remote(self.name) or not _is_of_a_store(error):
                raise
            text = without_secrets(" ".join(str(error).split()))[:300]
            raise OutputError(f"{self.shown} cannot be {word}: {type(error).__name__}: {text}") from error


def _is_of_a_store(error: Exception) -> bool:
    """Whether this is what a store's client says of the store, and not what another part says."""
    return type(error).__module__.partition(".")[0] not in ("builtins", "dgqa_infer")
