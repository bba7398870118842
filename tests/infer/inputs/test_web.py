"""Web addresses against servers on this machine that redirect, refuse, wait and say nothing."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dgqa_infer.errors import ImageError
from dgqa_infer.inputs import web
from dgqa_infer.inputs.addresses import shown, without_secrets


class Asked:
    """What a server was asked for, with which headers, and what it answers."""

    def __init__(self) -> None:
        self.times: Counter[str] = Counter()
        self.accounts: list[str | None] = []
        self.answers: dict[str, tuple[int, dict[str, str]]] = {}


@pytest.fixture
def server() -> Iterator[tuple[str, Asked]]:
    asked = Asked()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            asked.times[path] += 1
            asked.accounts.append(self.headers.get("Authorization"))
            code, headers = asked.answers.get(path, (200, {}))
            if code >= 500 and asked.times[path] > 1:
                code, headers = 200, {}
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "4")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(b"data")

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    thread = threading.Thread(target=running.serve_forever, args=(0.05,))
    thread.start()
    yield f"127.0.0.1:{running.server_port}", asked
    running.shutdown()
    thread.join()
    running.server_close()


def fetch(address: str) -> bytes:
    return web.fetch(address, 1000, allow_private=True)


def error_of(address: str, *, allow_private: bool = True) -> ImageError:
    with pytest.raises(ImageError) as error:
        web.fetch(address, 1000, allow_private=allow_private)
    return error.value


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "0.0.0.0", "[::ffff:127.0.0.1]"]
)
def test_this_machine_and_its_link_are_not_asked_unless_that_is_allowed(host: str) -> None:
    error = error_of(f"http://{host}:9/a.jpg", allow_private=False)
    assert error.code == "unreadable"
    assert "--allow-private" in error.message or "name is not known" in error.message


@pytest.mark.parametrize("host", ["a..b", "a" * 70])
def test_a_name_that_no_server_can_have_is_told(host: str) -> None:
    assert error_of(f"http://{host}/a.jpg").message == "the server's name is not known"


def test_a_redirect_is_checked_like_the_address_itself(
    server: tuple[str, Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    host, asked = server
    asked.answers["/a"] = (302, {"Location": f"http://{host}/b"})
    assert fetch(f"http://{host}/a") == b"data"
    for target in ("file:///etc/passwd", "ftp://host/a", "gopher://x", f"http://user:pw@{host}/b"):
        asked.answers["/a"] = (302, {"Location": target})
        assert error_of(f"http://{host}/a").code == "unreadable"
    # Only the first address is public here.
    port = int(host.partition(":")[2])
    monkeypatch.setattr(web, "_is_private", lambda place: place != "127.0.0.1")
    asked.answers["/a"] = (302, {"Location": f"http://127.0.0.2:{port}/b"})
    error = error_of(f"http://{host}/a", allow_private=False)
    assert "--allow-private" in error.message


def test_redirects_end(server: tuple[str, Asked]) -> None:
    host, asked = server
    for number in range(20):
        asked.answers[f"/{number}"] = (302, {"Location": f"/{number + 1}"})
    error = error_of(f"http://{host}/0")
    assert (error.code, "too many" in error.message) == ("unreadable", True)
    assert fetch(f"http://{host}/15") == b"data"


@pytest.mark.parametrize(
    ("code", "word"), [(404, "not_found"), (410, "not_found"), (403, "unreadable"), (401, "unreadable")]
)
def test_an_answer_that_will_not_change_is_taken_at_once(
    server: tuple[str, Asked], code: int, word: str
) -> None:
    host, asked = server
    asked.answers["/a"] = (code, {})
    assert error_of(f"http://{host}/a").code == word
    assert asked.times["/a"] == 1


def test_retry_after_is_kept(server: tuple[str, Asked], monkeypatch: pytest.MonkeyPatch) -> None:
    host, asked = server
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    asked.answers["/a"] = (503, {"Retry-After": "7"})
    assert fetch(f"http://{host}/a") == b"data"
    assert slept == [7.0]
    asked.answers["/b"] = (503, {"Retry-After": "3600"})
    assert "3,600 s" in error_of(f"http://{host}/b").message
    assert asked.times["/b"] == 1


def test_an_account_goes_to_its_host_and_no_further(server: tuple[str, Asked]) -> None:
    host, asked = server
    asked.answers["/a"] = (302, {"Location": f"http://{host}/b"})
    assert fetch(f"http://me:secret@{host}/a") == b"data"
    assert asked.accounts == ["Basic " + base64.b64encode(b"me:secret").decode(), None]


def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "_SILENCE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/a.jpg"
        assert "said nothing" in error_of(address).message
        assert web.size(address, allow_private=True) is None


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://me:secret@host/a.jpg", "https://***@host/a.jpg"),
        (
            "https://host/a.jpg?id=5&X-Amz-Signature=abc&w=3",
            "https://host/a.jpg?id=5&X-Amz-Signature=***&w=3",
        ),
        ("https://host/a.jpg?sig=abc%2F&se=1", "https://host/a.jpg?sig=***&se=1"),
        ("https://host/a.jpg?access_token=abc#token=def", "https://host/a.jpg?access_token=***#token=***"),
        ("zip://a.jpg::https://me:pw@host/x.zip?key=k", "zip://a.jpg::https://***@host/x.zip?key=***"),
        ("zip://a::b.jpg::https://me:pw@host/x.zip", "zip://a::b.jpg::https://***@host/x.zip"),
        ("zip://me@home.jpg::photos?key=1.zip", "zip://me@home.jpg::photos?key=1.zip"),
        ("s3://bucket/a@b.jpg", "s3://bucket/a@b.jpg"),
        ("folder/me:secret@host.jpg", "folder/me:secret@host.jpg"),
    ],
)
def test_what_is_secret_in_an_address_is_not_shown(address: str, expected: str) -> None:
    assert shown(address) == expected
    if "://" in address:
        assert without_secrets(f"cannot open '{address}'") == f"cannot open '{expected}'"


def test_rows_and_logs_have_no_secrets_and_resuming_knows_them(
    cli: Any, tiny_bundle: Path, tmp_path: Path, server: tuple[str, Asked]
) -> None:
    host, _ = server
    address = f"http://me:secret@{host}/a.jpg?token=hidden"
    output = tmp_path / "rows.jsonl"
    arguments = (
        "score",
        "-m",
        tiny_bundle,
        "--device",
        "cpu",
        "--workers",
        1,
        "-o",
        output,
        "--allow-private",
    )
    ran = cli(*arguments, address)
    assert ran.code == 4
    assert json.loads(output.read_text())["path"] == f"http://***@{host}/a.jpg?token=***"
    for text in (output.read_text(), str(ran.stdout), str(ran.stderr)):
        assert "secret" not in text
        assert "hidden" not in text
    assert "1 done by an earlier run" in cli(*arguments, address, "--resume").stderr
