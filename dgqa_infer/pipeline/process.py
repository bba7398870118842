"""A process that decodes, begun before anybody knows what it will decode.

Python takes a while to start and to import what decodes. Whoever wants the first score soon begins a process
first and imports the rest meanwhile, so this module itself imports little.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import IO, Self

from dgqa_infer import system
from dgqa_infer.confinement import environment
from dgqa_infer.errors import BackendError

_ENDING_SECONDS = 0.5
_PACKAGE_PARENT = str(Path(__file__).resolve().parents[2])
# `-P` and a path of our own choosing: nothing is imported from a folder of photographs that holds a numpy.py.
# `-S`: what the site's files do to the path has been done here, and takes a tenth of a start.
_BOOTSTRAP = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from dgqa_infer.pipeline.worker_main import main; main(int(sys.argv[1]))"
)
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class WorkerProcess:
    """One process that runs `dgqa_infer.pipeline.worker_main`; a context manager that kills it in the end.

    Attributes:
        pid: its number in the system.
    """

    def __init__(self, *, addresses: bool = False) -> None:
        """Begin it; it imports what it needs and waits for its settings.

        Args:
            addresses: whether it may be asked to read addresses, and so needs the keys of stores.

        Raises:
            OSError: the system has no room for another process.
            BackendError: no process can be handed memory on this system.
        """
        if not system.can_hand_over():
            raise BackendError(
                "files are decoded in processes of their own, which this system cannot hand memory: "
                "score from Python with Scorer.score or score_many, which decode in their own process"
            )
        ours, theirs = socket.socketpair()
        self._socket: socket.socket | None = ours
        # Memory: there may be no folder that can be written to. `end` closes it.
        self._stderr: IO[bytes] = open(system.memory_file("dgqa-stderr"), "w+b")  # noqa: PTH123, SIM115
        path = [entry for entry in sys.path if entry] + [_PACKAGE_PARENT]
        with theirs:
            self._process = subprocess.Popen(
                [
                    *(system.interpreter(), "-P", "-S", "-c", _BOOTSTRAP),
                    *(str(theirs.fileno()), json.dumps(path)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                pass_fds=(theirs.fileno(),),
                env={**environment(os.environ, addresses=addresses), **_ONE_THREAD},
                **system.apart(),
            )
        self.pid = self._process.pid

    def connect(self, memory: int) -> int:
        """Hand over the memory for crops, and the socket to whoever talks to the process from now on.

        Args:
            memory: descriptor of the memory.

        Returns:
            The socket's descriptor; the caller closes it.
        """
        if self._socket is None:
            raise RuntimeError("this process is connected already")
        with self._socket as ours:
            # One that has ended by now is noticed where it is listened to.
            with contextlib.suppress(OSError):
                system.hand_over(ours.fileno(), memory)
            self._socket = None
            return ours.detach()

    def end(self) -> tuple[str, str]:
        """Kill it, if it has not ended by itself.

        Returns:
            How it ended, in words, and the last line that it wrote on stderr; empty if it wrote none.
        """
        # Of a process that ends by itself the socket closes a moment before it can be waited for.
        code = self._code_within(_ENDING_SECONDS)
        if code is None:
            self._process.kill()
            code = self._code_within(_ENDING_SECONDS)
        if self._socket is not None:
            self._socket.close()
        with self._stderr:
            self._stderr.seek(0)
            said = self._stderr.read(100_000).decode(errors="replace").strip()
        words = "it cannot be ended" if code is None else system.how_it_ended(code)
        return words, said.splitlines()[-1] if said else ""

    def kill(self, *, wait: bool = True) -> None:
        """End it now, whatever it does. Does nothing to one that has been ended.

        Args:
            wait: until it has ended, as far as it can end; else call this or `end` again.
        """
        if not self._stderr.closed:
            self._process.kill()
            if wait:
                self.end()

    def _code_within(self, seconds: float) -> int | None:
        """Its exit code; None for one that goes on, as a process does that waits for a dead mount."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
