"""To a Ray cluster and away from it again. What could spoil a run is named before it begins."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

from dgqa_infer.errors import UsageError
from dgqa_infer.inputs import remote
from dgqa_infer.ray.dataset import import_ray
from dgqa_infer.ray.destination import Destination
from dgqa_infer.ray.settings import where
from dgqa_infer.ray.stores import within

LOCAL = "local"
"""The address of a cluster that is started here for the run and ends with it."""

_AUTO = "auto"
_ANSWER_SECONDS = 5.0
_INIT_SECONDS = 20.0
_PROBE_SECONDS = 60.0
_ENVIRONMENT = {
    # Nothing about a run is anybody else's business; whoever wants to send it can set this to 1.
    "RAY_USAGE_STATS_ENABLED": "0",
    # A Ray that is started here competes with other programs as this one would.
    "RAY_worker_niceness": "0",
    # It would warn of what it will change for GPUs, in every program.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@contextmanager
def connected(address: str, *, progress: bool) -> Iterator[list[Mapping[str, Any]]]:
    """A connection to a cluster. One that this process has already is used, and left as it is.

    Args:
        address: "local", "auto" for the one that runs on this machine, or "HOST:PORT" of its head.
        progress: whether Ray Data shows its bars on stderr.

    Yields:
        The nodes that are alive, as `ray.nodes` gives them.

    Raises:
        UsageError: Ray is not installed, nothing answers, or it is another version.
    """
    import_ray()
    import ray

    ours = not ray.is_initialized()
    if ours:
        _connect(address)
    # What Ray Data logs is for its makers; what it raises becomes a sentence of ours.
    logger, context = logging.getLogger("ray.data"), ray.data.DataContext.get_current()
    before = logger.level, context.enable_progress_bars
    logger.setLevel(logging.CRITICAL)
    context.enable_progress_bars = progress
    try:
        yield [node for node in ray.nodes() if node["Alive"]]
    finally:
        logger.setLevel(before[0])
        context.enable_progress_bars = before[1]
        if ours:
            ray.shutdown()


def check_nodes(
    nodes: Sequence[Mapping[str, Any]], destination: Destination, sources: Sequence[str], folder: str
) -> None:
    """Ask every node whether it can take part.

    Args:
        nodes: as `connected` gives them.
        destination: that they will write to; holds the run's manifest.
        sources: what was named.
        folder: that names of files are relative to.

    Raises:
        UsageError: one cannot; says which and why.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = version("dgqa-infer")
    files = [os.path.join(folder, name) for name in sources if not remote.is_remote(name)]  # noqa: PTH118
    files = [name for name in files if os.path.lexists(name)]
    asked = {}
    for node in nodes:
        if node["Resources"].get("CPU", 0) >= 1:
            strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            task = ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=strategy)(_look)
            asked[task.remote(destination, files)] = node["NodeManagerAddress"]
    done, waiting = ray.wait(list(asked), num_returns=len(asked), timeout=_PROBE_SECONDS)
    for reference in waiting:
        raise UsageError(f"node {asked[reference]} does not answer within {_PROBE_SECONDS:g} s")
    for reference in done:
        try:
            found = ray.get(reference)
        except Exception as error:
            raise UsageError(
                f"node {asked[reference]} cannot take part: {_short(error)};"
                f" every node needs dgqa-infer {here}"
            ) from error
        if found["version"] != here:
            raise UsageError(
                f"node {found['node']} has dgqa-infer {found['version']}, this program is {here}:"
                " install the same version everywhere"
            )
        if found["missing"]:
            raise UsageError(
                f"node {found['node']} does not see {found['missing'][0]}: photographs and destination must"
                " be on a file system that every node has in the same place, or in an object store"
            )


def _look(destination: Destination, files: Sequence[str]) -> dict[str, Any]:
    """Runs on a node: its versions, and what it does not see."""
    missing = [name for name in files if not os.path.lexists(name)]
    if not destination.names("_dgqa"):
        missing.append(destination.shown)
    return {"node": where(), "version": version("dgqa-infer"), "missing": missing}


def _connect(address: str) -> None:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if address not in (LOCAL, _AUTO):
        _answers(address)
    try:
        if address == LOCAL:
            # In this thread, so that Ray can end its processes when this one is told to end.
            _init(address)
        else:
            within(_INIT_SECONDS, lambda: _init(address))
    except TimeoutError as error:
        raise UsageError(
            f"what answers at {address} is no Ray cluster, or is overloaded: there is no connection"
            f" within {_INIT_SECONDS:g} s"
        ) from error
    except ConnectionError as error:
        hint = "start one with `ray start --head`" if address == _AUTO else "is its head running?"
        raise UsageError(f"no Ray cluster at {address} ({_short(error)}): {hint}") from error
    except (RuntimeError, ValueError) as error:
        raise UsageError(f"the Ray cluster at {address} cannot be used: {_short(error)}") from error


def _init(address: str) -> bool:
    import ray

    ray.init(
        address=address,
        include_dashboard=False if address == LOCAL else None,
        log_to_driver=False,
        logging_level=logging.ERROR,
        configure_logging=True,
    )
    return True


def _answers(address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address.startswith("ray://"):
        raise UsageError(
            f"{address} is for Ray's client, which Ray Data does not run behind: run this on a node of the"
            " cluster with --address auto, as `ray job submit -- dgqa-infer score-cluster …` does"
        )
    if not (host and port.isdecimal() and int(port) < 65536):
        raise UsageError(f"{address!r} is no address of a cluster: say auto, or HOST:PORT of its head")
    try:
        socket.create_connection((host, int(port)), _ANSWER_SECONDS).close()
    except OSError as error:
        raise UsageError(f"no Ray cluster answers at {address}: {error.strerror or error}") from error


def _short(error: BaseException) -> str:
    """The last thing that an error says, in one line."""
    said = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = " ".join(said) if len(said) <= 8 else said[-1]
    return text[:300] or type(error).__name__
