"""Archives, and a web server on this machine that can be slow, broken and large."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tarfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dgqa_infer.errors import ImageError
from dgqa_infer.images.decode import DecodeLimits, decode
from dgqa_infer.inputs import remote, stores
from dgqa_infer.inputs.files import file_status
from dgqa_infer.inputs.finder import InputFinder

pytest.importorskip("fsspec")


def jpeg(grey: int = 255) -> bytes:
    file = io.BytesIO()
    Image.new("L", (40, 40), grey).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("b/2.jpg", jpeg(51))
        file.writestr("a/1.jpg", jpeg(255))
        file.writestr("a/notes.txt", "hello")
        file.writestr("0.jpg", b"")
        file.writestr("huge.jpg", bytes(3_000_000))
    return path


@pytest.fixture
def score(cli: Any, tiny_bundle: Path) -> Any:
    return lambda *arguments: cli(
        "score", "--model", tiny_bundle, "--device", "cpu", "--workers", 1, *arguments
    )


def told(ran: Any) -> dict[str, Any]:
    return {row["path"]: row["error"]["code"] if "error" in row else round(row["score"]) for row in ran.rows}


def test_an_archive_is_a_folder(score: Any, archive: Path) -> None:
    ran = score(archive, "--limit-file-size", "1MB")
    assert told(ran) == {
        f"zip://0.jpg::{archive}": "empty",
        f"zip://huge.jpg::{archive}": "too_large",
        f"zip://a/1.jpg::{archive}": 100,
        f"zip://b/2.jpg::{archive}": 20,
    }
    assert "1 passed over (1 not an image)" in ran.stderr
    assert ran.code == 3


def test_include_exclude_and_recursion_hold_in_archives(archive: Path) -> None:
    def found(**options: Any) -> list[str]:
        return [str(entry).partition("::")[0] for entry in InputFinder(**options).find([str(archive)])]

    assert found(include=["*.txt"]) == ["zip://a/notes.txt"]
    assert found(exclude=["a/**", "huge*"]) == ["zip://0.jpg", "zip://b/2.jpg"]
    assert found(recursive=False) == ["zip://0.jpg", "zip://huge.jpg"]


def test_a_part_of_an_archive_can_be_named(archive: Path) -> None:
    assert list(InputFinder().find([f"zip://a::{archive}"])) == [f"zip://a/1.jpg::{archive}"]
    assert decode(f"zip://b/2.jpg::{archive}").width == 40


def test_a_tar_archive_is_a_folder_too(score: Any, tmp_path: Path) -> None:
    path = tmp_path / "photos.tar.gz"
    with tarfile.open(path, "w:gz") as file:
        member = tarfile.TarInfo("a/1.jpg")
        member.size = len(jpeg())
        file.addfile(member, io.BytesIO(jpeg()))
        outside = tarfile.TarInfo("../../escape.jpg")
        outside.size = len(jpeg())
        file.addfile(outside, io.BytesIO(jpeg()))
        link = tarfile.TarInfo("link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        file.addfile(link)
    ran = score(path)
    assert told(ran)[f"tar://a/1.jpg::{path}"] == 100
    assert not (tmp_path.parent.parent / "escape.jpg").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and nothing", b"just text"])
def test_a_broken_archive_is_one_row(score: Any, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.zip"
    path.write_bytes(content)
    ran = score(path)
    assert (ran.code, list(told(ran).values())) == (4, ["unreadable"])


def test_what_was_scored_in_an_archive_is_skipped_on_resuming(
    score: Any, archive: Path, tmp_path: Path
) -> None:
    output = tmp_path / "rows.jsonl"
    score(archive, "-o", output)
    ran = score(archive, "-o", output, "--resume")
    assert "4 done by an earlier run, 2 of them without a score" in ran.stderr
    assert len([json.loads(line) for line in output.read_text().splitlines()]) == 4


@pytest.fixture
def web() -> Iterator[Any]:
    """A server whose pages say what they do, and how often each was asked for."""
    asked: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked[self.path] += self.command == "GET"
            body = jpeg(51)
            if "broken" in self.path or ("flaky" in self.path and asked[self.path] < 2):
                self.send_error(500)
                return
            if "none" in self.path:
                self.send_error(404)
                return
            if "slow" in self.path:
                time.sleep(5)
            self.send_response(200)
            if "endless" in self.path:
                self.end_headers()
                for _ in range(1000 if self.command == "GET" else 0):
                    self.wfile.write(bytes(100_000))
                return
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_web_addresses_have_a_row_each_whatever_the_server_does(score: Any, web: Any) -> None:
    address, asked = web
    names = ["a.jpg", "flaky.jpg", "none.jpg", "broken.jpg", "endless.jpg", "slow.jpg"]
    limits = ("--allow-private", "--limit-file-size", "1MB", "--limit-time", "4s", "--workers", 3)
    ran = score(*(f"{address}/{name}" for name in names), *limits)
    assert told(ran) == {
        f"{address}/a.jpg": 20,
        f"{address}/flaky.jpg": 20,
        f"{address}/none.jpg": "not_found",
        f"{address}/broken.jpg": "unreadable",
        f"{address}/endless.jpg": "too_large",
        f"{address}/slow.jpg": "timed_out",
    }
    assert asked["/broken.jpg"] >= 3
    assert asked["/none.jpg"] == 1


@pytest.mark.parametrize(
    "address",
    ["ssh://host/a.jpg", "github://x:y@z/a.jpg", "file:///etc/passwd", "zip://a.jpg::ssh://h/x.zip"],
)
def test_addresses_that_reach_into_other_things_are_refused(address: str) -> None:
    with pytest.raises(ImageError, match="is none of s3, gs") as error:
        decode(address)
    assert error.value.code == "unsupported"


def test_a_missing_extra_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(ImageError) as error:
        decode("s3://bucket/a.jpg")
    assert "pip install 'dgqa-infer[remote]'" in error.value.message
    (found,) = InputFinder().find(["s3://bucket/folder"])
    assert isinstance(found, ImageError)
    assert found.code == "unsupported"


def test_limits_hold_for_members_of_archives(archive: Path) -> None:
    with pytest.raises(ImageError) as error:
        decode(f"zip://huge.jpg::{archive}", DecodeLimits(file_bytes=1000))
    assert error.value.code == "too_large"
    with pytest.raises(ImageError) as error:
        decode(f"zip://none.jpg::{archive}")
    assert error.value.code == "not_found"


def test_size_is_told_without_reading(archive: Path) -> None:
    assert file_status(f"zip://huge.jpg::{archive}")[0] == 3_000_000
    assert file_status(f"zip://none.jpg::{archive}") == (None, None)


@pytest.mark.parametrize(
    ("info", "seconds"),
    [
        ({"LastModified": datetime(2026, 1, 1, tzinfo=UTC)}, 1767225600.0),
        ({"mtime": "2026-01-01T00:00:00+00:00"}, 1767225600.0),
        ({"updated": "yesterday", "mtime": 5}, 5.0),
        ({}, None),
    ],
)
def test_stores_tell_the_time_in_their_own_ways(info: dict[str, Any], seconds: float | None) -> None:
    assert stores.changed(info) == seconds


def test_paths_are_not_taken_for_addresses() -> None:
    assert not any(map(remote.is_remote, ["a.jpg", "/a/b.jpg", "C:\\a.jpg", "a:b.jpg", "./http:/x"]))
    assert all(map(remote.is_remote, ["s3://b/k", "HTTPS://host/x", "zip://::a.zip"]))
