"""A bundle's card: what a model is, how photographs are prepared for it, and what its output means."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeVar

from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.errors import ModelError

CARD_FORMAT = 1
QUALITY_GRAPH = "model.onnx"
INT8_GRAPH = "model-int8.onnx"
DOMAIN_GRAPH = "domains.onnx"
PRISTINE = "pristine"
PRECISIONS = ("fp32", "fp16", "int8")
DIRECTION = "higher is better"

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")

T = TypeVar("T")


def is_name(text: str) -> bool:
    """Whether a bundle can be called this."""
    return _NAME.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file of a bundle.

    Attributes:
        sha256: of its bytes, 64 hex digits.
        bytes: its size.
    """

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """Raw quality → score, piecewise linear and clipped at the end knots.

    Attributes:
        raw: knots on the label scale, strictly ascending.
        score: the score at each knot, 0–100, strictly ascending: different raw values, different scores.
    """

    raw: tuple[float, ...]
    score: tuple[float, ...]

    def __call__(self, raw: float) -> float:
        """The score of a raw quality, 0–100."""
        import numpy as np

        return float(np.interp(raw, self.raw, self.score))

    @classmethod
    def from_card(cls, data: Mapping[str, Any]) -> Calibration:
        """Read the card's `calibration` object.

        Raises:
            ModelError: a field is missing, unknown, of the wrong type or out of range.
        """
        fields = _Fields(data, "the card's calibration")
        raw = fields.numbers("raw", _ascending, "at least two, strictly ascending")
        score = fields.numbers(
            "score",
            lambda knots: _ascending(knots) and knots[0] >= 0 and knots[-1] <= 100,
            "strictly ascending, 0–100",
        )
        fields.done()
        if len(raw) != len(score):
            raise ModelError(f"the card's calibration has {len(raw)} raw knots and {len(score)} score knots")
        return cls(raw, score)

    def as_card(self) -> dict[str, Any]:
        """The card's `calibration` object."""
        return {"raw": list(self.raw), "score": list(self.score)}


@dataclass(frozen=True, slots=True)
class Fault:
    """When one distortion is clearly there, and how bad it then is.

    Both rest on its evidence: the natural logarithm of how many times likelier it is than "pristine".

    Attributes:
        threshold: evidence from which on it is named; chosen on undistorted photographs.
        evidence: knots, strictly ascending.
        severity: at each knot, 0–4, never descending: 5 − the DMOS of KADID-10k's images with such evidence.
    """

    threshold: float
    evidence: tuple[float, ...]
    severity: tuple[float, ...]

    def severity_of(self, evidence: float) -> float:
        """How bad it is, 0–4: linear between the knots, clipped at their ends."""
        import numpy as np

        return float(np.interp(evidence, self.evidence, self.severity))

    @classmethod
    def from_card(cls, data: object, name: str) -> Fault:
        """Read its object in the card's `domains.faults`.

        Args:
            data: the object.
            name: of the distortion, for errors.

        Raises:
            ModelError: a field is missing, unknown, of the wrong type or out of range.
        """
        fields = _Fields(data, f"the card's domains: faults: {name}")
        threshold = fields.require("threshold", float, math.isfinite, "a finite number")
        evidence = fields.numbers("evidence", _ascending, "at least two, strictly ascending")
        severity = fields.numbers(
            "severity",
            lambda knots: all(0 <= knot <= 4 for knot in knots) and list(knots) == sorted(knots),
            "0–4, never descending",
        )
        fields.done()
        if len(evidence) != len(severity):
            raise ModelError(
                f"{fields.where}: {len(evidence)} knots of evidence, {len(severity)} of severity"
            )
        return cls(threshold, evidence, severity)

    def as_card(self) -> dict[str, Any]:
        """Its object in the card's `domains.faults`."""
        return {
            "threshold": self.threshold,
            "evidence": list(self.evidence),
            "severity": list(self.severity),
        }


@dataclass(frozen=True, slots=True)
class Domains:
    """What the domain classifier's outputs mean.

    Attributes:
        classes: name of each output in order, as a slug such as "motion_blur"; the first is "pristine".
        temperature: logits are divided by it before the softmax; fitted on held-out synthetic images.
        profile: domain profile of the photographs that the model was trained for, as
            `dgqa_infer.domains.profile.DomainProfile.from_card` reads it; empty without one.
        faults: class → when it is named; of every class but the first, or empty where not measured.
        crops: which of the grid's crops explanations rest on, ascending; empty for all. Domains are selected
            by all of them.
        score_weight: how much a photograph's low score counts in its explanation, see
            `dgqa_infer.domains.explanation.with_score`; 0 for nothing.
    """

    classes: tuple[str, ...]
    temperature: float
    profile: Mapping[str, Any] = field(default_factory=dict)
    faults: Mapping[str, Fault] = field(default_factory=dict)
    crops: tuple[int, ...] = ()
    score_weight: float = 0.0


