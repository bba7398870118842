"""Where each input is, from its name to its outcome: bookkeeping without processes, clock or model.

What holds after every call:

* A slot is free, or it belongs to exactly one task, which waits, is with one worker, or is decoded.
* An index that was taken has exactly one outcome, sooner or later: none is lost, none comes twice.
* A worker has at most `tasks_per_worker` tasks, and works on the oldest.
* A file ends at most `CRASHES_ALLOWED` workers.
* A batch that is not full goes only to an idle model, and only when waiting for more is of no use: nothing
  else is under way, or the oldest photograph in it has waited for `patience`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from dgqa_infer.inputs.files import Encoded
from dgqa_infer.pipeline.messages import Decoded

TASKS_PER_WORKER: Final = 2
"""At most: one in its hands and one beyond it, so that it never waits for this process."""
CRASHES_ALLOWED: Final = 2
PATIENCE_SECONDS: Final = 1.0
"""After so long an idle model takes a batch that is not full, as behind a file that takes long."""


@dataclass(slots=True, eq=False)
class Task:
    """One file on its way.

    Attributes:
        index: its place among the inputs.
        source: its path or address, or the file itself.
        slot: where its crops go.
        crashes: how many workers it has ended.
    """

    index: int
    source: str | Encoded
    slot: int
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
    """What works on tasks, oldest first; a `Worker` is one."""

    tasks: deque[Task]


W = TypeVar("W", bound=Holder)
T = TypeVar("T")
Batch = list[tuple[Task, Decoded]]


class Schedule(Generic[W, T]):
    """The tasks of a run.

    Attributes:
        slots: number of slots.
        workers: that there are now.
        tasks_per_worker: 1 or 2; with 1 no file waits behind another that its worker decodes.
        patience: seconds that a decoded photograph waits for others while the model has nothing to do.
    """

    def __init__(self, *, workers: int, batch_size: int) -> None:
        """Begin without tasks.

        Args:
            workers: how many there may be.
            batch_size: photographs that the model takes at once.
        """
        # Two batches, one being filled while the other is copied, and what workers hold.
        self.slots = 2 * batch_size + TASKS_PER_WORKER * workers
        self.workers: list[W] = []
        self.tasks_per_worker = TASKS_PER_WORKER
        self.patience = PATIENCE_SECONDS
        self._count = workers
        self._batch_size = batch_size
        self._free = list(range(self.slots))
        self._waiting: deque[Task] = deque()
        self._decoded: Batch = []
        self._decoded_since = 0.0
        self._predicted: dict[int, Task] = {}
        self._outcomes: deque[tuple[int, T]] = deque()
        self._open: set[int] = set()

    # Inputs

    @property
    def has_room(self) -> bool:
        """Whether another input may be taken."""
        tasks = sum(len(worker.tasks) for worker in self.workers) + len(self._waiting)
        return bool(self._free) and tasks < self.tasks_per_worker * self._count

    @property
    def idle(self) -> bool:
        """Whether every input that was taken has had its outcome."""
        return not self._open and not self._outcomes

    def take(self, index: int, source: str | Encoded) -> None:
        """Take an input while there `has_room`."""
        self._begin(index)
        self._waiting.append(Task(index, source, self._free.pop()))

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
        return bool(self._waiting) and len(self.workers) < self._count and all(w.tasks for w in self.workers)

    def assign(self) -> tuple[W, Task] | None:
        """Give the oldest waiting task to the worker with the fewest; None where nothing can be given."""
        worker = min(self.workers, key=lambda each: len(each.tasks), default=None)
        if not self._waiting or worker is None or len(worker.tasks) >= self.tasks_per_worker:
            return None
        task = self._waiting.popleft()
        worker.tasks.append(task)
        return worker, task

    def decoded(self, worker: W, found: Decoded, now: float) -> None:
        """The first task of a worker has its crops in its slot."""
        if not self._decoded:
            self._decoded_since = now
        self._decoded.append((worker.tasks.popleft(), found))

    def failed(self, worker: W) -> Task:
        """The first task of a worker will have no crops; its slot is free, and it must be given its end."""
        return self._drop(worker.tasks.popleft())

    def timed_out(self, worker: W) -> Task:
        """The first task of a worker took too long, and the worker is no more; see `failed`."""
        task = self.failed(worker)
        self._return_tasks(worker)
        return task

    def lost(self, worker: W, *, ready: bool) -> Task | None:
        """A worker is no more. What was in its hands is to blame, if it was `ready`; all tasks wait again.

        Returns:
            The task that has ended as many workers as it may, if it has; see `failed`.
        """
        suspect = worker.tasks[0] if ready and worker.tasks else None
        self._return_tasks(worker)
        if suspect is None:
            return None
        suspect.crashes += 1
        if suspect.crashes < CRASHES_ALLOWED:
            return None
        self._waiting.remove(suspect)
        return self._drop(suspect)

    def _return_tasks(self, worker: W) -> None:
        self.workers.remove(worker)
        self._waiting.extendleft(reversed(worker.tasks))
        worker.tasks.clear()

    def _drop(self, task: Task) -> Task:
        self._free.append(task.slot)
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
        under_way = self._waiting or any(worker.tasks for worker in self.workers)
        enough = (no_more_inputs and not under_way) or now >= self._decoded_since + self.patience
        if len(self._decoded) < self._batch_size and not (model_idle and enough):
            return None
        batch, self._decoded = self._decoded[: self._batch_size], self._decoded[self._batch_size :]
        self._decoded_since = now
        self._predicted |= {task.index: task for task, _ in batch}
        return batch

    def copied(self, batch: Batch) -> None:
        """The crops of a batch are elsewhere: its slots are free while the model is at work."""
        for task, _ in batch:
            self._free.append(self._predicted.pop(task.index).slot)

    # Outcomes

    def end(self, index: int, outcome: T) -> None:
        """Give an input its outcome."""
        self._open.remove(index)
        self._outcomes.append((index, outcome))

    @property
    def has_outcomes(self) -> bool:
        """Whether an outcome can be taken."""
        return bool(self._outcomes)

    def outcomes(self) -> Iterator[tuple[int, T]]:
        """Take the outcomes that are there, in the order in which they came."""
        while self._outcomes:
            yield self._outcomes.popleft()

    def check(self) -> None:
        """For tests: raise AssertionError where an invariant of this module does not hold."""
        held: Sequence[Task] = [task for worker in self.workers for task in worker.tasks]
        tasks = [*self._waiting, *held, *(task for task, _ in self._decoded), *self._predicted.values()]
        slots = Counter([*self._free, *(task.slot for task in tasks)])
        assert slots == Counter(range(self.slots)), "a slot is lost or used twice"
        indices = Counter(task.index for task in tasks)
        assert max(indices.values(), default=1) == 1, "an input is in two places"
        assert set(indices) <= self._open, "an input goes on after its end"
        assert all(len(worker.tasks) <= self.tasks_per_worker for worker in self.workers)
        assert all(task.crashes < CRASHES_ALLOWED for task in tasks)
