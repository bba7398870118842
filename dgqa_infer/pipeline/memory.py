"""One total for the memory of a run: what is taken in any case, and what is left for photographs.

The scoring process, the model, the worker processes and the places for crops have their share first. The rest
is for decoding. Half of that is shared out in advance, so that ordinary photographs ask nobody; whoever needs
more waits until the others leave it room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dgqa_infer import system
from dgqa_infer.errors import UsageError

SCORING_BYTES: Final = 250_000_000
"""The scoring process without its model: Python, NumPy, a runtime, results that wait to be written."""

WORKER_BYTES: Final = 80_000_000
"""A worker process that decodes nothing; measured 50 to 70 MB, some of it shared with the others."""

_DECODING_BYTES: Final = 400_000_000
"""What each worker should have for its photographs: 12 MP of any format, 50 MP of JPEG."""

_OF_THE_MACHINE: Final = 0.75
_UNKNOWN_MACHINE: Final = 4_000_000_000


def default_total() -> int:
    """Three quarters of the memory that this machine, or its container, has."""
    return int(_OF_THE_MACHINE * (system.memory() or _UNKNOWN_MACHINE))


def default_workers(total: int, model: int) -> int:
    """One a core; fewer where memory would leave each of them too little.

    Args:
        total: bytes for all processes.
        model: bytes that the model takes.
    """
    room = (total - SCORING_BYTES - model) // (WORKER_BYTES + _DECODING_BYTES)
    return max(1, min(system.cores(), room))


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """How a run's memory is shared out.

    Attributes:
        total: bytes that all processes may have.
        decoding: bytes of it for photographs that are being decoded.
        free: bytes that each worker may take for one without asking.
        most: bytes that one photograph may need; for more there is never room.
    """

    total: int
    decoding: int
    free: int
    most: int

    @classmethod
    def of(cls, total: int, *, model: int, workers: int, crops: int) -> MemoryPlan:
        """Share out.

        Args:
            total: bytes for all processes.
            model: bytes that the model takes.
            workers: number of worker processes.
            crops: bytes of the crops that are under way.

        Raises:
            UsageError: nothing would be left for photographs; says what takes how much.
        """
        decoding = total - SCORING_BYTES - model - workers * WORKER_BYTES - crops
        if decoding < workers * WORKER_BYTES:
            raise UsageError(
                f"--limit-total-memory of {_gb(total)} is too little: {workers} workers take "
                f"{_gb(workers * WORKER_BYTES)}, the model {_gb(SCORING_BYTES + model)}, and the crops of a "
                f"batch {_gb(crops)}, which leaves too little for photographs; take fewer --workers, "
                "a smaller --batch-size, or raise the limit"
            )
        free = decoding // 2 // workers
        return cls(total, decoding, free, decoding - (workers - 1) * free)

    def admits(self, needed: int, others: Sequence[int]) -> bool:
        """Whether there is room for a photograph.

        Args:
            needed: bytes to decode it.
            others: bytes that each of the other workers was admitted with; 0 for those that did not ask.
        """
        return needed + sum(max(other, self.free) for other in others) <= self.decoding


def _gb(size: int) -> str:
    return f"{size / 1e9:.2f} GB"
