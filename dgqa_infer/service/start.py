"""From a model to a service that is ready: everything is loaded, and has scored once."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from PIL import Image

from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.errors import BackendError, UsageError
from dgqa_infer.inputs.files import Encoded
from dgqa_infer.options import ScoringOptions
from dgqa_infer.results import Failure
from dgqa_infer.scorer import Scorer
from dgqa_infer.service.app import Service
from dgqa_infer.service.metrics import Metrics
from dgqa_infer.service.predictor import ServicePredictor
from dgqa_infer.service.queue import ScoringQueue, Unavailable
from dgqa_infer.service.uploads import UploadLimits, Uploads


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """What a service takes at once, and from whom.

    Attributes:
        queue: photographs that may wait or be in work.
        workers: number of processes that decode; None for one a core.
        upload_bytes: bodies of all requests that are here.
        upload_seconds: in which a body must arrive.
        token: that requests must bring; None where none is asked for.
    """

    queue: int = 64
    workers: int | None = None
    upload_bytes: int = 1_000_000_000
    upload_seconds: float = 60.0
    token: str | None = None


@contextmanager
def open_service(
    bundle: Bundle, scoring: ScoringOptions, options: ServiceOptions, on_failure: Callable[[], None]
) -> Iterator[Service]:
    """A service that is ready; in the end what is in hand is finished, and the processes end.

    Args:
        bundle: the model.
        scoring: how photographs are scored; `explain` is each request's choice.
        options: what is taken at once.
        on_failure: called by another thread if scoring ends with an error, which is raised in the end.

    Raises:
        ModelError: the bundle is damaged.
        BackendError: the device or its runtime is missing or fails, or no process can be started.
        UsageError: an option is out of range, or two contradict each other.
    """
    limits = UploadLimits(scoring.limits.file_bytes, options.upload_bytes, options.upload_seconds)
    if limits.total_bytes < limits.request_bytes:
        raise UsageError("--limit-uploads is below --limit-file-size: raise the one or lower the other")
    metrics, uploads = Metrics(), Uploads(limits)
    with ExitStack() as stack:
        plain = stack.enter_context(Scorer(bundle, scoring.changed(explain=False)))
        explaining = None
        if bundle.card.domains is not None:
            explaining = stack.enter_context(Scorer(bundle, scoring.changed(explain="all")))
        predictor = ServicePredictor(plain, explaining, metrics)
        queue = stack.enter_context(
            ScoringQueue(
                predictor,
                capacity=options.queue,
                workers=options.workers,
                limits=scoring.worker_limits,
                on_failure=on_failure,
            )
        )
        _score_once(queue)
        metrics.watch("queue_photographs", "Photographs that wait or are in work.", lambda: queue.photographs)
        metrics.watch("queue_capacity_photographs", "How many may be.", lambda: queue.capacity)
        metrics.watch("upload_bytes", "Bodies of all requests that are here.", lambda: uploads.bytes_held)
        about = {
            "model": plain.model_id,
            "backend": plain.backend,
            "device": plain.device,
            "card": plain.bundle.card.as_json(),
        }
        unused_gpu = (explaining or plain).unused_gpu
        yield Service(queue, uploads, metrics, about, explaining is not None, options.token, unused_gpu)
    if queue.failure is not None:
        raise queue.failure


def _score_once(queue: ScoringQueue) -> None:
    """What takes time once takes it now: a process starts, and both graphs run."""
    photograph = io.BytesIO()
    Image.new("RGB", (1, 1), (128, 128, 128)).save(photograph, "PNG")
    data = photograph.getvalue()
    for measure in (False, True):
        (future,) = queue.submit([Encoded(data, measure=measure)])
        try:
            result = future.result().result
        except Unavailable:
            raise queue.failure or BackendError("scoring ended before it began") from None
        # It is their owner's business if limits let nothing through.
        if isinstance(result, Failure) and result.code != "too_large":
            raise BackendError(f"a grey pixel could not be scored: {result.message}")
