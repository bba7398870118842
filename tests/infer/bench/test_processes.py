"""Runs of programs that say themselves how much they take."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from dgqa_infer.bench.conditions import conditions
from dgqa_infer.bench.processes import run, tree
from dgqa_infer.system import cores

HOLD = "import time; held = b'x' * {size}; time.sleep(0.5)"
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what others hold")


def test_a_run_tells_how_it_ended_and_what_it_said() -> None:
    ran = run([sys.executable, "-c", "import sys; print('data'); sys.stderr.write('why'); sys.exit(3)"])
    assert (ran.code, ran.said, ran.peak_mb) == (3, "why", None)
    assert ran.seconds > 0


@LINUX
def test_memory_is_that_of_a_program_and_all_that_it_starts() -> None:
    own = "import subprocess, sys; own = b'x' * 40_000_000; "
    child = f"{own}subprocess.run([sys.executable, '-c', {HOLD.format(size=60_000_000)!r}])"
    small = run([sys.executable, "-c", HOLD.format(size=1)], watch_memory=True).peak_mb
    large = run([sys.executable, "-c", child], watch_memory=True).peak_mb
    assert small is not None
    assert large is not None
    # Two interpreters instead of one, and 100 MB of zeros and ones.
    assert small + 99 < large < 2 * small + 110


@LINUX
def test_pages_that_processes_share_count_once() -> None:
    code = "import os, time; held = b'x' * 80_000_000; [os.fork() for _ in range(2)]; time.sleep(0.5)"
    peak = run([sys.executable, "-c", code], watch_memory=True).peak_mb
    assert peak is not None
    assert 80 < peak < 160


@LINUX
def test_a_tree_begins_with_its_root() -> None:
    assert tree(os.getpid())[0] == os.getpid()


def test_conditions_name_this_machine() -> None:
    found = conditions()
    assert found["cores"] == cores() == len(os.sched_getaffinity(0))
    assert found["packages"]["numpy"] == __import__("numpy").__version__
    if Path("/proc/cpuinfo").exists():
        words = Path("/proc/cpuinfo").read_text().split()
        assert set(found["abilities"]) <= set(words)
