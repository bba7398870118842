"""A service as a process of its own, and what its clients do."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from bad_decoder import write_bad_decoder
from jsonschema.validators import Draft202012Validator
from PIL import Image

SECONDS = 60


@dataclass(frozen=True)
class Answer:
    """What a client was answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])


@dataclass
class Running:
    """A service that answers.

    Attributes:
        port: it listens on, on 127.0.0.1.
        process: of the service.
    """

    port: int
    process: subprocess.Popen[bytes]

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)

    def call(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request on a connection of its own; the answer must be one that `/openapi.json` describes."""
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            answer = Answer(response.status, dict(response.getheaders()), response.read())
        require_described(method, path, answer)
        return answer

    def score(self, body: bytes, query: str = "") -> Answer:
        return self.call("POST", f"/v1/score{query}", body)

    def send_files(self, files: list[tuple[str, bytes]], query: str = "") -> Answer:
        """A form with a part for each file."""
        body, kind = form(files)
        return self.call("POST", f"/v1/score{query}", body, {"Content-Type": kind})

    def figure(self, name: str) -> float:
        """One line of /metrics; 0 where it is not there yet."""
        page = self.call("GET", "/metrics").body.decode()
        found = re.search(rf"^{re.escape(name)} (\S+)$", page, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def wait_for(self, name: str, value: float) -> None:
        """Until a figure is this one."""
        deadline = time.monotonic() + SECONDS
        while (found := self.figure(name)) != value:
            assert time.monotonic() < deadline, f"{name} is {found}, not {value}"
            time.sleep(0.02)

    def ended(self) -> tuple[int, str]:
        """Its exit code and what it said after its first line, once it has ended."""
        assert self.process.stderr is not None
        said = self.process.stderr.read().decode()
        return self.process.wait(SECONDS), said

    def workers(self) -> list[int]:
        """The processes that decode."""
        listed = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for file in listed for pid in file.read_text().split()]


DOCUMENT = json.loads(
    (Path(__file__).resolve().parents[2] / "dgqa_infer" / "service" / "openapi.json").read_bytes()
)


def require_described(method: str, path: str, answer: Answer) -> None:
    operation = DOCUMENT["paths"].get(path.partition("?")[0], {}).get(method.lower())
    if operation is None:
        assert answer.status in (404, 405)
        return
    response = operation["responses"][str(answer.status)]
    while "$ref" in response:
        response = DOCUMENT["components"]["responses"][response["$ref"].rpartition("/")[2]]
    for name, header in response.get("headers", {}).items():
        assert not header["required"] or name.lower() in {each.lower() for each in answer.headers}
    ((kind, content),) = response["content"].items()
    given = next(value for name, value in answer.headers.items() if name.lower() == "content-type")
    assert given.partition(";")[0] == kind
    if kind == "application/json":
        Draft202012Validator({**content["schema"], "components": DOCUMENT["components"]}).validate(
            answer.json
        )


def form(files: list[tuple[str, bytes]]) -> tuple[bytes, str]:
    """A multipart body as RFC 7578 has it, and its Content-Type."""
    out = io.BytesIO()
    for name, data in files:
        head = f'--limit\r\nContent-Disposition: form-data; name="photo"; filename="{name}"\r\n\r\n'
        out.write(head.encode() + data + b"\r\n")
    out.write(b"--limit--\r\n")
    return out.getvalue(), "multipart/form-data; boundary=limit"


def grey(level: int, format: str = "PNG", side: int = 64, **save: Any) -> bytes:
    """An even photograph, whose score in the tiny bundle is level / 2.55."""
    out = io.BytesIO()
    Image.new("RGB", (side, side), (level, level, level)).save(out, format, **save)
    return out.getvalue()


Serve = Callable[..., Running]


@contextlib.contextmanager
def running(
    model: Path,
    *options: object,
    before: str = "",
    environment: dict[str, str] | None = None,
    within: Callable[[list[str]], list[str]] = list,
) -> Iterator[Running]:
    """A service that has said where it is.

    Args:
        model: its bundle.
        options: of `serve`.
        before: Python that runs first in its process.
        environment: besides this one's.
        within: what makes its command another command that starts it.
    """
    code = f"{before}\nfrom dgqa_infer.cli.app import main; main()"
    fixed = ["serve", "--model", model, "--device", "cpu", "--port", "0"]
    process = subprocess.Popen(
        within([sys.executable, "-c", code, *map(str, [*fixed, *options])]),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | (environment or {}),
    )
    assert process.stderr is not None
    try:
        assert select.select([process.stderr], [], [], SECONDS)[0], "it says nothing"
        line = process.stderr.readline().decode()
        found = re.search(r" on http://127\.0\.0\.1:(\d+) ", line)
        assert found, line + process.stderr.read().decode()
        yield Running(int(found[1]), process)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.fixture(scope="module")
def service(tiny_bundle: Path) -> Iterator[Running]:
    """One with the usual options, for all tests of a module."""
    with running(tiny_bundle, "--workers", 2) as found:
        yield found


@pytest.fixture
def serve(tiny_bundle: Path) -> Iterator[Serve]:
    """Start one with options of its own."""
    with contextlib.ExitStack() as stack:

        def start(*options: object, model: Path = tiny_bundle, **more: Any) -> Running:
            return stack.enter_context(running(model, *options, **more))

        yield start


@pytest.fixture
def bad_decoders(tmp_path: Path) -> dict[str, str]:
    """The environment of a service whose workers' decoder hangs or crashes where a JPEG's comment says so."""
    return {"PYTHONPATH": str(write_bad_decoder(tmp_path / "path"))}