@dataclass(frozen=True, slots=True)
class Card:
    """Everything that `card.json` says.

    Attributes:
        name: of the bundle: lower-case letters, digits, ".", "_" and "-".
        version: of the bundle, in the maker's words.
        licence: of the weights, as an SPDX expression.
        precision: of the graph: fp32, fp16 or int8.
        files: what each file of the bundle must be; holds "model.onnx", and perhaps "model-int8.onnx", the
            same in int8.
        preprocessing: how photographs become crops.
        raw_range: lower and upper end of the label scale.
        calibration: raw quality → score.
        tolerances: per precision, how far the raw quality may lie from the fp32 graph's on the CPU.
        domains: what the domain classifier's outputs mean; None without one.
        training: how the weights came about: domains, contents, labels, seeds, code revision.
        figures: what the model reached and on what.
    """

    name: str
    version: str
    licence: str
    precision: str
    files: Mapping[str, FileRecord]
    preprocessing: Preprocessing
    raw_range: tuple[float, float]
    calibration: Calibration
    tolerances: Mapping[str, float]
    domains: Domains | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    figures: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def from_json(cls, data: object) -> Card:
        """Read a card.

        Args:
            data: what `json.loads` made of `card.json`.

        Raises:
            ModelError: a field is missing, unknown, of the wrong type or out of range; names the field.
        """
        card = _Fields(data, "the card")
        if (version := card.take("format", int)) != CARD_FORMAT:
            raise ModelError(
                f"the card's format is {version}; this version of dgqa-infer reads {CARD_FORMAT}"
            )
        score = _Fields(card.take("score", dict), "the card's score")
        score.require("direction", str, lambda text: text == DIRECTION, repr(DIRECTION))
        raw_range = score.numbers(
            "raw_range", lambda ends: len(ends) == 2 and ends[0] < ends[1], "[low, high]"
        )
        calibration = Calibration.from_card(score.take("calibration", dict))
        score.done()
        domains = card.take("domains", dict, default=None)
        result = cls(
            name=card.require("name", str, _NAME.fullmatch, "lower-case letters, digits, '.', '_' and '-'"),
            version=card.take("version", str),
            licence=card.take("licence", str),
            precision=card.require("precision", str, PRECISIONS.__contains__, f"one of {PRECISIONS}"),
            files=_files(card.take("files", dict)),
            preprocessing=Preprocessing.from_card(card.take("preprocessing", dict)),
            raw_range=(raw_range[0], raw_range[1]),
            calibration=calibration,
            tolerances=_tolerances(card.take("tolerances", dict)),
            domains=None if domains is None else _domains(domains),
            training=card.take("training", dict, default={}),
            figures=tuple(card.take("figures", list, default=[])),
        )
        card.done()
        if (DOMAIN_GRAPH in result.files) != (result.domains is not None):
            raise ModelError(
                f"the card must have both, {DOMAIN_GRAPH} among its files and domains, or neither"
            )
        if result.domains is not None and max(result.domains.crops, default=0) >= result.preprocessing.grid:
            raise ModelError(
                f"the card's domains: crops is {list(result.domains.crops)}, and there are "
                f"{result.preprocessing.grid}, from 0 on"
            )
        if INT8_GRAPH in result.files and (result.precision != "fp32" or "int8" not in result.tolerances):
            raise ModelError(f"{INT8_GRAPH} stands beside a graph in fp32, with a tolerance for int8")
        if result.precision not in result.tolerances:
            raise ModelError(f"the card's tolerances lack its own precision, {result.precision}")
        return result

    def as_json(self) -> dict[str, Any]:
        """What `card.json` holds."""
        card: dict[str, Any] = {
            "format": CARD_FORMAT,
            "name": self.name,
            "version": self.version,
            "licence": self.licence,
            "precision": self.precision,
            "files": {
                name: {"sha256": record.sha256, "bytes": record.bytes} for name, record in self.files.items()
            },
            "preprocessing": self.preprocessing.as_card(),
            "score": {
                "raw_range": list(self.raw_range),
                "direction": DIRECTION,
                "calibration": self.calibration.as_card(),
            },
            "tolerances": dict(self.tolerances),
        }
        if self.domains is not None:
            card["domains"] = {
                "classes": list(self.domains.classes),
                "temperature": self.domains.temperature,
                "profile": dict(self.domains.profile),
            }
            if self.domains.faults:
                card["domains"]["faults"] = {
                    name: fault.as_card() for name, fault in self.domains.faults.items()
                }
            if self.domains.crops:
                card["domains"]["crops"] = list(self.domains.crops)
            if self.domains.score_weight:
                card["domains"]["score_weight"] = self.domains.score_weight
        card["training"] = dict(self.training)
        card["figures"] = [dict(figure) for figure in self.figures]
        return card


