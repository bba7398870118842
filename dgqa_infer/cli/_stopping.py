"""How a run is stopped: the first signal lets what is in hand be finished, the second does not.

Python hands signals to its main thread, between two of its instructions. In a call into the system that never
returns, as in a write to a dead mount, there is no such moment. So a thread listens too, and ends the program
whatever the others do. Nothing that was written is lost by that: rows are valid after each write.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Self

from dgqa_infer.cli._errors import ExitCode
from dgqa_infer.patience import DaemonThread

TERM_SECONDS: Final = 20.0
"""After SIGTERM what is in hand has so long: service managers send SIGKILL some 30 s after it."""
FORCED_SECONDS: Final = 8.0
"""After the second signal processes and files have so long to be closed in order."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """SIGINT and SIGTERM while rows are made; a context manager for the main thread."""

    def __init__(self, stop: Callable[[], None], kill: Callable[[], None]) -> None:
        """Change nothing yet.

        Args:
            stop: called in the main thread at the first signal.
            kill: called in another thread where the program does not end by itself: ends its processes.
        """
        self._stop = stop
        self._kill = kill
        self._stopping = False
        self._forced = False

    def __enter__(self) -> Self:
        self._ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self._theirs = theirs
        self._handlers = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        self._wakeup = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._watch, daemon=True, name="dgqa-signals").start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._forced:
            # What is closed now may take as long as what was left.
            return
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        self._theirs.close()

    def _handle(self, *_: object) -> None:
        """Runs in the main thread."""
        if not self._stopping:
            self._stopping = True
            self._stop()
        elif not self._forced:
            self._forced = True
            raise KeyboardInterrupt

    def _watch(self) -> None:
        """Hear of each signal at once; end the program when its time is up, or at the third."""
        count, ends = 0, math.inf
        with self._ours:
            while count < 3 and (left := ends - time.monotonic()) > 0:
                self._ours.settimeout(None if left == math.inf else left)
                try:
                    data = self._ours.recv(1)
                except TimeoutError:
                    break
                if not data:
                    return
                if data[0] in _SIGNALS:
                    count += 1
                    seconds = FORCED_SECONDS if count > 1 else TERM_SECONDS
                    if count > 1 or data[0] == signal.SIGTERM:
                        ends = min(ends, time.monotonic() + seconds)
        self._end()

    def _end(self) -> None:
        with suppress(OSError):
            self._kill()
        # Whoever reads stderr may have stopped reading.
        said = DaemonThread("dgqa-last-word")
        said.submit(lambda: print("stopped by force; the rows that were written are valid", file=sys.stderr))
        said.close(1.0)
        os._exit(ExitCode.INTERRUPTED)
