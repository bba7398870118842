"""The service on a socket, from the first connection to the last answer after SIGTERM."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from dgqa_infer import system
from dgqa_infer.errors import UsageError
from dgqa_infer.service.middleware import Observed
from dgqa_infer.service.refusals import Refusal

_CONNECTIONS: Final = 1024
_BACKLOG: Final = 512
"""So many may be accepted at once, before any of them is looked at."""
_HEADER_SECONDS: Final = 20.0
_SHUTDOWN_SECONDS: Final = 25
"""For requests that are here when it is told to stop; Kubernetes kills after 30."""


@dataclass(slots=True)
class _Room:
    """For connections.

    Attributes:
        connections: at most so many.
        waiting: for a request's header, the longest first.
    """

    connections: int
    waiting: dict[_Protocol, None] = field(default_factory=dict)


class _Protocol(H11Protocol):
    """uvicorn's, which would take any number of connections, wait for ever for a request's header, and answer
    what is not HTTP in plain text.
    """

    _impatience: asyncio.TimerHandle | None = None

    def __init__(self, room: _Room, **given: Any) -> None:
        super().__init__(**given)
        self._room = room

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_header()
        if len(self.connections) > self._room.connections:
            # Whoever has said nothing for longest goes; it is this one if all others have requests here.
            longest = next(iter(self._room.waiting))
            longest._stop_waiting()
            longest.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._idle and self._impatience is None:
            self._wait_for_header()
        super().data_received(data)
        if not self._idle:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP as any other request is refused, unless an answer has begun."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            reason = sys.exception() or msg
            answer = Refusal(400, f"this is no HTTP/1.1 request: {reason}").response()
            headers = [*answer.raw_headers, (b"connection", b"close")]
            for event in (
                h11.Response(status_code=answer.status_code, headers=headers, reason=b"Bad Request"),
                h11.Data(data=bytes(answer.body)),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event))
        self.transport.close()

    @property
    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _wait_for_header(self) -> None:
        self._room.waiting[self] = None
        self._impatience = self.loop.call_later(_HEADER_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        self._room.waiting.pop(self, None)
        if self._impatience is not None:
            self._impatience.cancel()
            self._impatience = None


class Server:
    """An HTTP server; see `serve`."""

    def __init__(self, app: Observed, listener: socket.socket) -> None:
        """Listen; clients that come before `serve` wait.

        Args:
            app: the application.
            listener: a bound socket; `serve` closes it.
        """
        # Decoding needs open files of its own, some for each photograph on its way.
        files = system.open_files()
        room, backlog = _Room(min(_CONNECTIONS, files // 2)), min(_BACKLOG, max(files // 16, 1))
        listener.listen(backlog)
        self._listener = listener
        config = uvicorn.Config(
            app,
            http=partial(_Protocol, room),  # type: ignore[arg-type] # (made as a class makes its own)
            ws="none",
            proxy_headers=False,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=backlog,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        )
        self._server = uvicorn.Server(config)

    def stop(self) -> None:
        """Answer what is here, and return from `serve`. May be called by any thread."""
        self._server.should_exit = True

    def serve(self) -> None:
        """Answer requests until SIGTERM, SIGINT or `stop`.

        Raises:
            KeyboardInterrupt: it was SIGINT that ended it.
        """
        # uvicorn raises the signal again when it is done, which would end the process before the workers.
        signal.signal(signal.SIGTERM, lambda *_: None)
        with self._listener:
            self._server.run(sockets=[self._listener])


def bind(host: str, port: int) -> socket.socket:
    """A socket that has its address and does not listen yet: nobody is to wait for a model that is loaded.

    Args:
        host: a name or an address of this machine.
        port: 0 for any that is free.

    Raises:
        UsageError: it cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except (OSError, UnicodeError) as error:
        # A label that is empty or too long is no OSError.
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise UsageError(f"--host {host} --port {port}: cannot listen there ({reason})") from error
    return listener


def address_of(listener: socket.socket) -> str:
    """Where clients find it, such as "http://127.0.0.1:8080"."""
    host, port, *_ = listener.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
