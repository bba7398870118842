"""A store that does not answer is named within seconds. Needs no Ray."""

from __future__ import annotations

import socket
import time

import pytest

from dgqa_infer import UsageError
from dgqa_infer.inputs import remote
from dgqa_infer.ray import stores
from dgqa_infer.ray.stores import answer, check_stores


def test_a_store_that_cannot_be_reached_is_named() -> None:
    pytest.importorskip("fsspec")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"zip://::http://127.0.0.1:{closed.getsockname()[1]}/photos.zip"
        with pytest.raises(UsageError, match=f"^{address}: .*(onnect|--allow-private)"):
            check_stores(["a/folder", address])


def test_a_store_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "_STORE_SECONDS", 0.1)
    monkeypatch.setattr(remote, "walk", lambda *_: time.sleep(1))
    said = r"^s3://bucket does not answer within 0\.1 s$"
    with pytest.raises(UsageError, match=said):
        check_stores(["s3://bucket"])
    with pytest.raises(UsageError, match=said):
        answer("s3://bucket", lambda: time.sleep(1))
    assert answer("a/folder", lambda: time.sleep(0.2)) is None
