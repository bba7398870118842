"""The parent's side of a worker process: what it is given, what it answers, in how long."""

from __future__ import annotations

import contextlib
import time
from multiprocessing.connection import Connection

from dgqa_infer import system
from dgqa_infer.inputs.files import Encoded
from dgqa_infer.pipeline.messages import (
    MAX_BYTES,
    Admit,
    Answer,
    Ask,
    Decode,
    Decoded,
    Read,
    Ready,
    WorkerSettings,
    decode_answer,
    encode,
)
from dgqa_infer.pipeline.process import WorkerProcess
from dgqa_infer.pipeline.schedule import Task
from dgqa_infer.pipeline.shared_memory import SharedCrops

_STARTUP_SECONDS = 120.0


class Worker:
    """One worker process.

    Attributes:
        task: what it was given and has not answered; `Schedule` sees to it.
        crops: memory that it writes into; no other process has it.
        deadline: `time.monotonic()` at which the start or the task has had its time; None while idle.
        asking: bytes that it waits to be admitted with; 0 while it does not.
        admitted: bytes that it was admitted with, for the file in hand.
        read: what it has read of the file in hand; None while it reads.
        ready: whether it has started.
    """

    def __init__(self, settings: WorkerSettings, process: WorkerProcess | None = None) -> None:
        """Tell a process what to do.

        Args:
            settings: how it decodes.
            process: one that was begun before; None for a new one.
        """
        self.task: Task | None = None
        self.asking = 0
        self.admitted = 0
        self.read: Read | None = None
        self.ready = False
        self.deadline: float | None = time.monotonic() + _STARTUP_SECONDS
        self._settings = settings
        self._process = process or WorkerProcess(addresses=settings.addresses)
        self.crops = SharedCrops(settings.preprocessing, settings.preview)
        self._connection = Connection(self._process.connect(self.crops.descriptor))
        self._send(encode(settings))

    @property
    def pid(self) -> int:
        """The process's number in the system."""
        return self._process.pid

    def fileno(self) -> int:
        """For a selector: readable when there is an answer, or when the process has ended."""
        return self._connection.fileno()

    def give(self, task: Task) -> None:
        """Tell it of its `task`."""
        self._start_clock()
        encoded = isinstance(task.source, Encoded)
        self._send(encode(Decode(task.name, task.crashes, encoded, task.measure)))
        if isinstance(task.source, Encoded):
            self._send_memory(task.source.data)

    def admit(self) -> None:
        """Let it decode what it asks for."""
        self.admitted, self.asking = self.asking, 0
        self._start_clock()
        self._send(encode(Admit()))

    def answer(self) -> Answer:
        """Read one message. After a `Decoded` or `Failed` its task is over.

        Raises:
            EOFError: the process has ended, or says what our worker would not: it was taken over by a file.
        """
        try:
            found = decode_answer(self._connection.recv_bytes(MAX_BYTES))
            if isinstance(found, Decoded):
                # Without a task there is nothing to check it against; it is refused below.
                found.refuse_beyond(self._settings, measure=self.task is None or self.task.measure)
        except (OSError, ValueError) as error:
            raise EOFError from error
        if isinstance(found, Ready) == self.ready or (self.task is None and not isinstance(found, Ready)):
            raise EOFError
        if isinstance(found, Ready):
            self.ready = True
            self.deadline = None
            if self.task is not None:
                self._start_clock()
        elif isinstance(found, Read):
            # Once for a file, and first: who says so again and again would keep this process busy.
            if self.read or self.asking or self.admitted:
                raise EOFError
            self.read = found
        elif isinstance(found, Ask):
            # Once for a file: who asks again and again would have no end.
            if self.asking or self.admitted:
                raise EOFError
            self.asking = found.needed
            self.deadline = None
        else:
            self.asking = self.admitted = 0
            self.read = self.deadline = None
        return found

    def end(self) -> str:
        """Kill it, if it has not ended by itself.

        Returns:
            How it ended, in words; for one that never became ready also the last line that it wrote.
        """
        words, said = self._process.end()
        self._let_go()
        return words if self.ready or not said else f"{words}: {said}"

    def kill(self, *, wait: bool = True) -> None:
        """End it now, whatever it does.

        Args:
            wait: until it has ended, as far as it can end; else call this again.
        """
        self._process.kill(wait=wait)
        if wait:
            self._let_go()

    def _start_clock(self) -> None:
        """The time of the task begins now; the start has its own."""
        if self.ready:
            self.deadline = time.monotonic() + self._settings.seconds

    def _let_go(self) -> None:
        if not self._connection.closed:
            self._connection.close()
            self.crops.close()

    def _send(self, data: bytes) -> None:
        # If it has ended, the selector will say so, and its tasks are seen to there.
        with contextlib.suppress(OSError):
            self._connection.send_bytes(data)

    def _send_memory(self, data: bytes) -> None:
        memory = system.memory_file("dgqa-photograph")
        with open(memory, "wb") as file, contextlib.suppress(OSError):  # noqa: PTH123 (a descriptor)
            file.write(data)
            file.flush()
            system.hand_over(self._connection.fileno(), memory)
