"""A Ray cluster of two nodes on this machine, shared by all tests that need one."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Found by the processes that decode, before the real one; misbehaves on files that say so in a comment, and
# leaves all of them to Pillow. A process that decodes may neither make a file nor end another process: it
# marks files that are there with a time, the number of its actor's process, and the test ends an actor that
# is marked.
DECODER = """
import os, signal, time

ACTORS = [f"{MARKS}/actor-{number}" for number in range(2)]

def marked(path):
    return int(os.stat(path).st_mtime)

def mark(path):
    os.utime(path, (os.getppid(), os.getppid()))

def decode_jpeg(data, **options):
    if b"SEGV" in data:
        os.kill(os.getpid(), signal.SIGSEGV)
    if b"ACTOR" in data and not marked(MARKS + "/killed"):
        mark(MARKS + "/killed")
        time.sleep(10)
    if b"BOTH" in data:
        until = time.monotonic() + 60
        while not all(map(marked, ACTORS)) and time.monotonic() < until:
            if os.getppid() not in map(marked, ACTORS):
                mark(next((path for path in ACTORS if not marked(path)), ACTORS[1]))
            time.sleep(0.05)
    if b"SLOW" in data:
        time.sleep(0.3)
    raise ValueError("could not determine subsampling: not for this decoder")
"""


# What Ray does to itself: it sets options of its own that it has deprecated, and leaves files, sockets and
# processes to the garbage collector.
IGNORED = (
    r"ignore::DeprecationWarning:ray\..*",
    r"ignore::FutureWarning:ray\..*",
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)

NODE = {"num_cpus": 1, "object_store_memory": 100_000_000}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where a test starts Ray, and only there, Ray's own warnings are no errors."""
    for item in items:
        if item.get_closest_marker("ray"):
            for warning in IGNORED:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(scope="session")
def marks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the stand-in remembers what it has done: had an actor killed once, waited for two."""
    folder = tmp_path_factory.mktemp("marks")
    for name in ("killed", "actor-0", "actor-1"):
        (folder / name).touch()
        os.utime(folder / name, (0, 0))

    def kill() -> None:
        while not (process := int((folder / "killed").stat().st_mtime)):
            time.sleep(0.05)
        os.kill(process, signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    return folder


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, marks: Path) -> Iterator[Any]:
    """The cluster, and this process's connection to it: two nodes with one core each."""
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.data")
    from ray.cluster_utils import Cluster

    folder = tmp_path_factory.mktemp("path")
    (folder / "simplejpeg.py").write_text(DECODER.replace("MARKS", repr(str(marks))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        # Ray's own 15 lets its workers starve beside another test.
        patch.setenv("RAY_worker_niceness", "0")
        found = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
        found.add_node(**NODE)
        ray.init(address=found.address, log_to_driver=False, logging_level="error")
        ray.data.DataContext.get_current().enable_progress_bars = False
        yield found
        ray.shutdown()
        found.shutdown()
        gc.collect()
