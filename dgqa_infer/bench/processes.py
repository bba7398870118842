"""Run a program and see how long it takes and how much memory it and all that it starts hold at once."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_EVERY_SECONDS = 0.05
PROGRAM = (sys.executable, "-c", "from dgqa_infer.cli.entry import main; main()")
"""`dgqa-infer` of this installation; its arguments follow."""


@dataclass(frozen=True, slots=True)
class Ran:
    """Result of a run.

    Attributes:
        seconds: of wall time.
        peak_mb: the most memory that was seen; shared pages count once. None where nobody looked or can.
        code: how it ended.
        said: its stderr.
    """

    seconds: float
    peak_mb: float | None
    code: int
    said: str


def run(command: Sequence[str], *, watch_memory: bool = False) -> Ran:
    """Run a command to its end; what it writes to stdout is thrown away.

    Args:
        command: program and arguments.
        watch_memory: look at its memory twenty times a second, which costs it a little time.
    """
    began = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        watcher = _Watcher(process.pid) if watch_memory else None
        said = process.stderr.read() if process.stderr is not None else b""
        code = process.wait()
        seconds = time.perf_counter() - began
        peak = watcher.stop() if watcher is not None else None
    return Ran(seconds, peak, code, said.decode(errors="replace"))


def tree(process: int) -> list[int]:
    """A process and all its descendants, as far as Linux tells."""
    found = [process]
    for pid in found:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                found += map(int, task.read_text().split())
            except OSError:
                continue
    return found


def memory_mb(process: int) -> float:
    """What a process holds: its own pages, and its share of those that several have; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("Pss:")), 0.0)


class _Watcher:
    def __init__(self, process: int) -> None:
        self._process = process
        self._peak = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._done.wait(_EVERY_SECONDS):
            self._peak = max(self._peak, sum(map(memory_mb, tree(self._process))))

    def stop(self) -> float | None:
        self._done.set()
        self._thread.join()
        return round(self._peak, 1) or None
