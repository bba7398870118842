"""What the measured parts of a run say of clusters that are not here: a simulation, not a measurement.

Photographs are listed first, then partitions go to actors one after the other. The driver hands out one
partition at a time; an actor needs so long for one as its slowest resource does, times a random factor with
the spread that was measured; nodes are lost at random, with what they had in hands, and come back. What is
assumed and not measured stands in `Assumed`.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

GIGABIT = 1e9 / 8


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of one core, unless it says otherwise.

    Attributes:
        read: of a photograph from the local disk.
        decode: of a photograph.
        crops: of a photograph.
        infer: of a photograph, by the model on one thread.
        parent: of what one thread of an actor does for each photograph.
        write: of one row.
        partition: wall time of the driver, for each partition.
        start: wall time until the first actor works.
        spread: standard deviation of the logarithm of equal partitions' times.
        bytes: of a photograph's file.
    """

    read: float
    decode: float
    crops: float
    infer: float
    parent: float
    write: float
    partition: float
    start: float
    spread: float
    bytes: float


@dataclass(frozen=True, slots=True)
class Assumed:
    """What no machine here can measure.

    Attributes:
        cores: of a node.
        gpu_rate: photographs a second that a GPU infers.
        network: bytes a second of a node.
        list_rate: names a second from one prefix of an object store.
        prefixes: that are listed side by side.
        gets: requests a second that the store answers for one prefix.
        stragglers: share of partitions that take `straggling` times as long.
        straggling: see there.
        loss: nodes lost, of one node in one hour.
        back: seconds until a lost node works again.
    """

    cores: int = 16
    gpu_rate: float = 2_000.0
    network: float = 10 * GIGABIT
    list_rate: float = 5_000.0
    prefixes: int = 16
    gets: float = 5_500.0
    stragglers: float = 0.01
    straggling: float = 3.0
    loss: float = 0.002
    back: float = 300.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster.

    Attributes:
        nodes: how many.
        gpus: of each node.
    """

    nodes: int
    gpus: int


def limits(measured: Measured, assumed: Assumed, cluster: Cluster, partition: int) -> dict[str, float]:
    """Photographs a second that each resource would allow if it were the only one."""
    actors = _actors(assumed, cluster)
    work = measured.read + measured.decode + measured.crops + measured.parent + measured.write
    cores = cluster.nodes * assumed.cores
    found = {
        "cores": cores / (work + (0 if cluster.gpus else measured.infer)),
        "one thread of each actor": actors / (measured.parent + measured.write),
        "network of the nodes": cluster.nodes * assumed.network / measured.bytes,
        "requests to the store": assumed.gets * assumed.prefixes,
        "the driver": partition / measured.partition,
    }
    if cluster.gpus:
        found["GPUs"] = cluster.nodes * cluster.gpus * assumed.gpu_rate
    return found


def simulate(
    measured: Measured, assumed: Assumed, cluster: Cluster, photographs: int, partition: int, seed: int = 0
) -> dict[str, Any]:
    """One run.

    Args:
        measured: see there.
        assumed: see there.
        cluster: see there.
        photographs: how many.
        partition: photographs of a partition, at most; few are divided so that each actor has four.
        seed: of partitions' times, stragglers and losses.

    Returns:
        Hours, photographs a second, hours of nodes and what they went to, and what saturates first.
    """
    actors = _actors(assumed, cluster)
    partition = max(16, min(partition, math.ceil(photographs / (4 * actors))))
    count = math.ceil(photographs / partition)
    allowed = limits(measured, assumed, cluster, partition)
    shared = {name: rate for name, rate in allowed.items() if name != "the driver"}
    usual = partition * actors / min(shared.values())
    times = _times(measured, assumed, usual, count, seed)
    listing = photographs / (assumed.list_rate * assumed.prefixes)
    lost = np.random.default_rng([seed, 1]).random(count)
    a_second = assumed.loss / 3600

    began = listing + measured.start
    free = [began] * actors
    driver, seconds, busy, losses = began, began, 0.0, 0
    for took, chance in zip(times, lost, strict=True):
        driver = max(driver, heapq.heappop(free)) + measured.partition
        finished = driver + took
        if chance < a_second * took:
            # It is lost somewhere on its way, and done again when the node is back.
            losses += 1
            wasted = took * (chance / (a_second * took))
            busy += wasted
            finished += wasted + assumed.back
        busy += took
        seconds = max(seconds, finished)
        heapq.heappush(free, finished)
    return {
        "photographs": photographs,
        "nodes": cluster.nodes,
        "gpus_a_node": cluster.gpus,
        "partition": partition,
        "hours": round(seconds / 3600, 3),
        "photographs_per_second": round(photographs / seconds, 1),
        "node_hours": round(seconds * cluster.nodes / 3600, 2),
        "share_of_time": {
            "listing": round(listing / seconds, 4),
            "scoring": round(busy / actors / seconds, 4),
            "idle": round(1 - (listing + busy / actors) / seconds, 4),
        },
        "losses": losses,
        "saturates_first": min(allowed, key=lambda name: allowed[name]),
        "next": sorted(allowed, key=lambda name: allowed[name])[1],
    }


def drivers(measured: Measured, gpu: bool) -> dict[str, float]:
    """Core seconds of one photograph by what they go to; what a GPU infers takes none."""
    found = asdict(measured)
    names = ("read", "decode", "crops", "parent", "write") + (() if gpu else ("infer",))
    return {name: found[name] for name in names}


def _actors(assumed: Assumed, cluster: Cluster) -> int:
    return cluster.nodes * (cluster.gpus or math.ceil(assumed.cores / 8))


def _times(
    measured: Measured, assumed: Assumed, usual: float, count: int, seed: int
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Seconds of each partition; their mean without stragglers is the usual one."""
    generator = np.random.default_rng([seed, 0])
    factor = np.exp(generator.normal(-(measured.spread**2) / 2, measured.spread, count))
    slow = np.where(generator.random(count) < assumed.stragglers, assumed.straggling, 1.0)
    times: np.ndarray[Any, np.dtype[np.float64]] = usual * factor * slow
    return times
