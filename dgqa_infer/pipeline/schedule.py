"""Where each input is, from its name to its outcome: bookkeeping without processes, clock or model.

What holds after every call:

* A task waits, is with one worker, or is decoded; of those there are never more than `places`.
* An index that was taken has exactly one outcome, sooner or later: none is lost, none comes twice.
* A worker has at most one task: it gets another when the crops of the one before are out of its reach.
* A file ends at most `CRASHES_ALLOWED` workers.
* A batch that is not full goes only to an idle model, and only when waiting for more is of no use: nothing
  else is under way, or the oldest photograph in it has waited for `patience`.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from dgqa_infer.inputs.files import Encoded
from dgqa_infer.pipeline.messages import Decoded

CRASHES_ALLOWED: Final = 2
PATIENCE_SECONDS: Final = 1.0
"""After so long an idle model takes a batch that is not full, as behind a file that takes long."""


@dataclass(slots=True, eq=False)
class Task:
    """One file on its way.

    Attributes:
        index: its place among the inputs.
        source: its path or address, or the file itself.
        crashes: how many workers it has ended.
    """

    index: int
    source: str | Encoded
    crashes: int = 0

    @property
    def name(self) -> str | None:
        """What results call it."""
        return self.source if isinstance(self.source, str) else self.source.name

    @property
    def measure(self) -> bool:
        """Whether its attributes are measured, where any are."""
        return isinstance(self.source, str) or self.source.measure


class Holder(Protocol):
    """What works on one task at a time; a `Worker` is one."""

    task: Task | None


W = TypeVar("W", bound=Holder)
T = TypeVar("T")
Batch = list[tuple[Task, Decoded]]


class Schedule(Generic[W, T]):
    """The tasks of a run.

    Attributes:
        places: how many inputs there may be between their taking and their batch.
        workers: that there are now.
        patience: seconds that a decoded photograph waits for others while the model has nothing to do.
    """

    def __init__(self, *, workers: int, batch_size: int) -> None:
        """Begin without tasks.

        Args:
            workers: how many there may be.
            batch_size: photographs that the model takes at once.
        """
        # Two batches, and for each worker a file in its hands and the next.
        self.places = 2 * batch_size + 2 * workers
        self.workers: list[W] = []
        self.patience = PATIENCE_SECONDS
        self._count = workers
        self._batch_size = batch_size
        self._waiting: deque[Task] = deque()
        self._decoded: Batch = []
        self._decoded_since = 0.0
        self._outcomes: deque[tuple[int, T]] = deque()
        self._open: set[int] = set()

    # Inputs

    @property
    def has_room(self) -> bool:
        """Whether another input may be taken."""
        undecoded = len(self._waiting) + sum(worker.task is not None for worker in self.workers)
        return undecoded < 2 * self._count and undecoded + len(self._decoded) < self.places

    @property
    def idle(self) -> bool:
        """Whether every input that was taken has had its outcome."""
        return not self._open and not self._outcomes

    def take(self, index: int, source: str | Encoded) -> None:
        """Take an input while there `has_room`."""
        self._begin(index)
        self._waiting.append(Task(index, source))

    def take_finished(self, index: int, outcome: T) -> None:
        """Take an input that is an error already."""
        self._begin(index)
        self.end(index, outcome)

    def _begin(self, index: int) -> None:
        if index in self._open:
            raise RuntimeError(f"input {index} was taken twice")
        self._open.add(index)

    # Workers

    @property
    def wants_worker(self) -> bool:
        """Whether one worker more would have something to do."""
        return bool(self._waiting) and len(self.workers) < self._count and all(w.task for w in self.workers)

    def assign(self) -> tuple[W, Task] | None:
        """Give the oldest waiting task to a worker that has none; None where nothing can be given."""
        worker = next((each for each in self.workers if each.task is None), None)
        if not self._waiting or worker is None:
            return None
        worker.task = self._waiting.popleft()
        return worker, worker.task

    def decoded(self, worker: W, found: Decoded, now: float) -> None:
        """The crops of a worker's task have been copied."""
        if not self._decoded:
            self._decoded_since = now
        self._decoded.append((self._take_from(worker), found))

    def failed(self, worker: W) -> Task:
        """The task of a worker will have no crops; it must be given its end."""
        return self._take_from(worker)

    def timed_out(self, worker: W) -> Task:
        """The task of a worker took too long, and the worker is no more; see `failed`."""
        self.workers.remove(worker)
        return self._take_from(worker)

    def lost(self, worker: W, *, ready: bool) -> Task | None:
        """A worker is no more. What was in its hands is to blame, if it was `ready`, and waits again.

        Returns:
            The task that has ended as many workers as it may, if it has; see `failed`.
        """
        self.workers.remove(worker)
        if worker.task is None:
            return None
        task = self._take_from(worker)
        task.crashes += ready
        if task.crashes >= CRASHES_ALLOWED:
            return task
        self._waiting.appendleft(task)
        return None

    def _take_from(self, worker: W) -> Task:
        if worker.task is None:
            raise RuntimeError("this worker has no task")
        task, worker.task = worker.task, None
        return task

    # Batches

    def patience_ends(self) -> float | None:
        """When a batch that is not full has waited long enough; None where nothing waits."""
        return self._decoded_since + self.patience if self._decoded else None

    def next_batch(self, now: float, *, model_idle: bool, no_more_inputs: bool) -> Batch | None:
        """Decoded photographs for the model; None while it is better to wait.

        Args:
            now: on the clock of `decoded`.
            model_idle: whether the model has nothing to do.
            no_more_inputs: whether nothing is known to come next.
        """
        if not self._decoded:
            return None
        under_way = self._waiting or any(worker.task for worker in self.workers)
        enough = (no_more_inputs and not under_way) or now >= self._decoded_since + self.patience
        if len(self._decoded) < self._batch_size and not (model_idle and enough):
            return None
        batch, self._decoded = self._decoded[: self._batch_size], self._decoded[self._batch_size :]
        self._decoded_since = now
        return batch

    # Outcomes

    def end(self, index: int, outcome: T) -> None:
        """Give an input its outcome."""
        self._open.remove(index)
        self._outcomes.append((index, outcome))

    @property
    def has_outcomes(self) -> bool:
        """Whether an outcome can be taken."""
        return bool(self._outcomes)

    def next_outcome(self) -> tuple[int, T]:
        """Take the oldest outcome, if it `has_outcomes`."""
        return self._outcomes.popleft()

    def check(self) -> None:
        """For tests: raise AssertionError where an invariant of this module does not hold."""
        held = [worker.task for worker in self.workers if worker.task is not None]
        tasks = [*self._waiting, *held, *(task for task, _ in self._decoded)]
        assert len(tasks) <= self.places, "more inputs are under way than there are places"
        indices = Counter(task.index for task in tasks)
        assert max(indices.values(), default=1) == 1, "an input is in two places"
        assert set(indices) <= self._open, "an input goes on after its end"
        assert all(task.crashes < CRASHES_ALLOWED for task in tasks)
