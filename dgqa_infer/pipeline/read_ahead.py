"""Names of inputs, read ahead in a thread: a slow source of names holds up nothing that is already known."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable
from typing import Self

from dgqa_infer.inputs.files import Encoded, Input

_AHEAD = 512
_LOOK_UP_SECONDS = 0.2


class ReadAhead:
    """Inputs in their order; a context manager. All but the reading happens in the thread that made it.

    Attributes:
        ended: whether the last input has been taken.
    """

    def __init__(self, inputs: Iterable[Input | Encoded], nudge: Callable[[], None]) -> None:
        """Begin to read.

        Args:
            inputs: read in another thread.
            nudge: called from there whenever there is something to take.
        """
        self._queue: queue.Queue[Input | Encoded | None] = queue.Queue(maxsize=_AHEAD)
        self._failure: BaseException | None = None
        self._inputs = inputs
        self._nudge = nudge
        self._closed = False
        self.ended = False
        # A daemon: it may be waiting for a pipe that nobody writes to.
        threading.Thread(target=self._read, daemon=True, name="dgqa-read-ahead").start()

    @property
    def idle(self) -> bool:
        """Whether nothing is known to come next."""
        return self.ended or self._queue.empty()

    def next(self) -> Input | Encoded | None:
        """Take the next input; None where there is none, yet or any more."""
        if self.ended:
            return None
        try:
            found = self._queue.get_nowait()
        except queue.Empty:
            return None
        self.ended = found is None
        return found

    def raise_failure(self) -> None:
        """Raise what the source of the inputs raised, if it did."""
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True

    def _read(self) -> None:
        try:
            for found in self._inputs:
                if not self._put(found):
                    return
        except BaseException as error:
            self._failure = error
        self._put(None)

    def _put(self, found: Input | Encoded | None) -> bool:
        """Wait for room; False where nobody takes any more."""
        while not self._closed:
            with contextlib.suppress(queue.Full):
                self._queue.put(found, timeout=_LOOK_UP_SECONDS)
                self._nudge()
                return True
        return False
