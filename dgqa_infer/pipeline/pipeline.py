"""Paths in, results out: worker processes decode, full batches are scored, and one file harms no other.

One thread does the talking and never waits for the model, which has a thread of its own. What is in memory at
once is bounded by slots for crops, by pixels in flight, and by how far results may run ahead of a slow file.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Generic, Self

import numpy as np

from dgqa_infer.errors import BackendError, ErrorCode, ImageError, UsageError
from dgqa_infer.inputs.files import Input, file_status
from dgqa_infer.inputs.remote import is_remote
from dgqa_infer.pipeline.predictor import Judge, Outcome, R, judge_batch
from dgqa_infer.pipeline.process import WorkerProcess
from dgqa_infer.pipeline.read_ahead import Feed
from dgqa_infer.pipeline.shared_memory import SharedSlots
from dgqa_infer.pipeline.worker import Task, Worker
from dgqa_infer.results import Failure

# Each worker is given one file beyond that in its hands, so that it never waits for this process.
_TASKS_PER_WORKER = 2
# So many results may wait for an earlier file that takes its whole time.
_MAX_AHEAD = 8192
# Fewer where each of them carries a picture.
_MAX_AHEAD_WITH_PREVIEWS = 64
# An idle model takes a batch that is not full when it has waited so long, as behind a file that takes long.
_PATIENCE_SECONDS = 1.0
_CRASHES_ALLOWED = 2
_STARTUP_FAILURES_ALLOWED = 3


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """What decoding may take.

    Attributes:
        seconds: of wall time, for one file.
        memory_bytes: address space of one worker process.
        pixels_in_flight: of large photographs, decoded at the same time by all workers.
    """

    seconds: float = 30.0
    memory_bytes: int = 4_000_000_000
    pixels_in_flight: int = 600_000_000

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value <= 0:
                raise UsageError(f"the limit {name} is {value}, not above 0")


class Pipeline(Generic[R]):
    """Judges files with worker processes; one run at a time, and a context manager around it."""

    def __init__(
        self,
        judge: Judge[R],
        *,
        workers: int | None = None,
        limits: WorkerLimits | None = None,
        seed: int | None = None,
        preview: int = 0,
        begun: WorkerProcess | None = None,
    ) -> None:
        """Prepare; processes start when there is work for them.

        Args:
            judge: judges the crops; says how they are made and how many photographs a batch has.
            workers: number of processes that decode; None for one a core.
            limits: what decoding may take.
            seed: of crops at random places, as DGQA's authors have them; None for the fixed grid.
            preview: longest side of the picture that comes with each outcome, in pixels; 0 for none.
            begun: the first of the processes, if one was begun before; whoever began it ends it if no file
                ever needs it.

        Raises:
            UsageError: an argument is out of range.
        """
        self._judge = judge
        self._count = workers if workers is not None else _cores()
        if self._count < 1:
            raise UsageError(f"{self._count} workers: at least one must decode")
        limits = limits or WorkerLimits()
        preprocessing = judge.bundle.card.preprocessing
        slots = 2 * judge.batch_size + _TASKS_PER_WORKER * self._count
        # Half of what may be in flight is shared out in advance, so that ordinary photographs ask nobody.
        self._shared_pixels = limits.pixels_in_flight // 2
        self._slots = SharedSlots(slots, preprocessing, preview)
        self._max_ahead = _MAX_AHEAD_WITH_PREVIEWS if preview else _MAX_AHEAD
        self._settings = {
            "preprocessing": preprocessing.as_card(),
            "limits": asdict(judge.limits),
            "strict": judge.strict,
            "seed": seed,
            "preview": preview,
            "jpeg_device": judge.jpeg_device,
            "slots": slots,
            "seconds": limits.seconds,
            "memory_bytes": limits.memory_bytes,
            "free_pixels": self._shared_pixels // self._count,
        }
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._begun = begun
        self._workers: list[Worker] = []
        self._startup_failures = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dgqa-judge")
        self._running: deque[Future[list[tuple[int, Outcome[R]]]]] = deque()
        self._decoded: list[tuple[Task, dict[str, Any]]] = []
        self._again: deque[Task] = deque()
        self._asking: deque[Worker] = deque()
        self._done: dict[int, Outcome[R]] = {}
        self._impatient_at = 0.0
        self._stopping = False

    def stop(self) -> None:
        """Take no more inputs; those in hand are finished. May be called from a signal handler."""
        self._stopping = True
        self._nudge()

    def run(self, inputs: Iterable[Input]) -> Iterator[Outcome[R]]:
        """Score files.

        Args:
            inputs: paths, and errors of inputs that have none; another thread reads some hundred ahead.

        Yields:
            One outcome an input, in the inputs' order, whatever order they were finished in.

        Raises:
            BackendError: the runtime failed, or no worker can be started.
        """
        taken = given = 0
        with Feed(inputs, self._nudge) as feed:
            while True:
                while taken - given < self._max_ahead and self._has_room() and not self._stopping:
                    if (found := feed.next()) is None:
                        break
                    self._take(taken, found)
                    taken += 1
                self._hand_out()
                self._judge_full_batches(flush=feed.idle or self._stopping)
                if given == taken and (feed.ended or self._stopping):
                    feed.raise_failure()
                    return
                if given not in self._done:
                    self._wait()
                while given in self._done:
                    yield self._done.pop(given)
                    given += 1

    def close(self) -> None:
        """End all processes and threads, whatever they do."""
        for worker in self._workers:
            worker.kill()
        self._workers.clear()
        self._thread.shutdown(cancel_futures=True)
        self._selector.close()
        self._wake.close()
        self._woken.close()
        self._slots.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Inputs and workers

    def _has_room(self) -> bool:
        tasks = sum(len(worker.tasks) for worker in self._workers) + len(self._again)
        return bool(self._slots.free) and tasks < _TASKS_PER_WORKER * self._count

    def _take(self, index: int, found: Input) -> None:
        if isinstance(found, ImageError):
            self._fail(index, found.path, found.code, found.message)
        else:
            self._again.append(Task(index, found, self._slots.free.pop()))

    def _hand_out(self) -> None:
        while self._again:
            worker = min(self._workers, key=lambda each: len(each.tasks), default=None)
            if (worker is None or worker.tasks) and len(self._workers) < self._count:
                worker = Worker(self._settings, self._slots, self._begun)
                self._begun = None
                self._workers.append(worker)
                self._selector.register(worker, selectors.EVENT_READ)
            if worker is None or len(worker.tasks) >= _TASKS_PER_WORKER:
                return
            worker.give(self._again.popleft())

    def _wait(self) -> None:
        """Until a worker, the model or the feed has something to say, or a file's time is up."""
        deadlines = [worker.deadline for worker in self._workers if worker.deadline is not None]
        if self._decoded and not self._running:
            deadlines.append(self._impatient_at)
        timeout = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._woken:
                self._woken.recv(4096)
            elif isinstance(key.fileobj, Worker):
                self._listen(key.fileobj)
        now = time.monotonic()
        for worker in [each for each in self._workers if each.deadline is not None and each.deadline <= now]:
            self._overdue(worker)
        self._admit()
        while self._running and self._running[0].done():
            self._done.update(self._running.popleft().result())

    def _listen(self, worker: Worker) -> None:
        try:
            answer = worker.answer()
        except EOFError:
            self._ended(worker)
            return
        if answer is None:
            self._startup_failures = 0
            if worker.asking:
                self._asking.append(worker)
            return
        task, message = answer
        if (error := message.get("error")) is None:
            if not self._decoded:
                self._impatient_at = time.monotonic() + _PATIENCE_SECONDS
            self._decoded.append(answer)
            return
        self._slots.free.append(task.slot)
        code, text = error
        self._fail(task.index, task.path, code, text, message)

    def _admit(self) -> None:
        """Let workers decode large photographs while there is room, in their turn; one alone always may."""
        in_flight = sum(worker.admitted for worker in self._workers)
        while self._asking and (in_flight == 0 or in_flight + self._asking[0].asking <= self._shared_pixels):
            worker = self._asking.popleft()
            in_flight += worker.asking
            worker.admit()

    def _overdue(self, worker: Worker) -> None:
        if not worker.ready:
            self._ended(worker)
            return
        task = worker.tasks.popleft()
        self._remove(worker)
        worker.kill()
        self._slots.free.append(task.slot)
        seconds = self._settings["seconds"]
        self._fail(task.index, task.path, "timed_out", f"it was not decoded within {seconds:g} s")

    def _ended(self, worker: Worker) -> None:
        """A worker has ended that nobody asked to: the file in its hands is to blame, if there was one."""
        self._remove(worker)
        ending = worker.end()
        if not worker.ready:
            self._startup_failures += 1
            if self._startup_failures >= _STARTUP_FAILURES_ALLOWED:
                raise BackendError(f"the processes that decode cannot start ({ending})")
            return
        if not worker.tasks:
            return
        # `_remove` has put its tasks back; the first of them was in its hands.
        task = worker.tasks[0]
        task.crashes += 1
        if task.crashes >= _CRASHES_ALLOWED:
            self._again.remove(task)
            self._slots.free.append(task.slot)
            words = f"decoding it ended {task.crashes} processes ({ending}); it is not tried again"
            self._fail(task.index, task.path, "crashed", words)

    def _remove(self, worker: Worker) -> None:
        self._selector.unregister(worker)
        self._workers.remove(worker)
        with contextlib.suppress(ValueError):
            self._asking.remove(worker)
        self._again.extendleft(reversed(worker.tasks))

    # Results

    def _judge_full_batches(self, *, flush: bool) -> None:
        """Hand decoded photographs to the model's thread: full batches, while there is work for them."""
        size = self._judge.batch_size
        while self._decoded and len(self._running) < 2:
            under_way = self._again or any(worker.tasks for worker in self._workers)
            enough = (flush and not under_way) or time.monotonic() >= self._impatient_at
            if len(self._decoded) < size and (self._running or not enough):
                return
            batch, self._decoded = self._decoded[:size], self._decoded[size:]
            # A copy, so that the slots are free again while the model is at work.
            stack = np.concatenate([self._slots.pixels[task.slot] for task, _ in batch])
            for task, found in batch:
                if "preview" in found:
                    found["preview"] = self._slots.preview(task.slot, *found["preview"])
            self._slots.free.extend(task.slot for task, _ in batch)
            future = self._thread.submit(judge_batch, self._judge, stack, batch)
            future.add_done_callback(lambda _: self._nudge())
            self._running.append(future)
            self._impatient_at = time.monotonic() + _PATIENCE_SECONDS

    def _fail(
        self, index: int, path: str | None, code: ErrorCode, text: str, message: dict[str, Any] | None = None
    ) -> None:
        message = message or {}
        size, changed = message.get("size"), message.get("mtime")
        if size is None and path is not None and not is_remote(path):
            size, changed = file_status(path)
        self._done[index] = Outcome(Failure(path, code, text, self._judge.model_id), size, changed)

    def _nudge(self) -> None:
        # Full: it will wake anyway. Closed: nobody is left to wake.
        with contextlib.suppress(OSError):
            self._wake.send(b"\0")


def _cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
