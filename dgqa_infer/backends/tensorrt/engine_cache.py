"""TensorRT engines that were built on this machine, in a folder of the user's own.

An engine is a program: whoever can change it can run code. So engines are built here from a graph whose
hash is known, never downloaded; the folder belongs to the user and is closed to others; and beside each
engine a sidecar says what it was built from, with what, and for what, and vouches for its bytes. What does
not fit is never loaded.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from dgqa_infer import system
from dgqa_infer.atomic import write_whole
from dgqa_infer.backends.tensorrt.engine_key import EngineKey, EngineRecord, Environment
from dgqa_infer.errors import BackendError, OutputError

_MAX_SIDECAR_BYTES = 100_000


def default_folder() -> Path:
    """Where engines are kept: `DGQA_CACHE`, or the place for caches of this system.

    Raises:
        BackendError: this user has no home, and none was named.
    """
    if chosen := os.environ.get("DGQA_CACHE"):
        return Path(chosen) / "engines"
    if (folder := system.cache_folder()) is None:
        raise BackendError("this user has no home to keep engines in: name a folder with DGQA_CACHE")
    return folder / "dgqa-infer" / "engines"


class EngineCache:
    """The folder of engines.

    Attributes:
        folder: made when the first engine is stored.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Of a folder, or of `default_folder`.

        Raises:
            BackendError: there is none.
        """
        self.folder = folder or default_folder()

    def store(self, key: EngineKey, model: str, plan: bytes, seconds: float) -> EngineRecord:
        """Keep an engine; one of the same key is replaced.

        The sidecar is written last: without it there is no engine, so a break leaves nothing half-made.

        Raises:
            BackendError: the folder is open to others.
            OutputError: it cannot be written.
        """
        record = EngineRecord(key, model, hashlib.sha256(plan).hexdigest(), len(plan), round(seconds, 3))
        sidecar = f"{key.digest}.json"
        try:
            (self.folder / sidecar).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"the engine in {self.folder} cannot be replaced: {error.strerror}") from error
        self.write(f"{key.digest}.engine", plan)
        self.write(sidecar, json.dumps(record.as_json(), indent=2).encode() + b"\n")
        return record

    def write(self, name: str, data: bytes) -> None:
        """Write a file of the cache, whole or not at all, readable by the user alone.

        Raises:
            BackendError: the folder is open to others.
            OutputError: it cannot be written.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._refuse_open_folder()
            write_whole(self.folder / name, data, overwrite=True, mode=0o600)
        except OSError as error:
            raise OutputError(f"{name} cannot be kept in {self.folder}: {error.strerror}") from error

    def subfolder(self, name: str) -> Path:
        """A folder within, for a runtime that keeps its engines itself; as private as the cache.

        Raises:
            BackendError: the cache is open to others.
            OutputError: it cannot be made.
        """
        folder = self.folder / name
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._refuse_open_folder()
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder} cannot be made: {error.strerror}") from error
        return folder

    def records(self) -> Iterator[EngineRecord]:
        """All engines whose sidecars can be read and belong to their names, in the order of their names."""
        if not self.folder.is_dir():
            return
        self._refuse_open_folder()
        for sidecar in sorted(self.folder.glob("*.json")):
            try:
                with sidecar.open("rb") as file:
                    record = EngineRecord.from_json(json.loads(file.read(_MAX_SIDECAR_BYTES)))
            except (OSError, ValueError, RecursionError):
                continue
            if record.key.digest == sidecar.stem:
                yield record

    def remove(self, record: EngineRecord) -> None:
        """Forget an engine; the sidecar goes first, so that a break leaves no claim without its engine."""
        for suffix in ("json", "engine"):
            (self.folder / f"{record.key.digest}.{suffix}").unlink(missing_ok=True)

    def find(self, graph: str, preprocessing: str, here: Environment) -> EngineRecord:
        """The engine for a graph on this GPU; of several, the one that takes the largest batch.

        Args:
            graph: sha256 of the ONNX file.
            preprocessing: id from the model's card.
            here: TensorRT and GPU that shall run it.

        Raises:
            BackendError: there is none; says what there is instead, and why it does not fit.
        """
        same = [record for record in self.records() if record.key.graph == graph]
        fitting = [
            record
            for record in same
            if record.key.obstacle(here) is None and record.key.preprocessing == preprocessing
        ]
        if fitting:
            return max(fitting, key=lambda record: record.key.profile.largest)
        if not same:
            raise BackendError("there is no TensorRT engine of this model yet")
        obstacle = same[-1].key.obstacle(here) or "it was built for another preprocessing"
        raise BackendError(f"the TensorRT engine of this model is stale: {obstacle}")

    def plan(self, record: EngineRecord) -> bytes:
        """The engine's bytes, checked against its sidecar.

        Raises:
            BackendError: they are missing, truncated or changed.
        """
        path = self.folder / f"{record.key.digest}.engine"
        self._refuse_open_folder()
        try:
            with path.open("rb") as file:
                plan = file.read(record.bytes + 1)
        except OSError as error:
            raise BackendError(f"the engine {path} cannot be read ({error.strerror})") from error
        if len(plan) < record.bytes:
            raise BackendError(f"the engine {path} is truncated: {len(plan)} of {record.bytes} bytes")
        if len(plan) > record.bytes or hashlib.sha256(plan).hexdigest() != record.sha256:
            raise BackendError(f"the engine {path} is not the one that was built: its sha256 has changed")
        return plan

    def _refuse_open_folder(self) -> None:
        status = self.folder.lstat()
        if not stat.S_ISDIR(status.st_mode):
            raise BackendError(f"the engine cache {self.folder} is not a folder of its own; remove it")
        if system.belongs_to_another(status):
            raise BackendError(f"the engine cache {self.folder} belongs to another user; remove it")
        if system.open_to_others(status):
            raise BackendError(
                f"the engine cache {self.folder} is open to other users, who could have put programs there: "
                f"empty it and chmod 700 {self.folder}"
            )
