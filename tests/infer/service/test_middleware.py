"""What is around every request, on its own: no socket is needed to be cancelled."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from dgqa_infer.service.metrics import Metrics
from dgqa_infer.service.middleware import Observed


def cancelled(app: Any) -> tuple[list[Message], bytes]:
    """What is sent, and the page of metrics, where the server ends while a request waits for its body."""
    sent: list[Message] = []
    metrics = Metrics()

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("nothing comes")

    async def send(message: Message) -> None:
        sent.append(message)

    async def main() -> None:
        scope = {"type": "http", "method": "POST", "path": "/v1/score", "headers": []}
        observed = Observed(app, metrics, frozenset({"/v1/score"}))
        request = asyncio.ensure_future(observed(scope, receive, send))
        await asyncio.sleep(0.05)
        request.cancel()
        await asyncio.wait([request])

    asyncio.run(main())
    return sent, metrics.page()


def test_a_request_that_the_server_waits_for_no_longer_is_told_so() -> None:
    async def waiting(_: Scope, receive: Receive, __: Send) -> None:
        await receive()

    (start, body), page = cancelled(waiting)
    assert start["status"] == 503
    assert json.loads(body["body"])["error"]["code"] == "unavailable"
    assert b'dgqa_requests_total{path="/v1/score",status="503"} 1.0' in page


def test_an_answer_that_has_begun_has_no_other_begun_behind_it() -> None:
    async def begun(_: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await receive()

    sent, _ = cancelled(begun)
    assert [message.get("status") for message in sent] == [200]
