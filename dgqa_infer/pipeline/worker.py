"""The parent's side of the worker processes: what they are given, what they answer, in how long."""

from __future__ import annotations

import contextlib
import json
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from dgqa_infer.errors import ERROR_CODES
from dgqa_infer.pipeline.process import WorkerProcess
from dgqa_infer.pipeline.shared_memory import SharedSlots

_MAX_MESSAGE_BYTES = 1_000_000
_STARTUP_SECONDS = 120.0


@dataclass(slots=True)
class Task:
    """One file on its way through a worker.

    Attributes:
        index: its place among the inputs.
        path: as it was named.
        slot: where its crops go.
        crashes: how many workers it has ended.
    """

    index: int
    path: str
    slot: int
    crashes: int = 0


class Worker:
    """One worker process.

    Attributes:
        tasks: what it was given and has not answered, oldest first; it works on the first.
        deadline: `time.monotonic()` at which the start or the first task has had its time; None while idle.
        asking: pixels that it waits to be admitted with; 0 while it does not.
        admitted: pixels that it was admitted with, for the file in hand.
        ready: whether it has started.
    """

    def __init__(
        self, settings: Mapping[str, Any], slots: SharedSlots, process: WorkerProcess | None = None
    ) -> None:
        """Tell a process what to do.

        Args:
            settings: as `dgqa_infer.pipeline.worker_main` reads them.
            slots: where crops go.
            process: one that was begun before; None for a new one.
        """
        self.tasks: deque[Task] = deque()
        self.asking = 0
        self.admitted = 0
        self.ready = False
        self.deadline: float | None = time.monotonic() + _STARTUP_SECONDS
        self._seconds: float = settings["seconds"]
        self._preview: int = settings["preview"]
        self._process = process or WorkerProcess()
        self._connection = Connection(self._process.connect(slots.descriptor))
        self._send(settings)

    def fileno(self) -> int:
        """For a selector: readable when there is an answer, or when the process has ended."""
        return self._connection.fileno()

    def give(self, task: Task) -> None:
        """Hand over one file more."""
        self.tasks.append(task)
        if len(self.tasks) == 1:
            self._start_clock()
        self._send({"path": task.path, "slot": task.slot, "crashes": task.crashes})

    def admit(self) -> None:
        """Let it decode the pixels that it asks for."""
        self.admitted, self.asking = self.asking, 0
        self._start_clock()
        self._send({"go": True})

    def answer(self) -> tuple[Task, dict[str, Any]] | None:
        """Read one message.

        Returns:
            A task that is done and what became of it; None for a message about the worker itself.

        Raises:
            EOFError: the process has ended, or says what our worker does not: it was taken over by a file.
        """
        try:
            message = json.loads(self._connection.recv_bytes(_MAX_MESSAGE_BYTES))
        except (OSError, ValueError, RecursionError) as error:
            raise EOFError from error
        if message == {"ready": True} and not self.ready:
            self.ready = True
            self._start_clock()
            return None
        if not self.tasks or not isinstance(message, dict):
            raise EOFError
        # Once for a file: who asks again and again would have no end.
        if set(message) == {"ask"} and _is_count(message["ask"]) and not self.asking and not self.admitted:
            self.asking = message["ask"]
            self.deadline = None
            return None
        if not _is_answer(message, self._preview):
            raise EOFError
        task = self.tasks.popleft()
        self.admitted = 0
        self._start_clock()
        return task, message

    def end(self) -> str:
        """Kill it, if it has not ended by itself.

        Returns:
            How it ended, in words; for one that never became ready also the last line that it wrote.
        """
        words, said = self._process.end()
        self._connection.close()
        return words if self.ready or not said else f"{words}: {said}"

    def kill(self) -> None:
        """End it now, whatever it does."""
        self._process.kill()
        self._connection.close()

    def _start_clock(self) -> None:
        """The first task's time begins; the start has its own."""
        if self.ready:
            self.deadline = time.monotonic() + self._seconds if self.tasks else None

    def _send(self, message: Mapping[str, Any]) -> None:
        # If it has ended, the selector will say so, and its tasks are seen to there.
        with contextlib.suppress(OSError):
            self._connection.send_bytes(json.dumps(message).encode("ascii"))


def _is_answer(message: Mapping[str, Any], preview: int) -> bool:
    """Whether this is how our worker says what became of a file, with a preview that fits into its slot."""
    size, mtime, error = message.get("size"), message.get("mtime"), message.get("error")
    if not (size is None or isinstance(size, int)) or not (mtime is None or isinstance(mtime, int | float)):
        return False
    if error is not None:
        return (
            isinstance(error, list)
            and len(error) == 2
            and error[0] in ERROR_CODES
            and isinstance(error[1], str)
        )
    warnings = message.get("warnings")
    return (
        _is_count(message.get("width"))
        and _is_count(message.get("height"))
        and isinstance(warnings, list)
        and all(isinstance(word, str) for word in warnings)
        and (_is_size(message.get("preview"), preview) if preview else "preview" not in message)
    )


def _is_size(value: object, limit: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(_is_count(side) and side <= limit for side in value)
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
