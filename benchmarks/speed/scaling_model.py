"""What the measured parts of one photograph say of machines that are not here: a model, not a measurement.

Decoding, crops and inference of different photographs do not wait for each other. What does not divide is
the parent's own work for each photograph: handing out files, collecting crops, writing rows. So a machine
of n cores scores min(n / work, 1 / parent) photographs a second, and saturates at work / parent cores.
Memory bandwidth, hyper-threads and the disk are left out, so the figures are upper bounds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

CORES = (1, 2, 4, 8, 16, 32, 64, 128)
GPUS = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class Parts:
    """Milliseconds of one core for one photograph.

    Attributes:
        read: of the file.
        decode: to pixels.
        crops: from pixels.
        infer: by the model on one thread.
        parent: of what one thread does for each photograph.
    """

    read: float
    decode: float
    crops: float
    infer: float
    parent: float

    @property
    def worker(self) -> float:
        """What a worker process does."""
        return self.read + self.decode + self.crops


def on_cores(parts: Parts, counts: Iterable[int] = CORES) -> dict[str, Any]:
    """Photographs a second on many cores, and the number of cores beyond which nothing is gained."""
    work = parts.worker + parts.infer + parts.parent
    return {
        "photographs_per_second": {
            str(count): round(min(1000 * count / work, 1000 / parts.parent), 1) for count in counts
        },
        "saturates_at_cores": round(work / parts.parent, 1),
    }


def on_gpus(parts: Parts, rates: Iterable[float], counts: Iterable[int] = GPUS) -> dict[str, Any]:
    """Cores that keep GPUs busy, one process of ours for each GPU.

    Args:
        parts: as measured on a CPU; its inference does not matter here.
        rates: photographs a second that one GPU infers; assumed.
        counts: of GPUs.
    """
    found: dict[str, Any] = {}
    for rate in rates:
        fed = min(rate, 1000 / parts.parent)
        found[f"{rate:g} a second"] = {
            "reached_by_a_gpu": round(fed, 1),
            "bounded_by": "the GPU" if fed == rate else "the parent process",
            "cores_needed": {
                str(count): round(count * fed * (parts.worker + parts.parent) / 1000, 1) for count in counts
            },
        }
    return found