def _files(data: Mapping[str, Any]) -> dict[str, FileRecord]:
    records = {}
    for name, value in data.items():
        if name not in (QUALITY_GRAPH, INT8_GRAPH, DOMAIN_GRAPH):
            raise ModelError(f"the card's files: {name!r} is no file of a bundle")
        record = _Fields(value, f"the card's files: {name}")
        records[name] = FileRecord(
            sha256=record.require("sha256", str, _SHA256.fullmatch, "64 lower-case hex digits"),
            bytes=record.require("bytes", int, lambda size: size > 0, "above 0"),
        )
        record.done()
    if QUALITY_GRAPH not in records:
        raise ModelError(f"the card's files lack {QUALITY_GRAPH}")
    return records


def _domains(data: Mapping[str, Any]) -> Domains:
    fields = _Fields(data, "the card's domains")
    classes = fields.take("classes", list)
    if len(classes) < 2 or not all(isinstance(name, str) for name in classes) or classes[0] != PRISTINE:
        raise ModelError(f"the card's domains: classes must be names, the first {PRISTINE!r}")
    temperature = fields.require("temperature", float, lambda value: 0 < value < math.inf, "above 0")
    profile = fields.take("profile", dict, default={})
    found = fields.take("faults", dict, default={})
    faults = {name: Fault.from_card(value, name) for name, value in found.items()}
    crops = fields.take("crops", list, default=[])
    if not all(type(place) is int and place >= 0 for place in crops) or sorted(set(crops)) != crops:
        raise ModelError(f"the card's domains: crops is {crops!r}, not ascending numbers of crops")
    weight = 0.0
    if "score_weight" in fields.left:
        weight = fields.require("score_weight", float, lambda value: 0 <= value < math.inf, "0 or more")
    fields.done()
    if faults and set(faults) != set(classes[1:]):
        raise ModelError("the card's domains: faults must have each class but the first, and no other")
    return Domains(tuple(classes), temperature, profile, faults, tuple(crops), weight)


def _tolerances(data: Mapping[str, Any]) -> dict[str, float]:
    fields = _Fields(data, "the card's tolerances")
    return {name: fields.require(name, float, lambda value: value >= 0, "0 or more") for name in data}


def _ascending(values: tuple[float, ...]) -> bool:
    return len(values) >= 2 and all(low < high for low, high in pairwise(values))


class _Fields:
    """A JSON object whose fields are taken out one by one; what is left at the end is unknown."""

    def __init__(self, data: object, where: str) -> None:
        if not isinstance(data, dict):
            raise ModelError(f"{where} is not a JSON object")
        self.left = dict(data)
        self.where = where

    def take(self, name: str, kind: type[T], default: Any = ...) -> T:
        if name not in self.left:
            if default is not ...:
                return default  # type: ignore[no-any-return]
            raise ModelError(f"{self.where} lacks the field {name!r}")
        value = self.left.pop(name)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ModelError(f"{self.where}: {name} is {type(value).__name__}, not {kind.__name__}")
        return value

    def require(self, name: str, kind: type[T], fits: Callable[[T], object], wanted: str) -> T:
        value = self.take(name, kind)
        if not fits(value):
            raise ModelError(f"{self.where}: {name} is {value!r}, not {wanted}")
        return value

    def numbers(self, name: str, fits: Callable[[tuple[float, ...]], bool], wanted: str) -> tuple[float, ...]:
        values = self.take(name, list)
        if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
            raise ModelError(f"{self.where}: {name} holds something that is no number")
        numbers = tuple(float(value) for value in values)
        if not all(map(math.isfinite, numbers)) or not fits(numbers):
            raise ModelError(f"{self.where}: {name} is {values!r}, not {wanted}")
        return numbers

    def done(self) -> None:
        if self.left:
            raise ModelError(f"{self.where} has unknown fields: {', '.join(map(repr, sorted(self.left)))}")
