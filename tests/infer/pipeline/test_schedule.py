"""The pipeline's bookkeeping, tried with workers that do anything in any order."""

from __future__ import annotations

from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dgqa_infer.pipeline.messages import Decoded
from dgqa_infer.pipeline.schedule import (
    CRASHES_ALLOWED,
    PATIENCE_SECONDS,
    Batch,
    Schedule,
    Task,
)

DECODED = Decoded(1, None, 2, 3, ())


class FakeWorker:
    def __init__(self) -> None:
        self.task: Task | None = None


class Run(RuleBasedStateMachine):
    """A run of a pipeline: inputs come, workers decode, fail, hang and crash, the model takes batches."""

    @initialize(
        workers=st.integers(1, 3),
        batch_size=st.integers(1, 4),
        patience=st.sampled_from([0.0, PATIENCE_SECONDS]),
    )
    def begin(self, workers: int, batch_size: int, patience: float) -> None:
        self.schedule: Schedule[FakeWorker, str] = Schedule(workers=workers, batch_size=batch_size)
        self.schedule.patience = patience
        self.workers, self.batch_size = workers, batch_size
        self.now = 0.0
        self.taken = 0
        self.ended: dict[int, str] = {}
        self.running: deque[list[int]] = deque()
        self.decoded: deque[tuple[int, float]] = deque()
        self.crashes: dict[int, int] = {}

    def held(self) -> list[tuple[FakeWorker, Task]]:
        return [(worker, worker.task) for worker in self.schedule.workers if worker.task is not None]

    @rule(seconds=st.floats(0, 2))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.schedule.has_room)
    @rule()
    def an_input_comes(self) -> None:
        self.schedule.take(self.taken, f"{self.taken}.jpg")
        self.taken += 1

    @rule()
    def an_error_comes_instead(self) -> None:
        self.schedule.take_finished(self.taken, "error")
        self.taken += 1

    @rule()
    def work_is_handed_out(self) -> None:
        while self.schedule.wants_worker:
            self.schedule.workers.append(FakeWorker())
            assert len(self.schedule.workers) <= self.workers
            assert self.schedule.assign() is not None
        before = self.held()
        while (given := self.schedule.assign()) is not None:
            worker, task = given
            assert worker.task is task
            assert worker not in [each for each, _ in before]
        assert set(before) <= set(self.held())

    @precondition(lambda self: self.held())
    @rule(data=st.data())
    def a_worker_decodes(self, data: st.DataObject) -> None:
        worker, task = data.draw(st.sampled_from(self.held()))
        self.decoded.append((task.index, self.now))
        self.schedule.decoded(worker, DECODED, self.now)

    @precondition(lambda self: self.held())
    @rule(data=st.data())
    def a_file_fails(self, data: st.DataObject) -> None:
        worker, task = data.draw(st.sampled_from(self.held()))
        assert self.schedule.failed(worker) is task
        assert worker.task is None
        self.schedule.end(task.index, "failed")

    @precondition(lambda self: self.held())
    @rule(data=st.data())
    def a_file_takes_too_long(self, data: st.DataObject) -> None:
        worker, task = data.draw(st.sampled_from(self.held()))
        assert self.schedule.timed_out(worker) is task
        assert worker not in self.schedule.workers
        self.schedule.end(task.index, "timed out")

    @precondition(lambda self: self.schedule.workers)
    @rule(data=st.data(), ready=st.booleans())
    def a_worker_ends(self, data: st.DataObject, ready: bool) -> None:
        worker = data.draw(st.sampled_from(self.schedule.workers))
        suspect = worker.task.index if ready and worker.task else None
        given_up = self.schedule.lost(worker, ready=ready)
        assert worker not in self.schedule.workers
        if suspect is not None:
            self.crashes[suspect] = self.crashes.get(suspect, 0) + 1
        if given_up is not None:
            assert (given_up.index, self.crashes[given_up.index]) == (suspect, CRASHES_ALLOWED)
            self.schedule.end(given_up.index, "crashed")

    @precondition(lambda self: len(self.running) < 2)
    @rule(no_more_inputs=st.booleans())
    def the_model_asks_for_a_batch(self, no_more_inputs: bool) -> None:
        under_way = self.taken - len(self.ended) - len(self.decoded) - sum(map(len, self.running))
        under_way -= sum(1 for _ in self.schedule._outcomes)
        batch = self.schedule.next_batch(self.now, model_idle=not self.running, no_more_inputs=no_more_inputs)
        full = len(self.decoded) >= self.batch_size
        waited = bool(self.decoded) and self.now >= self.decoded[0][1] + self.schedule.patience
        useless = no_more_inputs and under_way == 0
        if batch is None:
            assert not full
            # Nothing waits for ever: the model takes what there is when nothing else is under way.
            assert not (self.decoded and (useless or self.schedule.patience == 0) and not self.running)
            return
        self.check_order(batch)
        assert full or (not self.running and (waited or useless))
        self.running.append([task.index for task, _ in batch])

    def check_order(self, batch: Batch) -> None:
        """A batch is what was decoded first."""
        assert len(batch) <= self.batch_size
        assert [task.index for task, _ in batch] == [self.decoded.popleft()[0] for _ in batch]

    @precondition(lambda self: self.running)
    @rule()
    def the_model_has_finished(self) -> None:
        for index in self.running.popleft():
            self.schedule.end(index, "scored")

    @rule()
    def outcomes_are_taken(self) -> None:
        while self.schedule.has_outcomes:
            index, outcome = self.schedule.next_outcome()
            assert index not in self.ended
            self.ended[index] = outcome

    @invariant()
    def all_holds(self) -> None:
        self.schedule.check()

    def teardown(self) -> None:
        """Let everything come to its end: each input has exactly one outcome, and every place is free."""
        if not hasattr(self, "schedule"):
            return
        while True:
            self.work_is_handed_out()
            for worker, task in self.held():
                self.decoded.append((task.index, self.now))
                self.schedule.decoded(worker, DECODED, self.now)
            while self.running:
                self.the_model_has_finished()
            self.the_model_asks_for_a_batch(no_more_inputs=True)
            self.outcomes_are_taken()
            if self.schedule.idle:
                break
        assert sorted(self.ended) == list(range(self.taken))
        self.schedule.check()
        assert self.schedule.has_room


TestRun = Run.TestCase
TestRun.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
