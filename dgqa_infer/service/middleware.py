"""Around every request: it is counted, and a refusal is sent once its reader has finished sending."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dgqa_infer.service.metrics import Metrics
from dgqa_infer.service.refusals import Refusal

_DRAINED_BYTES: Final = 16_000_000
_DRAINED_SECONDS: Final = 5.0
_TOO_SLOW: Final = 408


class Observed:
    """An ASGI application whose requests are counted, and whose refusals arrive."""

    def __init__(self, app: ASGIApp, metrics: Metrics, paths: frozenset[str]) -> None:
        """Say what is counted where.

        Args:
            app: answers.
            metrics: counts.
            paths: that are counted apart. Any other is a stranger's choice, and would be a series for each.
        """
        self._app, self._metrics, self._paths = app, metrics, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        begun, status, answered = time.perf_counter(), 500, False
        body = _Body(scope, receive)

        async def counted(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status = message["status"]
                if status >= 400 and status != _TOO_SLOW:
                    await body.drain()
                answered = True
            await send(message)

        try:
            await self._app(scope, body.receive, counted)
        except asyncio.CancelledError:
            # The server ends, and waits no longer. The rest of a body is not waited for either.
            if answered:
                raise
            status = 503
            await Refusal(status, "the service is stopping").response()(scope, receive, send)
        finally:
            path = scope["path"] if scope["path"] in self._paths else "other"
            self._metrics.request(path, status, time.perf_counter() - begun)


class _Body:
    """A request's body, and whether it has ended."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        # A client that waits for leave to send reads the answer first.
        self._ended = any(name == b"expect" for name, _ in scope["headers"])

    async def receive(self) -> Message:
        message = await self._receive()
        self._ended = message["type"] == "http.disconnect" or not message.get("more_body", False)
        return message

    async def drain(self) -> None:
        """Read the rest, within limits: who sends all before reading anything would see only a reset."""
        left = _DRAINED_BYTES
        try:
            async with asyncio.timeout(_DRAINED_SECONDS):
                while left > 0 and not self._ended:
                    left -= len((await self.receive()).get("body", b""))
        except TimeoutError:
            return
