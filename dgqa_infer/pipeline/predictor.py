"""What turns crops into results, and what an input comes to in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.images.decode import DecodeLimits
from dgqa_infer.pipeline.worker import Task
from dgqa_infer.results import Failure, Result

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Judge(Protocol[R_co]):
    """What turns crops into results; `Scorer` is one, `DomainClassifier` another.

    Attributes:
        bundle: its card says how crops are made.
        batch_size: photographs that are judged at once.
        limits: what an input may ask for.
        strict: refuse a JPEG whose data is damaged.
        jpeg_device: the GPU that decodes plain JPEGs, "cuda:N", where the card's preprocessing says so; None:
            the CPU decodes all.
    """

    bundle: Bundle
    batch_size: int
    limits: DecodeLimits
    strict: bool
    jpeg_device: str | None

    @property
    def model_id(self) -> str:
        """The model as failures name it."""
        ...

    def judge(self, stack: Pixels) -> Sequence[Any]:
        """Crops of some photographs, uint8 [photographs × grid, crop, crop, 3] → a judgement on each."""
        ...

    def result(
        self, path: str | None, judgement: Any, width: int, height: int, warnings: tuple[str, ...], /
    ) -> R_co:
        """What a judgement makes of a photograph."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome(Generic[R]):
    """One input's end.

    Attributes:
        result: its score, or what else the judge makes of it; or its failure.
        size: of the file, in bytes; None where there is none.
        mtime: of the file, in seconds since 1970; None where there is none.
        preview: the photograph, small, uint8 [height, width, 3]; None where none was asked for or it failed.
    """

    result: R | Failure
    size: int | None
    mtime: float | None
    preview: Pixels | None = None

    def row(self: Outcome[Result]) -> dict[str, Any]:
        """The result's row, and what tells later whether the file is still the same."""
        return {**self.result.row(), "size": self.size, "mtime": self.mtime}


def judge_batch(
    judge: Judge[R], stack: Pixels, batch: Sequence[tuple[Task, dict[str, Any]]]
) -> list[tuple[int, Outcome[R]]]:
    """Judge some photographs, and tell the place of each among the inputs and its outcome.

    Args:
        judge: in the thread that calls, and in no other.
        stack: uint8 [photographs × grid, crop, crop, 3].
        batch: each photograph's task, what its worker said of it, and its preview where there is one.

    Raises:
        BackendError: the runtime failed.
    """
    outcomes: list[tuple[int, Outcome[R]]] = []
    for (task, found), judgement in zip(batch, judge.judge(stack), strict=True):
        warnings = tuple(found["warnings"])
        result = judge.result(task.path, judgement, found["width"], found["height"], warnings)
        outcome = Outcome(result, found["size"], found["mtime"], found.get("preview"))
        outcomes.append((task.index, outcome))
    return outcomes
