"""What one input becomes: a `Score` or a `Failure`, and the row that each is written as."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NotRequired, TypeAlias, TypedDict

from dgqa_infer.errors import ErrorCode

if TYPE_CHECKING:
    from dgqa_infer.quality_map import QualityMap


class DistortionRow(TypedDict):
    """A distortion in a row; see `Distortion`."""

    name: str
    probability: float


class ErrorRow(TypedDict):
    """Why a row has no score; see `Failure`."""

    code: ErrorCode
    message: str


class GateRow(TypedDict):
    """A gate's verdict in a row; see `dgqa_infer.gate`."""

    rule: str
    passed: bool
    reasons: list[str]
    within_tolerance: bool


class Row(TypedDict):
    """What one input becomes in every output; `docs/schemas/row.schema.json` says what each field means.

    A row with `error` has none of the fields from `score` to `votes`. `size` and `mtime` come with rows of
    files, `gate` with rows that a gate has judged.
    """

    path: str | None
    score: NotRequired[float]
    raw: NotRequired[float]
    spread: NotRequired[float]
    width: NotRequired[int]
    height: NotRequired[int]
    warnings: NotRequired[list[str]]
    distortions: NotRequired[list[DistortionRow]]
    votes: NotRequired[list[int]]
    error: NotRequired[ErrorRow]
    model: str
    gate: NotRequired[GateRow]
    size: NotRequired[int | None]
    mtime: NotRequired[float | None]


@dataclass(frozen=True, slots=True)
class Distortion:
    """One thing that may be wrong with a photograph.

    Attributes:
        name: in a photographer's words, such as "motion blur".
        probability: 0–1, calibrated on held-out synthetic images.
    """

    name: str
    probability: float


@dataclass(frozen=True, slots=True)
class Score:
    """The quality of one photograph.

    Attributes:
        path: the input as it was named; None for an input from memory.
        score: 0–100, higher is better, monotone in `raw`.
        raw: the network's quality on the label scale, 0–10, higher is better; the mean over crops.
        spread: standard deviation of `raw` over the crops.
        width: of the upright photograph, in pixels, before any resizing.
        height: likewise.
        warnings: stable words for what a careful reader should know, such as "upscaled".
        model: the bundle's name and the start of its graph's hash, "dgqa-lite0@1f3a9c0e".
        distortions: likeliest first; empty when none was found, None when nobody asked.
        votes: the four domains with the highest logits, likeliest first, by their numbers (0 is pristine);
            None when nobody asked, or the classifier has other domains.
        quality_map: where in the photograph `raw` comes from; None when nobody asked. Not part of the row.
    """

    path: str | None
    score: float
    raw: float
    spread: float
    width: int
    height: int
    warnings: tuple[str, ...]
    model: str
    distortions: tuple[Distortion, ...] | None = None
    votes: tuple[int, ...] | None = None
    quality_map: QualityMap | None = field(default=None, compare=False, repr=False)

    def row(self) -> Row:
        """The row of this score, ready for JSON."""
        row: Row = {
            "path": self.path,
            "score": round(self.score, 2),
            "raw": round(self.raw, 5),
            "spread": round(self.spread, 4),
            "width": self.width,
            "height": self.height,
            "warnings": list(self.warnings),
            "model": self.model,
        }
        if self.distortions is not None:
            row["distortions"] = [
                {"name": found.name, "probability": round(found.probability, 4)} for found in self.distortions
            ]
        if self.votes is not None:
            row["votes"] = list(self.votes)
        return row


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one input has no score.

    Attributes:
        path: the input as it was named; None for an input from memory.
        code: stable word for the reason, one of `dgqa_infer.errors.ERROR_CODES`.
        message: what happened, in words.
        model: the bundle that would have scored it.
    """

    path: str | None
    code: ErrorCode
    message: str
    model: str

    def row(self) -> Row:
        """The row of this failure, ready for JSON."""
        return {
            "path": self.path,
            "error": {"code": self.code, "message": self.message},
            "model": self.model,
        }


Result: TypeAlias = Score | Failure
