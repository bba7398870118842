"""Calls that may never return, as into a dead mount or a model without end, in threads that nobody waits for.

A thread that hangs in the system cannot be ended. It can be left alone: these are daemons, which do not keep
the program from ending.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, Self, TypeVar

T = TypeVar("T")

_PORTION = 256
_PORTION_SECONDS = 0.05


class DaemonThread:
    """A thread that makes one call after the other; it starts with the first."""

    def __init__(self, name: str) -> None:
        """Start nothing yet.

        Args:
            name: of the thread.
        """
        self._name = name
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Have a call made after those before it."""
        future: Future[T] = Future()
        self._calls.put((future, call))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True, name=self._name)
            self._thread.start()
        return future

    def close(self, seconds: float = 0.0) -> None:
        """Make no call beyond those submitted, and wait at most so long for their end."""
        self._calls.put(None)
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        while (found := self._calls.get()) is not None:
            future, call = found
            if future.set_running_or_notify_cancel():
                _make(future, call)
            # Nothing is kept alive while it waits.
            del found, future, call


def calls_left() -> bool:
    """Whether a call is being made that nobody waits for."""
    return bool(_making)


_making: set[int] = set()


def _make(future: Future[T], call: Callable[[], T]) -> None:
    _making.add(threading.get_ident())
    try:
        result = call()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
    finally:
        _making.discard(threading.get_ident())


class Patience:
    """Calls that have so many seconds each; a context manager. For one thread at a time.

    A call that takes longer is left to its thread, and the next is made by another.
    """

    def __init__(self, seconds: float, name: str = "dgqa-patience") -> None:
        """Set the limit.

        Args:
            seconds: for each call.
            name: of the threads.
        """
        self.seconds = seconds
        self._name = name
        self._thread: DaemonThread | None = None

    def call(self, call: Callable[[], T]) -> T:
        """Make a call.

        Raises:
            TimeoutError: it did not return in time.
        """
        if self._thread is None:
            self._thread = DaemonThread(self._name)
        future = self._thread.submit(call)
        try:
            return future.result(self.seconds)
        except TimeoutError:
            if not future.done():
                # Should it ever return, its thread ends.
                self.close()
                raise TimeoutError(f"no answer within {self.seconds:g} s") from None
            raise

    def each(self, source: Iterator[T]) -> Iterator[T]:
        """What an iterator gives, while it goes on within the limit.

        Raises:
            TimeoutError: it gave nothing more in time; all that it gave before has come.
        """
        size = 1
        while True:
            portion: list[T] = []
            try:
                self.call(partial(_fill, portion, source, size))
            except Exception:
                yield from portion[:]
                raise
            if not portion:
                return
            yield from portion
            # The first is known at once; of many others not each has to change threads.
            size = min(2 * size, _PORTION)

    def close(self) -> None:
        """End the thread, or leave it to its call."""
        if self._thread is not None:
            self._thread.close()
            self._thread = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _fill(portion: list[T], source: Iterator[T], size: int) -> None:
    """Append so many items, or fewer if they take long."""
    ends = time.monotonic() + _PORTION_SECONDS
    with suppress(StopIteration):
        while len(portion) < size:
            portion.append(next(source))
            if time.monotonic() > ends:
                return
