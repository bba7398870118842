"""How a cluster's processors are shared out among actors that each hold one model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dgqa_infer.errors import UsageError

# One thread of an actor does the talking for all of its decoding processes: more of them gain little.
_MOST_CPUS = 8
_WITHOUT_GPU = ("cpu", "openvino")


@dataclass(frozen=True, slots=True)
class Resources:
    """What one actor takes, and how many there are.

    Attributes:
        cpus: cores of each.
        gpus: GPUs of each, or a share of one; 0 for none.
        actors: on all nodes together.
        a_node: at most, on one node.
    """

    cpus: int
    gpus: float
    actors: int
    a_node: int


def share_out(
    nodes: Sequence[Mapping[str, float]],
    *,
    device: str = "auto",
    cpus: int | None = None,
    gpus: float | None = None,
) -> Resources:
    """Divide nodes among actors, so that as few cores as possible are left over.

    Args:
        nodes: of each what Ray calls its resources: "CPU" and, where it has some, "GPU".
        device: that the model shall run on.
        cpus: cores of each actor; None for up to eight, as the nodes divide best.
        gpus: GPUs of each actor; None for one where any node has one and the device may be one, else none.

    Raises:
        UsageError: no node has that much.
    """
    if gpus is None:
        wanted = device.partition(":")[0] not in _WITHOUT_GPU and any(node.get("GPU") for node in nodes)
        gpus = 1.0 if wanted else 0.0
    able = [node for node in nodes if node.get("CPU", 0) >= 1 and node.get("GPU", 0) >= gpus]
    if cpus is None:
        cpus = min((_divided(node, gpus) for node in able), default=1)
    counts = [_fitting(node, cpus, gpus) for node in able]
    if sum(counts) == 0:
        largest = max((node.get("CPU", 0) for node in nodes), default=0)
        share = f" and {gpus:g} GPU" if gpus else ""
        raise UsageError(
            f"no node of the cluster has {cpus} cores{share} for an actor: the largest of its {len(nodes)}"
            f" nodes has {largest:g} cores"
        )
    return Resources(cpus, gpus, sum(counts), max(counts))


def _divided(node: Mapping[str, float], gpus: float) -> int:
    """Cores of an actor on this node, if it were alone."""
    cores = int(node["CPU"])
    actors = int(node["GPU"] / gpus + 1e-9) if gpus else math.ceil(cores / _MOST_CPUS)
    return max(1, cores // max(1, actors))


def _fitting(node: Mapping[str, float], cpus: int, gpus: float) -> int:
    fitting = int(node["CPU"] // cpus)
    return min(fitting, int(node["GPU"] / gpus + 1e-9)) if gpus else fitting
