"""Inputs in, results out: worker processes decode, full batches are predicted, and one file harms no other.

One thread does the talking and never waits for the model, which has a thread of its own. What is in memory at
once is bounded by places for crops, by the memory of what is decoded, and by how far results may run ahead of
a slow file.
`Schedule` knows where each input is; this module moves it on.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Generic, Self

from dgqa_infer.errors import BackendError, ErrorCode, ImageError, UsageError
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.inputs.addresses import shown
from dgqa_infer.inputs.files import Encoded, Input
from dgqa_infer.options import WorkerLimits
from dgqa_infer.patience import DaemonThread
from dgqa_infer.pipeline.crop_batches import CropBatches
from dgqa_infer.pipeline.memory import MemoryPlan, default_total, default_workers
from dgqa_infer.pipeline.messages import Ask, Decoded, Failed, Read, Ready, WorkerSettings
from dgqa_infer.pipeline.predictor import Outcome, Photo, Predictor, R
from dgqa_infer.pipeline.process import WorkerProcess
from dgqa_infer.pipeline.read_ahead import ReadAhead
from dgqa_infer.pipeline.schedule import PATIENCE_SECONDS, Batch, Schedule, Task
from dgqa_infer.pipeline.shared_memory import shared_bytes
from dgqa_infer.pipeline.worker import Worker
from dgqa_infer.results import Failure

# So many results may wait for an earlier file that takes its whole time.
_MAX_AHEAD = 8192
# Fewer where each of them carries a picture.
_MAX_AHEAD_WITH_PREVIEWS = 64
_STARTUP_FAILURES_ALLOWED = 3
# A model that has not ended after so long is left alone when the pipeline is closed: it may have no end.
_MODEL_SECONDS = 5.0


class Pipeline(Generic[R]):
    """Predicts files with worker processes; one run at a time, and a context manager around it."""

    def __init__(
        self,
        predictor: Predictor[R],
        *,
        workers: int | None = None,
        limits: WorkerLimits | None = None,
        seed: int | None = None,
        preview: int = 0,
        begun: WorkerProcess | None = None,
        addresses: bool = False,
    ) -> None:
        """Prepare; processes start when there is work for them.

        Args:
            predictor: turns crops into results; says how they are made and how many photographs a batch has.
            workers: number of processes that decode; None for one a core, as far as memory allows.
            limits: what decoding may take.
            seed: of crops at random places, as DGQA's authors have them; None for the fixed grid.
            preview: longest side of the picture that comes with each outcome, in pixels; 0 for none.
            begun: the first of the processes, begun before; whoever began it ends it if no file needs it.
            addresses: whether an input may be an address: only then have the processes a network, and keys.

        Raises:
            UsageError: an argument is out of range, or the memory of all processes together is too little for
                so many workers or so large a batch.
        """
        limits = limits or WorkerLimits()
        total, model = limits.total_bytes or default_total(), predictor.memory_bytes
        count = workers if workers is not None else default_workers(total, model)
        if count < 1:
            raise UsageError(f"{count} workers: at least one must decode")
        self._predictor = predictor
        self._schedule: Schedule[Worker, Outcome[R]] = Schedule(
            workers=count, batch_size=predictor.batch_size
        )
        # What is decoded, a batch that the model works on and the next, and the memory of each worker.
        places = self._schedule.places + 2 * predictor.batch_size + count
        self._memory = MemoryPlan.of(
            total, model=model, workers=count, crops=places * shared_bytes(predictor.preprocessing, preview)
        )
        self._settings = _worker_settings(predictor, limits, self._memory, seed, preview, addresses)
        self._batches = CropBatches(predictor.batch_size, predictor.preprocessing)
        self._max_ahead = _MAX_AHEAD_WITH_PREVIEWS if preview else _MAX_AHEAD
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = _waker(self._selector)
        self._begun = begun
        self._startup_failures = 0
        self._asking: deque[Worker] = deque()
        self._thread = DaemonThread("dgqa-predict")
        self._running: deque[Future[list[tuple[int, Outcome[R]]]]] = deque()
        self._stopping = False

    @property
    def allow_private(self) -> bool:
        """Whether web addresses of this machine and of its link may be asked."""
        return self._settings.limits.allow_private

    @property
    def places(self) -> int:
        """How many inputs it works on at the same time, at most."""
        return self._schedule.places

    @property
    def processes(self) -> tuple[int, ...]:
        """The system's numbers of the worker processes that there are now."""
        return tuple(worker.pid for worker in self._schedule.workers)

    def kill(self) -> None:
        """End the worker processes, whatever they do. Any thread of a program that ends now may call it."""
        for worker in list(self._schedule.workers):
            worker.kill(wait=False)

    def stop(self) -> None:
        """Take no more inputs; those in hand are finished. May be called from a signal handler."""
        self._stopping = True
        self._nudge()

    def run(self, inputs: Iterable[Input | Encoded]) -> Iterator[Outcome[R]]:
        """Predict files.

        Args:
            inputs: paths, photographs in memory, and errors of inputs that have neither; another thread reads
                some hundred ahead.

        Yields:
            One outcome an input, in the inputs' order, whatever order they were finished in.

        Raises:
            BackendError: the runtime failed, or no worker can be started.
        """
        self._schedule.patience = PATIENCE_SECONDS
        early: dict[int, Outcome[R]] = {}
        given = 0
        # What was taken and not given is early or under way, and what is under way is few.
        for index, outcome in self._outcomes(inputs, lambda: len(early) < self._max_ahead):
            early[index] = outcome
            while given in early:
                yield early.pop(given)
                given += 1

    def as_completed(self, inputs: Iterable[Input | Encoded]) -> Iterator[tuple[int, Outcome[R]]]:
        """Predict files, and give each outcome as soon as it is known: no input waits for a slower one.

        Args:
            inputs: as `run` takes them. They may come over hours, as a server's requests do: those that come
                while the model is at work are predicted together, and none waits for an idle model.

        Yields:
            The place of an input, from 0 on, and its outcome.

        Raises:
            BackendError: the runtime failed, or no worker can be started.
        """
        self._schedule.patience = 0.0
        return self._outcomes(inputs, lambda: True)

    def close(self) -> None:
        """End all processes, and the model's thread unless it takes too long: that one is left to itself."""
        self.kill()
        for worker in self._schedule.workers:
            worker.kill()
        self._schedule.workers.clear()
        for future in self._running:
            future.cancel()
        self._thread.close(_MODEL_SECONDS)
        self._selector.close()
        self._wake.close()
        self._woken.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _outcomes(
        self, inputs: Iterable[Input | Encoded], may_take: Callable[[], bool]
    ) -> Iterator[tuple[int, Outcome[R]]]:
        """Outcomes as they come; another input is taken only while `may_take` says so."""
        schedule = self._schedule
        if not schedule.idle:
            raise RuntimeError("an earlier run of this pipeline was left before its end")
        taken = 0
        with ReadAhead(inputs, self._nudge) as names:
            while True:
                while may_take() and schedule.has_room and not self._stopping:
                    if (found := names.next()) is None:
                        break
                    self._take(taken, found)
                    taken += 1
                self._hand_out()
                self._predict_batches(no_more_inputs=names.idle or self._stopping)
                if schedule.has_outcomes:
                    yield schedule.next_outcome()
                    # Whoever takes an outcome may take long over it: workers get their next file in between.
                    self._wait(at_most=0.0)
                elif schedule.idle and (names.ended or self._stopping):
                    names.raise_failure()
                    return
                else:
                    self._wait()

    # Inputs and workers

    def _take(self, index: int, found: Input | Encoded) -> None:
        if isinstance(found, ImageError):
            outcome = self._failure(found.path, Failed(found.code, found.message))
            self._schedule.take_finished(index, outcome)
        else:
            self._schedule.take(index, found)

    def _hand_out(self) -> None:
        while True:
            if self._schedule.wants_worker:
                worker = Worker(self._settings, self._begun)
                self._begun = None
                self._schedule.workers.append(worker)
                self._selector.register(worker, selectors.EVENT_READ)
            if (given := self._schedule.assign()) is None:
                return
            worker, task = given
            worker.give(task)

    def _wait(self, at_most: float | None = None) -> None:
        """Until a worker, the model or the inputs have something to say, or a file's time is up.

        Args:
            at_most: seconds; None without end.
        """
        deadlines = [each.deadline for each in self._schedule.workers if each.deadline is not None]
        if not self._running and (patience := self._schedule.patience_ends()) is not None:
            deadlines.append(patience)
        timeout = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
        if at_most is not None:
            timeout = at_most
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._woken:
                self._woken.recv(4096)
            elif isinstance(key.fileobj, Worker):
                self._listen(key.fileobj)
        now = time.monotonic()
        for worker in list(self._schedule.workers):
            if worker.deadline is not None and worker.deadline <= now:
                self._overdue(worker)
        self._admit()
        while self._running and self._running[0].done():
            for index, outcome in self._running.popleft().result():
                self._schedule.end(index, outcome)

    def _listen(self, worker: Worker) -> None:
        try:
            answer = worker.answer()
        except EOFError:
            self._ended(worker)
            return
        match answer:
            case Ready():
                self._startup_failures = 0
            case Read():
                pass
            case Ask():
                self._asking.append(worker)
            case Decoded():
                # Before it gets another file: that one may take it over.
                preview = worker.crops.preview(*answer.preview) if answer.preview else None
                self._batches.add(worker.crops.crops, preview)
                self._schedule.decoded(worker, answer, time.monotonic())
            case Failed():
                self._fail(self._schedule.failed(worker), answer)

    def _admit(self) -> None:
        """Let workers decode large photographs while there is room, in their turn."""
        while self._asking:
            worker = self._asking[0]
            others = [each.admitted for each in self._schedule.workers if each is not worker]
            if not self._memory.admits(worker.asking, others):
                return
            self._asking.popleft().admit()

    def _overdue(self, worker: Worker) -> None:
        if not worker.ready:
            self._ended(worker)
            return
        self._forget(worker)
        task = self._schedule.timed_out(worker)
        worker.kill()
        words = f"it was not {'decoded' if worker.read else 'read'} within {self._settings.seconds:g} s"
        self._fail(task, _failed("timed_out", words, worker.read))

    def _ended(self, worker: Worker) -> None:
        """A worker has ended that nobody asked to: the file in its hands is to blame, if there was one."""
        self._forget(worker)
        given_up = self._schedule.lost(worker, ready=worker.ready)
        ending = worker.end()
        if not worker.ready:
            self._startup_failures += 1
            if self._startup_failures >= _STARTUP_FAILURES_ALLOWED:
                raise BackendError(f"the processes that decode cannot start ({ending})")
        if given_up is not None:
            words = f"decoding it ended {given_up.crashes} processes ({ending}); it is not tried again"
            self._fail(given_up, _failed("crashed", words, worker.read))

    def _forget(self, worker: Worker) -> None:
        self._selector.unregister(worker)
        with contextlib.suppress(ValueError):
            self._asking.remove(worker)

    # Results

    def _predict_batches(self, *, no_more_inputs: bool) -> None:
        """Hand batches to the model's thread: one that it works on, and the next."""
        while len(self._running) < 2:
            batch = self._schedule.next_batch(
                time.monotonic(), model_idle=not self._running, no_more_inputs=no_more_inputs
            )
            if batch is None:
                return
            crops, previews = self._batches.take()
            future = self._thread.submit(partial(_predict, self._predictor, crops, batch, previews))
            future.add_done_callback(lambda _: self._nudge())
            self._running.append(future)

    def _fail(self, task: Task, failed: Failed) -> None:
        outcome = self._failure(task.name, failed, task.source)
        self._schedule.end(task.index, outcome)

    def _failure(self, path: str | None, failed: Failed, source: str | Encoded | None = None) -> Outcome[R]:
        size, changed = failed.size, failed.mtime
        if isinstance(source, Encoded):
            size = len(source.data)
        path = _shown(path)
        return Outcome(Failure(path, failed.code, failed.message, self._predictor.model_id), size, changed)

    def _nudge(self) -> None:
        # Full: it will wake anyway. Closed: nobody is left to wake.
        with contextlib.suppress(OSError):
            self._wake.send(b"\0")


