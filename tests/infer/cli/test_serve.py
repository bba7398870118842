"""`dgqa-infer serve` before it serves; tests/infer/service has the rest."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import pytest


def test_a_port_that_is_taken_is_told(cli: Any, tiny_bundle: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ran = cli("serve", "--model", tiny_bundle, "--device", "cpu", "--port", port)
    assert ran.code == 2
    assert f"--port {port}: cannot listen there" in ran.stderr


@pytest.mark.parametrize("host", ["192.0.2.1", "a..b", "a" * 70])
def test_a_host_that_is_not_here_or_is_none_is_told(cli: Any, tiny_bundle: Path, host: str) -> None:
    ran = cli("serve", "--model", tiny_bundle, "--device", "cpu", "--host", host, "--port", 0)
    assert ran.code == 2
    assert f"--host {host} --port 0: cannot listen there" in ran.stderr


@pytest.mark.parametrize("token", ["", "two words", "schlüssel", "a\n"])
def test_a_token_that_no_client_could_send_is_refused(
    cli: Any, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("DGQA_TOKEN", token)
    ran = cli("serve", "--model", tiny_bundle)
    assert ran.code == 2
    assert "DGQA_TOKEN" in ran.stderr


def test_uploads_must_hold_one_file(cli: Any, tiny_bundle: Path) -> None:
    ran = cli("serve", "--model", tiny_bundle, "--port", 0, "--limit-uploads", "1MB")
    assert ran.code == 2
    assert "--limit-uploads" in ran.stderr
    assert "--limit-file-size" in ran.stderr


def test_without_the_extra_it_says_what_to_install(
    cli: Any, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "dgqa_infer.service.server", raising=False)
    ran = cli("serve", "--model", tiny_bundle)
    assert ran.code == 2
    assert "pip install 'dgqa-infer[serve]'" in ran.stderr
