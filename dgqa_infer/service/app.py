"""The service's routes: what a request says, and what is answered."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from dgqa_infer.pipeline.predictor import Outcome
from dgqa_infer.results import Failure, Row, Score
from dgqa_infer.service.answers import JsonAnswer
from dgqa_infer.service.metrics import CONTENT_TYPE, Metrics
from dgqa_infer.service.middleware import Observed
from dgqa_infer.service.queue import Busy, ScoringQueue, Unavailable
from dgqa_infer.service.refusals import STATUS_OF, Refusal
from dgqa_infer.service.uploads import Upload, Uploads

EXPLAIN: Final = ("0", "1", "all")
"""What `?explain=` may say: nothing, what is wrong, or that and the probability of each class."""

CLIENT_LEFT: Final = 499
"""The status by which requests are counted whose client left; nobody receives it."""

_Outcomes = list[Outcome[Score]]


@dataclass(frozen=True, slots=True)
class Service:
    """What the routes need.

    Attributes:
        queue: scores.
        uploads: receives.
        metrics: counts.
        model: the answer of `/v1/model`.
        explains: whether the model can explain.
        token: that requests must bring; None where none is asked for.
        unused_gpu: as `Scorer.unused_gpu` says.
    """

    queue: ScoringQueue
    uploads: Uploads
    metrics: Metrics
    model: dict[str, Any]
    explains: bool
    token: str | None = None
    unused_gpu: str | None = None

    def app(self) -> Observed:
        """The ASGI application."""
        handlers: dict[Any, Any] = {Refusal: _refused, HTTPException: _http_error, Exception: _internal}
        routes = self.routes()
        paths = frozenset(route.path for route in routes)
        app = Starlette(routes=routes, exception_handlers=handlers)
        # A path with a slash at its end is none of ours. Sent on, clients that do not follow would have an
        # empty answer and no error, and those behind a proxy for TLS would go on without it.
        app.router.redirect_slashes = False
        return Observed(app, self.metrics, paths)

    def routes(self) -> list[Route]:
        """What it answers; `openapi.json` describes these and no others."""
        return [
            Route("/v1/score", self._guarded(self._score), methods=["POST"]),
            Route("/v1/model", self._guarded(self._model)),
            Route("/metrics", self._guarded(self._metrics_page)),
            Route("/healthz", self._health),
            Route("/readyz", self._ready),
            Route("/openapi.json", self._openapi),
        ]

    def _guarded(
        self, endpoint: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        if self.token is None:
            return endpoint
        expected = self.token.encode()

        async def guarded(request: Request) -> Response:
            scheme, _, given = request.headers.get("authorization", "").partition(" ")
            # How long the comparison takes does not depend on how much of the token is right.
            right = hmac.compare_digest(given.strip().encode(), expected)
            if not right or scheme.lower() != "bearer":
                raise Refusal(401, "send Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})
            return await endpoint(request)

        return guarded

    async def _score(self, request: Request) -> Response:
        explain = self._explain(request)
        self._require_room(1)
        with Upload(
            self.uploads, request, most=self.queue.capacity, retry_after=self.queue.retry_after
        ) as upload:
            try:
                photographs, several = await upload.photographs(measure=explain != "0")
                self._require_room(len(photographs))
                outcomes = await _while_connected(request, self.queue.submit(photographs))
            except ClientDisconnect:
                return Response(status_code=CLIENT_LEFT)
            except (Busy, Unavailable) as error:
                raise _as_refusal(error) from None
        rows = [self._row(outcome, explain) for outcome in outcomes]
        if several:
            return JsonAnswer({"rows": rows})
        result = outcomes[0].result
        return JsonAnswer(rows[0], STATUS_OF[result.code] if isinstance(result, Failure) else 200)

    def _explain(self, request: Request) -> str:
        unknown = sorted(set(request.query_params) - {"explain"})
        if unknown:
            raise Refusal(400, f"unknown parameter {unknown[0]!r}: there is only explain")
        if len(request.query_params.multi_items()) > 1:
            raise Refusal(400, "explain is given more than once")
        explain = request.query_params.get("explain", "0")
        if explain not in EXPLAIN:
            raise Refusal(400, f"explain is {explain!r}, not {', '.join(EXPLAIN[:-1])} or {EXPLAIN[-1]}")
        if explain != "0" and not self.explains:
            raise Refusal(400, "this model cannot explain: leave out explain")
        return explain

    def _require_room(self, photographs: int) -> None:
        try:
            self.queue.require_room(photographs)
        except (Busy, Unavailable) as error:
            raise _as_refusal(error) from None

    def _row(self, outcome: Outcome[Score], explain: str) -> Row:
        self.metrics.photograph(outcome.result)
        if isinstance(outcome.result, Score) and explain != "all":
            outcome = replace(outcome, result=replace(outcome.result, probabilities=None))
        return outcome.row()

    async def _model(self, _: Request) -> Response:
        return JsonAnswer(self.model)

    async def _metrics_page(self, _: Request) -> Response:
        return Response(self.metrics.page(), media_type=None, headers={"Content-Type": CONTENT_TYPE})

    async def _health(self, _: Request) -> Response:
        if self.queue.failure is not None:
            raise Refusal(503, "the service has failed")
        return PlainTextResponse("ok\n")

    async def _ready(self, _: Request) -> Response:
        if not self.queue.works:
            raise Refusal(503, "nothing is scored any more")
        return PlainTextResponse("ready\n")

    async def _openapi(self, _: Request) -> Response:
        return Response(openapi(), media_type="application/json")


@cache
def openapi() -> bytes:
    """The service's description, an OpenAPI 3.1 document."""
    return files("dgqa_infer.service").joinpath("openapi.json").read_bytes()


async def _while_connected(request: Request, futures: list[Future[Outcome[Score]]]) -> _Outcomes:
    """Wait for outcomes; whoever has left is waited for no longer, and what waits for its turn is dropped.

    Raises:
        ClientDisconnect: the client has left.
        Unavailable: the pipeline has failed.
    """
    outcomes = asyncio.gather(*map(asyncio.wrap_future, futures))
    left = asyncio.ensure_future(_until_left(request))
    either: set[asyncio.Future[Any]] = {outcomes, left}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not outcomes.done():
            raise ClientDisconnect
        return list(outcomes.result())
    finally:
        left.cancel()
        outcomes.cancel()


async def _until_left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _as_refusal(error: Busy | Unavailable) -> Refusal:
    if isinstance(error, Unavailable):
        return Refusal(503, str(error))
    message = f"too many photographs are waiting; try again in {error.retry_after} s"
    return Refusal(429, message, {"Retry-After": str(error.retry_after)})


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return error.response()


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return Refusal(error.status_code, error.detail, dict(error.headers or {})).response()


async def _internal(_: Request, error: Exception) -> Response:
    # Starlette raises it again once this is sent, and the server writes it to its log.
    return Refusal(
        500, f"an internal error ({type(error).__name__}; please report it); the service's log says more"
    ).response()
