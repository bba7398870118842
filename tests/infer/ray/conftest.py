"""A Ray cluster of two nodes on this machine, shared by all tests that need one."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Found by the processes that decode, before the real one; misbehaves on files that say so in a comment, and
# leaves all of them to Pillow.
DECODER = """
import os, signal, time

def decode_jpeg(data, **options):
    if b"SEGV" in data:
        os.kill(os.getpid(), signal.SIGSEGV)
    if b"ACTOR" in data and not os.path.exists(MARKS + "/killed"):
        open(MARKS + "/killed", "x").close()
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(10)
    if b"BOTH" in data:
        open(f"{MARKS}/actor-{os.getppid()}", "w").close()
        until = time.monotonic() + 60
        while sum(name.startswith("actor-") for name in os.listdir(MARKS)) < 2 and time.monotonic() < until:
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
    """A folder in which the stand-in remembers what it has done: killed an actor once, waited for two."""
    return tmp_path_factory.mktemp("marks")


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
