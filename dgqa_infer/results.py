"""What one input becomes: a `Score` or a `Failure`, and the row that each is written as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, NotRequired, TypeAlias, TypedDict

from dgqa_infer.errors import ErrorCode

if TYPE_CHECKING:
    from dgqa_infer.images.attributes import Attributes
    from dgqa_infer.quality_map import QualityMap


class DistortionRow(TypedDict):
    """A distortion in a row; see `Distortion`."""

    name: str
    probability: float
    severity: NotRequired[float]


class AttributesRow(TypedDict):
    """What was measured of a photograph; see `dgqa_infer.images.attributes.Attributes`."""

    sharpness: float
    brightness: float
    clipped: float
    noise: float


class ErrorRow(TypedDict):
    """Why a row has no score; see `Failure`. `setup` is `dgqa_infer.setup.setup_of` the run."""

    code: ErrorCode
    message: str
    setup: NotRequired[str]


class GateRow(TypedDict):
    """A gate's verdict in a row; see `dgqa_infer.gate`."""

    rule: str
    passed: bool
    reasons: list[str]
    within_tolerance: bool


class Row(TypedDict):
    """What one input becomes in every output; `docs/schemas/row.schema.json` says what each field means.

    A row with `error` has none of the fields from `score` to `probabilities`. `size` and `mtime` come with
    rows of files, `gate` with rows that a gate has judged.
    """

    path: str | None
    score: NotRequired[float]
    raw: NotRequired[float]
    spread: NotRequired[float]
    width: NotRequired[int]
    height: NotRequired[int]
    warnings: NotRequired[list[str]]
    distortions: NotRequired[list[DistortionRow]]
    attributes: NotRequired[AttributesRow]
    votes: NotRequired[list[int]]
    probabilities: NotRequired[dict[str, float]]
    error: NotRequired[ErrorRow]
    model: str
    gate: NotRequired[GateRow]
    size: NotRequired[int | None]
    mtime: NotRequired[float | None]


@dataclass(frozen=True, slots=True)
class Distortion:
    """One thing that is wrong with a photograph.

    Attributes:
        name: in a photographer's words, such as "motion blur".
        probability: 0–1, calibrated on held-out synthetic images.
        severity: 0 (imperceptible), 1 (perceptible, not annoying), 2 (slightly annoying), 3 (annoying) to 4
            (very annoying): 5 − the DMOS that KADID-10k's raters gave images distorted as strongly. None
            where the bundle's card does not say how bad its classifier's distortions are.
    """

    name: str
    probability: float
    severity: float | None = None

    @property
    def harm(self) -> float:
        """What distortions are ordered by: severity × probability; the probability without a severity."""
        return self.probability * (1.0 if self.severity is None else self.severity)

    def row(self) -> DistortionRow:
        """The distortion in a row."""
        row: DistortionRow = {"name": self.name, "probability": round(self.probability, 4)}
        if self.severity is not None:
            row["severity"] = round(self.severity, 2)
        return row


@dataclass(frozen=True, slots=True)
class Score:
    """The quality of one photograph.

    Attributes:
        path: the input as it was named; None for an input from memory.
        score: 0–100, higher is better, monotone in `raw`.
        raw: the network's quality, 0–10, higher is better; the mean over crops.
        spread: standard deviation of `raw` over the crops.
        width: of the upright photograph, in pixels, before any resizing.
        height: likewise.
        warnings: stable words for what a careful reader should know, such as "upscaled".
        model: the bundle's name and the start of its graph's hash, "dgqa-lite0@1f3a9c0e".
        distortions: the most harmful first; empty when none was found, None where not requested.
        attributes: what was measured of the picture that the model saw; None where not requested.
        votes: the four domains with the highest logits, likeliest first, by their numbers (0 is pristine);
            None where not requested, or the classifier has other domains.
        probabilities: of each of the classifier's classes, which sum to 1; None unless all were asked for.
        quality_map: where in the photograph `raw` comes from; None where not requested. Not part of the row.
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
    attributes: Attributes | None = None
    votes: tuple[int, ...] | None = None
    probabilities: Mapping[str, float] | None = None
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
            row["distortions"] = [found.row() for found in self.distortions]
        if self.attributes is not None:
            measured = {name: round(value, 4) for name, value in asdict(self.attributes).items()}
            row["attributes"] = AttributesRow(**measured)  # type: ignore[typeddict-item]
        if self.votes is not None:
            row["votes"] = list(self.votes)
        if self.probabilities is not None:
            row["probabilities"] = {name: round(share, 6) for name, share in self.probabilities.items()}
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
