"""What a TensorRT engine was built from, with what and for what: all that must agree before it is used."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dgqa_infer.errors import UsageError

SIDECAR_FORMAT = 1
_DIGEST = 24  # hex digits of a file's name


@dataclass(frozen=True, slots=True)
class BatchProfile:
    """The batch sizes that an engine takes.

    Attributes:
        smallest: 1 or more.
        usual: the size that it is tuned for.
        largest: it takes no more at once.
    """

    smallest: int
    usual: int
    largest: int

    def __post_init__(self) -> None:
        if not 1 <= self.smallest <= self.usual <= self.largest:
            raise UsageError(f"batch sizes {self} must rise, from 1")

    def __str__(self) -> str:
        return f"{self.smallest}:{self.usual}:{self.largest}"

    @classmethod
    def parse(cls, text: str) -> BatchProfile:
        """Read "MIN:OPT:MAX", such as "1:8:32".

        Raises:
            UsageError: it is not that.
        """
        if (match := re.fullmatch(r"(\d{1,5}):(\d{1,5}):(\d{1,5})", text)) is None:
            raise UsageError(f"batch sizes are MIN:OPT:MAX, such as 1:8:32, not {text!r}")
        return cls(*map(int, match.groups()))


@dataclass(frozen=True, slots=True)
class Environment:
    """What an engine depends on besides its graph.

    Attributes:
        flavour: "tensorrt" or "tensorrt_rtx".
        version: of TensorRT.
        gpu: name of the GPU; "none" where TensorRT-RTX built without one.
        compute_capability: of the GPU, such as "9.0"; "none" likewise.
        driver: version of the driver; "none" likewise.
    """

    flavour: str
    version: str
    gpu: str
    compute_capability: str
    driver: str


@dataclass(frozen=True, slots=True)
class EngineKey:
    """Everything that must agree for an engine to be used.

    Attributes:
        graph: sha256 of the ONNX file, 64 hex digits.
        precision: of the graph: fp32, fp16 or int8.
        preprocessing: id of the preprocessing that the model's card names.
        environment: what it was built with and for.
        profile: batch sizes.
        options: words for what is special, sorted: "hardware-compatible", "stripped", "version-compatible".
    """

    graph: str
    precision: str
    preprocessing: str
    environment: Environment
    profile: BatchProfile
    options: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Name of the engine's files: the start of the sha256 of all of the key."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]

    def obstacle(self, here: Environment) -> str | None:
        """Why the engine cannot run here, in words; None if it can."""
        built = self.environment
        if built.flavour != here.flavour:
            return f"it was built with {built.flavour}, this is {here.flavour}"
        if built.version != here.version and not self._takes_version(here.version):
            return f"it was built with {built.flavour} {built.version}, this is {here.version}"
        if built.gpu != here.gpu and not self._takes_gpu(here.compute_capability):
            return f"it was built for {built.gpu}, this is {here.gpu}"
        if built.driver != here.driver:
            return f"it was built under driver {built.driver}, this is {here.driver}"
        return None

    def _takes_version(self, version: str) -> bool:
        # TensorRT runs older engines of this kind, never newer ones.
        built = _numbers(self.environment.version)
        return "version-compatible" in self.options and built <= _numbers(version)

    def _takes_gpu(self, capability: str) -> bool:
        # HardwareCompatibilityLevel.AMPERE_PLUS: compute capability 8.0 and later.
        return "hardware-compatible" in self.options and _numbers(capability) >= (8, 0)


@dataclass(frozen=True, slots=True)
class EngineRecord:
    """What a sidecar says.

    Attributes:
        key: what the engine was built from, with and for.
        model: the bundle's name, for people.
        sha256: of the engine.
        bytes: its size.
        seconds: how long it took to build.
    """

    key: EngineKey
    model: str
    sha256: str
    bytes: int
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """What the sidecar holds."""
        return {"format": SIDECAR_FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, data: Any) -> EngineRecord:
        """Read a sidecar.

        Raises:
            ValueError: it is none of this format.
        """
        try:
            if data["format"] != SIDECAR_FORMAT:
                raise ValueError(f"format {data['format']}, not {SIDECAR_FORMAT}")
            key: Mapping[str, Any] = data["key"]
            return cls(
                key=EngineKey(
                    str(key["graph"]),
                    str(key["precision"]),
                    str(key["preprocessing"]),
                    Environment(**key["environment"]),
                    BatchProfile(**key["profile"]),
                    tuple(key["options"]),
                ),
                model=str(data["model"]),
                sha256=str(data["sha256"]),
                bytes=int(data["bytes"]),
                seconds=float(data["seconds"]),
            )
        except (KeyError, TypeError, UsageError) as error:
            raise ValueError(f"field {error}") from error


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
