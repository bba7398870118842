"""The cache of engines: private, whole or not at all, and sceptical of what it finds."""

from __future__ import annotations

import json
import os
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dgqa_infer.backends.tensorrt import engine_cache
from dgqa_infer.backends.tensorrt.engine_cache import EngineCache, default_folder
from dgqa_infer.backends.tensorrt.engine_key import BatchProfile, EngineKey, Environment
from dgqa_infer.errors import BackendError, OutputError

HERE = Environment("tensorrt", "11.4.0.106", "NVIDIA H100", "9.0", "580.82.07")
KEY = EngineKey("ab" * 32, "fp32", "short512-grid5-224", HERE, BatchProfile(1, 8, 32))
posix = pytest.mark.skipif(sys.platform == "win32", reason="modes say nothing on Windows")


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "made" / "here")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_stored_is_found_again(cache: EngineCache) -> None:
    record = cache.store(KEY, "dgqa-lite0", b"an engine", 12.3456)
    assert list(cache.records()) == [record]
    assert cache.find(KEY.graph, KEY.preprocessing, HERE) == record
    assert cache.plan(record) == b"an engine"
    assert (record.bytes, record.seconds) == (9, 12.346)


def test_the_plan_is_a_pure_plan_and_the_sidecar_says_what_it_is(cache: EngineCache) -> None:
    cache.store(KEY, "dgqa-lite0", b"an engine", 1)
    assert (cache.folder / f"{KEY.digest}.engine").read_bytes() == b"an engine"
    sidecar = json.loads((cache.folder / f"{KEY.digest}.json").read_text())
    assert sidecar["key"]["environment"]["driver"] == "580.82.07"
    assert sidecar["key"]["profile"] == {"smallest": 1, "usual": 8, "largest": 32}
    assert sidecar["model"] == "dgqa-lite0"


@posix
def test_folder_and_files_are_the_users_alone(cache: EngineCache) -> None:
    cache.store(KEY, "m", b"x", 1)
    assert mode(cache.folder) == 0o700
    assert {mode(path) for path in cache.folder.iterdir()} == {0o600}
    assert mode(cache.subfolder("more")) == 0o700


@posix
@pytest.mark.parametrize("opened", [0o755, 0o710, 0o702, 0o777])
def test_a_folder_that_is_open_to_others_is_refused_for_reading_and_writing(
    cache: EngineCache, opened: int
) -> None:
    record = cache.store(KEY, "m", b"x", 1)
    cache.folder.chmod(opened)
    for attempt in (
        lambda: cache.store(KEY, "m", b"y", 1),
        lambda: list(cache.records()),
        lambda: cache.plan(record),
        lambda: cache.find(KEY.graph, KEY.preprocessing, HERE),
        lambda: cache.subfolder("more"),
    ):
        with pytest.raises(BackendError, match=r"open to other users.*chmod 700"):
            attempt()


@posix
def test_a_folder_of_another_user_is_refused(cache: EngineCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.store(KEY, "m", b"x", 1)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(BackendError, match="belongs to another user"):
        list(cache.records())


@posix
def test_a_link_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(real)
    with pytest.raises(BackendError, match="not a folder of its own"):
        list(EngineCache(tmp_path / "link").records())


def test_a_file_in_the_folders_place_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match="cannot be"):
        EngineCache(tmp_path / "taken").store(KEY, "m", b"x", 1)


def test_an_interrupted_write_leaves_no_engine_and_no_litter(
    cache: EngineCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.store(KEY, "m", b"old", 1)

    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(engine_cache.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        cache.store(KEY, "m", b"new", 1)
    # The old engine lost its sidecar before anything of the new one was written: there is none, not a
    # mixture.
    assert list(cache.records()) == []
    assert [path.name for path in cache.folder.iterdir()] == [f"{KEY.digest}.engine"]


def test_a_full_disk_is_an_output_error(cache: EngineCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(engine_cache.os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        cache.store(KEY, "m", b"x", 1)
    assert list(cache.folder.iterdir()) == []


def test_a_sidecar_under_another_name_counts_for_nothing(cache: EngineCache) -> None:
    cache.store(KEY, "m", b"x", 1)
    (cache.folder / f"{KEY.digest}.json").rename(cache.folder / f"{'0' * 24}.json")
    assert list(cache.records()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', "[" * 5000, "\udcff"])
def test_a_sidecar_that_is_none_is_passed_over(cache: EngineCache, text: str) -> None:
    record = cache.store(KEY, "m", b"x", 1)
    (cache.folder / f"{'1' * 24}.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert list(cache.records()) == [record]


def test_a_sidecar_that_claims_more_than_its_name_is_not_believed(cache: EngineCache) -> None:
    stale = replace(KEY, environment=replace(HERE, version="10.13.0"))
    cache.store(stale, "m", b"x", 1)
    sidecar = cache.folder / f"{stale.digest}.json"
    sidecar.write_text(sidecar.read_text().replace("10.13.0", "11.4.0.106"))
    with pytest.raises(BackendError, match="no TensorRT engine"):
        cache.find(KEY.graph, KEY.preprocessing, HERE)


def test_an_empty_cache_is_no_error(tmp_path: Path) -> None:
    assert list(EngineCache(tmp_path / "none").records()) == []


def test_removing_an_engine_removes_both_of_its_files(cache: EngineCache) -> None:
    cache.remove(cache.store(KEY, "m", b"x", 1))
    assert list(cache.folder.iterdir()) == []


def test_the_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DGQA_CACHE", str(tmp_path))
    assert default_folder() == tmp_path / "engines"


@pytest.mark.skipif(sys.platform != "linux", reason="the place for caches on Linux")
def test_by_itself_it_is_where_caches_belong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DGQA_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "dgqa-infer" / "engines"
