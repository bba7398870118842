"""Rows are there whole or not at all, in a folder and in an object store."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dgqa_infer import OutputError, UsageError
from dgqa_infer.ray.destination import Destination


@pytest.fixture
def store() -> Iterator[type[Any]]:
    """An object store in this process's memory that answers to s3://; it can be told to fail."""
    fsspec = pytest.importorskip("fsspec")
    from fsspec.implementations.memory import MemoryFileSystem

    class Store(MemoryFileSystem):
        protocol = "s3"
        store: dict[str, Any] = {}  # noqa: RUF012 (fsspec's own way)
        pseudo_dirs: list[str] = [""]  # noqa: RUF012
        failure: Exception | None = None

        def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> None:
            if Store.failure is not None:
                raise Store.failure
            super().pipe_file(path, value, mode, **options)

    known = importlib.import_module("fsspec.registry")._registry
    before = dict(known)
    fsspec.register_implementation("s3", Store, clobber=True)
    yield Store
    known.clear()
    known.update(before)


@pytest.fixture(params=["folder", "store"])
def destination(request: pytest.FixtureRequest, tmp_path: Path) -> Destination:
    if request.param == "folder":
        return Destination(str(tmp_path / "rows"))
    request.getfixturevalue("store")
    return Destination("s3://bucket/rows")


def test_what_is_written_can_be_read_listed_and_removed(destination: Destination) -> None:
    assert destination.names() == []
    assert destination.read("_dgqa/run.json") is None
    destination.write("_dgqa/run.json", b"one")
    destination.write("_dgqa/run.json", b"two")
    destination.write("part.jsonl", b"rows")
    assert destination.read("_dgqa/run.json") == b"two"
    assert destination.names() == ["_dgqa", "part.jsonl"]
    assert destination.names("_dgqa") == ["run.json"]
    destination.remove("part.jsonl")
    destination.remove("part.jsonl")
    assert destination.names() == ["_dgqa"]


def test_a_file_that_is_not_completed_is_not_there(destination: Destination) -> None:
    destination.write("part.jsonl", b"before")

    def write_half() -> None:
        with destination.writing("part.jsonl") as file:
            file.write(b"half of")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert destination.read("part.jsonl") == b"before"
    assert destination.names() == ["part.jsonl"]


def test_a_store_without_credentials_is_named_with_its_reason(store: Any) -> None:
    class NoCredentialsError(Exception):
        pass

    store.failure = NoCredentialsError("Unable to locate\ncredentials")
    said = "s3://bucket/rows cannot be written: NoCredentialsError: Unable to locate credentials"
    with pytest.raises(OutputError, match=said):
        Destination("s3://bucket/rows").write("a", b"")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    destination = Destination(str(tmp_path / "file"))
    with pytest.raises(OutputError, match="file cannot be written: "):
        destination.write("_dgqa/run.json", b"")


def test_rows_do_not_go_to_the_web() -> None:
    with pytest.raises(UsageError, match="rows can be written to a folder, or to s3, gs, gcs, az, abfs"):
        Destination("https://example.org/rows")
