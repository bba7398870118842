"""The log of a run: a JSONL file that is valid whatever happens, and that a later run continues.

Each row is appended with one write. A power failure may take the last seconds; a row torn in two is cut off
before the next run goes on. Rows are in the inputs' order: the log is always a beginning of the whole. An
input that is done again has a row more at the end, which takes the place of the first when the log is closed.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import UnionType
from typing import Self, cast

from dgqa_infer import system
from dgqa_infer.atomic import whole_file
from dgqa_infer.errors import OutputError, UsageError
from dgqa_infer.outputs.jsonl import encode
from dgqa_infer.outputs.last_lines import last_lines
from dgqa_infer.results import Row

_SYNC_SECONDS = 5.0
_ROW_BEGINS = b'{"path": '
# In the place of a file's state: its row is not the end of it; and: the state is not known.
# No hash is -1, so no state is either of them.
_AGAIN, _UNKNOWN = -1, -2


class RecoveryLog:
    """An open log; a context manager. Nobody else can open it meanwhile.

    Attributes:
        path: of the file.
        rows_before: how many rows it held when it was opened.
        models: that those rows are of.
    """

    def __init__(
        self,
        path: Path,
        *,
        resume: bool,
        overwrite: bool = False,
        again: Callable[[Row], bool] = lambda _: False,
    ) -> None:
        """Open a log, mend its end, and learn what is done.

        Args:
            path: of the file; it is made if there is none.
            resume: continue a file that has rows; without it such a file is refused.
            overwrite: without `resume`, begin anew; what is there stays until the first row is written.
            again: whether an input with such a row is not done, and is scored again.

        Raises:
            UsageError: the file has rows and is not to be continued, or it is no log.
            OutputError: it cannot be written, is no file, or another run is writing to it.
        """
        self.path = path
        self._again = again
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | system.BINARY, 0o666)
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror}") from error
        self.models: set[str] = set()
        self._done: dict[int, int] = {}
        self._superseded = False
        self.rows_before = 0
        self._size = 0
        self._begun = resume or not overwrite
        try:
            if not system.lock(self._descriptor):
                raise OutputError(f"another run is writing to {path}")
            status = os.fstat(self._descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OutputError(f"{path} is not a file, and is left alone")
            if status.st_size and not resume and not overwrite:
                raise UsageError(
                    f"{path} holds the rows of an earlier run: continue it with --resume, or begin anew with"
                    " --overwrite"
                )
            if self._begun:
                self._size = self._learn()
                self._cut()
            system.sync_folder(path.parent)
        except BaseException:
            os.close(self._descriptor)
            raise
        self._synced = time.monotonic()

    def done(self, path: str, size: int | None, mtime: float | None, model: str) -> bool | None:
        """Whether a file has a row already, from the same model, and has not changed since.

        Returns:
            None where it has none; else whether that row is a score.
        """
        state = self._done.get(hash((path, model)))
        if state == _UNKNOWN:
            return False
        if state is None or state >> 1 != _state(size, mtime):
            return None
        return bool(state & 1)

    def write(self, row: Row) -> None:
        """Append a row.

        Raises:
            OutputError: it could not be written; the rows before it are valid.
        """
        line = encode(row)
        try:
            self._begin()
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            if time.monotonic() - self._synced > _SYNC_SECONDS:
                os.fsync(self._descriptor)
                self._synced = time.monotonic()
        except OSError as error:
            os.ftruncate(self._descriptor, self._size)
            raise OutputError(
                f"{self.path} cannot be written: {error.strerror}; its rows are valid, and --resume goes on"
            ) from error
        self._size += len(line)
        # Of a run's own rows none is remembered: their paths differ.
        self._superseded |= _key(row) in self._done

    def rows(self) -> Iterator[Row]:
        """All rows in the file: the last of each input, in the place of its first."""
        self._begin()
        with self.path.open("rb") as file:
            for _, line in last_lines(file, _key_of):
                if (row := _row(line)) is not None:
                    yield row

    def discard(self) -> None:
        """Remove the file: what it holds is elsewhere."""
        self._superseded = False
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, /, *_: object) -> None:
        try:
            if kind is None:
                self._begin()
            os.fsync(self._descriptor)
            if kind is None and self._superseded:
                # Files that changed have an old row and a new one; only the new one stays.
                with whole_file(self.path, overwrite=True) as file:
                    for row in self.rows():
                        file.write(encode(row))
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written: {error.strerror}") from error
        finally:
            os.close(self._descriptor)

    def _begin(self) -> None:
        """Before anything is written: let go of rows that are not continued."""
        if not self._begun:
            self._begun = True
            self._cut()

    def _cut(self) -> None:
        """Keep the whole rows alone, and write behind them."""
        os.ftruncate(self._descriptor, self._size)
        os.lseek(self._descriptor, self._size, os.SEEK_SET)

    def _learn(self) -> int:
        """Read what is done; return how many bytes of the file are whole rows."""
        good = 0
        with open(os.dup(self._descriptor), "rb") as file:  # noqa: PTH123 (a descriptor)
            file.seek(0)
            for number, line in enumerate(file, 1):
                row = _row(line)
                if row is None:
                    rest = line + file.read(1 << 20)
                    if file.read(1) or not _torn(rest):
                        raise UsageError(
                            f"{self.path} is no output of dgqa-infer: its line {number} is not a row"
                        )
                    break
                key = _key(row)
                self._superseded |= key in self._done
                self._done[key] = self._end_of(row)
                self.rows_before += 1
                self.models.add(row["model"])
                good += len(line)
        return good

    def _end_of(self, row: Row) -> int:
        """What `_done` keeps of a row: the state of its file, and whether it has a score."""
        error = row.get("error")
        if self._again(row):
            return _AGAIN
        if error is not None and row.get("size") is None and error["code"] != "not_found":
            return _UNKNOWN
        return _state(row.get("size"), row.get("mtime")) << 1 | (error is None)


def _key(row: Row) -> int:
    # Python's hashes instead of the names: a million rows take some tens of MB, and 64 bits tell them apart.
    return hash((row["path"], row["model"]))


def _key_of(_: int, line: bytes) -> int | None:
    return None if (row := _row(line)) is None else _key(row)


def _state(size: int | None, mtime: float | None) -> int:
    return hash((size, mtime))


def _row(line: bytes) -> Row | None:
    """The row in a line; None where it is none, or not whole."""
    if not line.endswith(b"\n"):
        return None
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return cast("Row", row) if isinstance(row, dict) and _is_row(row) else None


def _is_row(row: dict[str, object]) -> bool:
    """Whether an object has the keys that this program reads again, each with a value of its kind."""
    error = row.get("error")
    kinds: dict[str, type | UnionType] = dict.fromkeys(("score", "raw", "spread"), int | float)
    kinds |= {"width": int, "height": int, "size": int | None, "mtime": int | float | None}
    kinds |= {"path": str | None, "model": str, "warnings": list}
    return (
        {"path", "model"} <= set(row)
        and ("score" in row) != (error is not None)
        and all(isinstance(row[key], kind) for key, kind in kinds.items() if key in row)
        and (error is None or (isinstance(error, dict) and isinstance(error.get("code"), str)))
    )


def _torn(rest: bytes) -> bool:
    """Whether this is what a power failure leaves of rows: a beginning of one, or blocks of zeros."""
    begun = rest.rstrip(b"\0")
    return b"\n" not in begun and begun[: len(_ROW_BEGINS)] == _ROW_BEGINS[: len(begun)]