def _worker_settings(
    predictor: Predictor[R],
    limits: WorkerLimits,
    memory: MemoryPlan,
    seed: int | None,
    preview: int,
    addresses: bool,
) -> WorkerSettings:
    return WorkerSettings(
        preprocessing=predictor.preprocessing,
        limits=predictor.limits,
        strict=predictor.strict,
        seed=seed,
        preview=preview,
        # Crops at random places are cut from the photograph, not from the picture that is measured.
        measure=predictor.measure and seed is None,
        jpeg_device=predictor.jpeg_device,
        seconds=limits.seconds,
        memory_bytes=limits.memory_bytes,
        free_bytes=memory.free,
        most_bytes=memory.most,
        addresses=addresses,
    )


def _waker(selector: selectors.BaseSelector) -> tuple[socket.socket, socket.socket]:
    """What wakes a selector, without waiting for it, and what then has something to read."""
    wake, woken = socket.socketpair()
    wake.setblocking(False)
    selector.register(woken, selectors.EVENT_READ)
    return wake, woken


def _failed(code: ErrorCode, words: str, read: Read | None) -> Failed:
    """A failure of a file of which its worker could say no more than what it has read."""
    return Failed(code, words, *((read.size, read.mtime) if read else (None, None)))


def _predict(
    predictor: Predictor[R], crops: Pixels, batch: Batch, previews: list[Pixels | None]
) -> list[tuple[int, Outcome[R]]]:
    """Runs in the model's thread: the place of each photograph among the inputs, and its outcome."""
    photos = [
        Photo(
            task.index,
            _shown(task.name),
            found.width,
            found.height,
            found.warnings,
            found.attributes,
            found.seconds,
        )
        for task, found in batch
    ]
    results = predictor.predict(crops, photos)
    return [
        (task.index, Outcome(result, found.size, found.mtime, preview))
        for (task, found), result, preview in zip(batch, results, previews, strict=True)
    ]


def _shown(name: str | None) -> str | None:
    """A photograph's name as its row has it."""
    return None if name is None else shown(name)
