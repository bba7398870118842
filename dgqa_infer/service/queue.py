"""Photographs of all requests wait in one bounded queue for one pipeline, which batches them together."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Self

from dgqa_infer.inputs.files import Encoded
from dgqa_infer.options import WorkerLimits
from dgqa_infer.pipeline.pipeline import Pipeline
from dgqa_infer.pipeline.predictor import Outcome, Predictor
from dgqa_infer.results import Score

_LONGEST_RETRY_SECONDS: Final = 60
_EASING: Final = 0.1
"""The weight of the newest photograph in the mean time for one."""


class Busy(Exception):
    """The queue has no room.

    Attributes:
        retry_after: whole seconds after which there will probably be some.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"busy; try again in {retry_after} s")
        self.retry_after = retry_after


class Unavailable(Exception):
    """Nothing is scored any more: the service is stopping, or it has failed."""


@dataclass(slots=True, eq=False)
class _Job:
    photograph: Encoded | None
    future: Future[Outcome[Score]] = field(default_factory=Future)


class ScoringQueue:
    """A pipeline with a thread of its own; a context manager that finishes what is in hand.

    Attributes:
        capacity: photographs that may be here at once, waiting or in work.
        failure: what ended the pipeline; None while it works or after it was closed.
    """

    def __init__(
        self,
        predictor: Predictor[Score],
        *,
        capacity: int,
        workers: int | None = None,
        limits: WorkerLimits | None = None,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin to work.

        Args:
            predictor: of the pipeline.
            capacity: photographs that may be here at once.
            workers: number of processes that decode; None for one a core.
            limits: what decoding may take.
            on_failure: called by another thread if the pipeline ends with an error.

        Raises:
            UsageError: an argument is out of range.
        """
        self.capacity = capacity
        self.failure: BaseException | None = None
        self._on_failure = on_failure
        self._pipeline = Pipeline(predictor, workers=workers, limits=limits, addresses=False)
        # What the pipeline has taken cannot be called back, so it is given no more than it can work on.
        self._room = threading.Semaphore(self._pipeline.places)
        self._waiting: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._handed: dict[int, _Job] = {}
        self._lock = threading.Lock()
        self._open: set[_Job] = set()
        self._closed = False
        self._seconds_each, self._last = 0.1, time.monotonic()
        self._thread = threading.Thread(target=self._work, name="dgqa-queue")
        self._thread.start()

    @property
    def photographs(self) -> int:
        """How many are here, waiting or in work."""
        return len(self._open)

    @property
    def works(self) -> bool:
        """Whether photographs are taken."""
        return not self._closed

    @property
    def retry_after(self) -> int:
        """Whole seconds, 1 to 60, that what is here will probably take."""
        return min(max(math.ceil(self.photographs * self._seconds_each), 1), _LONGEST_RETRY_SECONDS)

    def require_room(self, photographs: int = 1) -> None:
        """Refuse what could not be taken now.

        Raises:
            Busy: there is no room for so many.
            Unavailable: nothing is taken any more.
        """
        if self._closed:
            raise Unavailable("the service has failed" if self.failure else "the service is stopping")
        if len(self._open) + photographs > self.capacity:
            raise Busy(self.retry_after)

    def submit(self, photographs: Sequence[Encoded]) -> list[Future[Outcome[Score]]]:
        """Take photographs, all of them or none.

        Returns:
            The outcome of each, sooner or later; one that is cancelled before its turn is not decoded. They
            end with `Unavailable` if the pipeline fails.

        Raises:
            Busy: there is no room for them.
            Unavailable: nothing is taken any more.
        """
        with self._lock:
            self.require_room(len(photographs))
            jobs = [_Job(photograph) for photograph in photographs]
            if not self._open:
                self._last = time.monotonic()
            self._open.update(jobs)
        for job in jobs:
            job.future.add_done_callback(partial(self._leave, job))
            self._waiting.put(job)
        return [job.future for job in jobs]

    def close(self) -> None:
        """Take no more, finish what is here, and end the processes."""
        with self._lock:
            self._closed = True
        self._waiting.put(None)
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _work(self) -> None:
        """Runs in the queue's thread, the only one that knows the pipeline."""
        try:
            with self._pipeline as pipeline:
                for index, outcome in pipeline.as_completed(self._photographs()):
                    now = time.monotonic()
                    self._seconds_each += _EASING * (now - self._last - self._seconds_each)
                    self._last = now
                    self._room.release()
                    self._handed.pop(index).future.set_result(outcome)
        except BaseException as error:
            self.failure = error
        with self._lock:
            self._closed = True
            left = list(self._open)
        for job in left:
            if job.future.running() or self._begin(job):
                job.future.set_exception(Unavailable("the service has failed"))
        # The thread that reads ahead of the pipeline may be waiting for either.
        self._room.release()
        self._waiting.put(None)
        if self.failure is not None:
            self._on_failure()

    def _photographs(self) -> Iterator[Encoded]:
        """Runs in the thread that reads ahead of the pipeline: what it takes, in its order."""
        index = 0
        while True:
            self._room.acquire()
            if (job := self._waiting.get()) is None:
                return
            photograph = job.photograph
            if photograph is None or not self._begin(job):
                self._room.release()
                continue
            self._handed[index] = job
            index += 1
            yield photograph

    def _begin(self, job: _Job) -> bool:
        """Whether nobody has cancelled it or ended it; from now on nobody can cancel it."""
        with self._lock:
            return not job.future.done() and job.future.set_running_or_notify_cancel()

    def _leave(self, job: _Job, _: Future[Outcome[Score]]) -> None:
        """It is done or cancelled: its place is free, and so is its memory, wherever the job still stands."""
        with self._lock:
            self._open.discard(job)
        job.photograph = None
