"""What decoding may take."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from dgqa_infer.errors import UsageError


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """What decoding may take.

    Attributes:
        seconds: of wall time, for one file.
        memory_bytes: address space of one worker process.
        pixels_in_flight: of large photographs, decoded at the same time by all workers.
    """

    seconds: float = 30.0
    memory_bytes: int = 4_000_000_000
    pixels_in_flight: int = 600_000_000

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value <= 0:
                raise UsageError(f"the limit {name} is {value}, not above 0")
