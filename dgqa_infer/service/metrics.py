"""What the service counts, in Prometheus' format."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from dgqa_infer.results import Failure, Result

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SCORED = "scored"

_REQUEST_BUCKETS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_WORK_BUCKETS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30)
_BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The counters of one service; may be used by several threads."""

    def __init__(self) -> None:
        """Begin at zero."""
        # When each series began would be one more of it, which no rule for names knows.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "dgqa_requests", "Requests by path and status.", ["path", "status"], registry=self._registry
        )
        self._request_seconds = self._histogram(
            "request", "From the first line of POST /v1/score to its answer."
        )
        self._photographs = Counter(
            "dgqa_photographs",
            "Photographs by what came of them: scored, or the error's code.",
            ["outcome"],
            registry=self._registry,
        )
        self._decode_seconds = self._histogram("decode", "Decoding of one photograph in its worker.")
        self._model_seconds = self._histogram("model", "The model's time for one batch.")
        self._batch = Histogram(
            "dgqa_batch_photographs",
            "Photographs in a batch.",
            buckets=_BATCH_BUCKETS,
            registry=self._registry,
        )

    def watch(self, name: str, help: str, value: Callable[[], float]) -> None:
        """Show a value as it is when somebody asks.

        Args:
            name: of the gauge, after "dgqa_".
            help: what it is.
            value: called for each answer.
        """
        Gauge(f"dgqa_{name}", help, registry=self._registry).set_function(value)

    def request(self, path: str, status: int, seconds: float) -> None:
        """Count a request.

        Args:
            path: of the route, "other" where there is none.
            status: that it was answered with; 499 where the client had left.
            seconds: that it took.
        """
        self._requests.labels(path, str(status)).inc()
        if path == "/v1/score":
            self._request_seconds.observe(seconds)

    def photograph(self, result: Result) -> None:
        """Count what came of a photograph."""
        self._photographs.labels(result.code if isinstance(result, Failure) else SCORED).inc()

    def decoded(self, seconds: float) -> None:
        """Count the time of a photograph that was decoded."""
        self._decode_seconds.observe(seconds)

    def batch(self, photographs: int, seconds: float) -> None:
        """Count a batch and the model's time for it."""
        self._batch.observe(photographs)
        self._model_seconds.observe(seconds)

    def page(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._registry)

    def _histogram(self, name: str, help: str) -> Histogram:
        buckets = _REQUEST_BUCKETS if name == "request" else _WORK_BUCKETS
        return Histogram(f"dgqa_{name}_duration_seconds", help, buckets=buckets, registry=self._registry)
