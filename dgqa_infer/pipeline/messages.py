"""What the scoring process and its workers say to each other: JSON, each message of one kind, one validator.

Never a pickle: a decoder that a hostile file has taken over must not reach the process that scores. Whatever
comes home is checked here against the fields' types and ranges before anybody looks at it.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, Literal, TypeAlias, get_args, get_origin, get_type_hints

from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.errors import ErrorCode
from dgqa_infer.images.attributes import Attributes
from dgqa_infer.images.decode import DecodeLimits

MAX_BYTES: Final = 1_000_000
"""A message from a worker that is longer is none of ours."""

_MAX_INT: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How a worker decodes; the first message that it gets.

    Attributes:
        preprocessing: how a photograph becomes crops.
        limits: what a file may ask for.
        strict: refuse a JPEG whose data is damaged.
        seed: of crops at random places; None for the fixed grid.
        preview: longest side of the picture that comes home with the crops, in pixels; 0 for none.
        measure: also measure sharpness, brightness and noise of the picture that crops are cut from.
        jpeg_device: the GPU that decodes plain JPEGs, "cuda:N"; None where the CPU decodes all.
        seconds: of wall time, for one file.
        memory_bytes: address space of the worker, beside the memory that crops go into.
        free_bytes: a photograph that needs more memory asks before it is decoded.
        most_bytes: one that needs more is not decoded.
        addresses: whether a file may be an address, which takes a network.
    """

    preprocessing: Preprocessing
    limits: DecodeLimits
    strict: bool
    seed: int | None
    preview: int
    measure: bool
    jpeg_device: str | None
    seconds: float
    memory_bytes: int
    free_bytes: int
    most_bytes: int
    addresses: bool


@dataclass(frozen=True, slots=True)
class Decode:
    """To a worker: decode this file. What was said of the file before has been copied from the shared memory.

    Attributes:
        name: path or address of the file; of an encoded photograph in memory, what it is called, or None.
        crashes: how many workers it has ended.
        in_memory: whether a descriptor of the encoded photograph follows this message.
        measure: whether its attributes are measured, where the settings have attributes measured.
    """

    name: str | None
    crashes: int
    in_memory: bool
    measure: bool = True


@dataclass(frozen=True, slots=True)
class Admit:
    """To a worker: decode the photograph that you asked for."""


@dataclass(frozen=True, slots=True)
class Ready:
    """From a worker: it has started."""


@dataclass(frozen=True, slots=True)
class Read:
    """From a worker: it has read the file. Who ends it can tell later whether it is the same file.

    Attributes:
        size: of the file, in bytes.
        mtime: of the file, in seconds since 1970; None where unknown.
    """

    size: int
    mtime: float | None

    def __post_init__(self) -> None:
        _require(self.size >= 0, "size")


@dataclass(frozen=True, slots=True)
class Ask:
    """From a worker: may it decode a large photograph?

    Attributes:
        needed: bytes of memory that decoding it takes, at most.
    """

    needed: int

    def __post_init__(self) -> None:
        _require(self.needed > 0, "needed")


@dataclass(frozen=True, slots=True)
class Decoded:
    """From a worker: the crops are in the shared memory.

    Attributes:
        size: of the file, in bytes.
        mtime: of the file, in seconds since 1970; None where unknown.
        width: of the upright photograph, in pixels.
        height: likewise.
        warnings: stable words for what a careful reader should know.
        preview: width and height of the picture beside them; None where none was asked for.
        attributes: what was measured; None where not requested.
        seconds: that decoding, cutting and measuring took, with the wait of a large photograph for its turn.
    """

    size: int | None
    mtime: float | None
    width: int
    height: int
    warnings: tuple[str, ...]
    preview: tuple[int, int] | None = None
    attributes: Attributes | None = None
    seconds: float = 0.0

    def __post_init__(self) -> None:
        _require(self.size is None or self.size >= 0, "size")
        _require(self.width > 0 and self.height > 0, "width or height")
        _require(self.preview is None or min(self.preview) > 0, "preview")
        _require(self.seconds >= 0, "seconds")

    def refuse_beyond(self, settings: WorkerSettings, *, measure: bool = True) -> None:
        """Check it against what the worker was asked for.

        Args:
            settings: of the worker.
            measure: of the file.

        Raises:
            ValueError: the photograph is larger than the limits, the preview does not fit into its place, or
                preview or attributes are missing or were not asked for.
        """
        _require(max(self.width, self.height) <= settings.limits.side, "width or height")
        _require((self.preview is None) == (settings.preview == 0), "preview")
        _require((self.attributes is not None) == (settings.measure and measure), "attributes")
        _require(self.preview is None or max(self.preview) <= settings.preview, "preview")


@dataclass(frozen=True, slots=True)
class Failed:
    """From a worker: the file has no crops.

    Attributes:
        code: stable word for the reason.
        message: what happened, in words.
        size: of the file, in bytes; None where there is none.
        mtime: of the file, in seconds since 1970; None where there is none.
    """

    code: ErrorCode
    message: str
    size: int | None = None
    mtime: float | None = None

    def __post_init__(self) -> None:
        _require(self.size is None or self.size >= 0, "size")


Order: TypeAlias = Decode | Admit
"""A worker's message once it has its settings."""
Answer: TypeAlias = Ready | Read | Ask | Decoded | Failed
"""What a worker says."""


def encode(message: WorkerSettings | Order | Answer) -> bytes:
    """A message as one JSON object, in ASCII."""
    return json.dumps({"kind": type(message).__name__, **asdict(message)}).encode("ascii")


def decode_settings(data: bytes) -> WorkerSettings:
    """Read a worker's settings.

    Raises:
        ValueError: these bytes are none.
    """
    settings: WorkerSettings = _decode(data, (WorkerSettings,))
    return settings


def decode_order(data: bytes) -> Order:
    """Read what a worker is told.

    Raises:
        ValueError: these bytes are no order.
    """
    order: Order = _decode(data, (Decode, Admit))
    return order


def decode_answer(data: bytes) -> Answer:
    """Read what a worker says.

    Raises:
        ValueError: these bytes are nothing that our worker says.
    """
    answer: Answer = _decode(data, (Ready, Read, Ask, Decoded, Failed))
    return answer


def _decode(data: bytes, kinds: tuple[type[Any], ...]) -> Any:
    try:
        found = json.loads(data, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("a message is nested too deeply") from error
    name = found.pop("kind", None) if isinstance(found, dict) else None
    kind = next((each for each in kinds if each.__name__ == name), None)
    if kind is None:
        raise ValueError(f"a message of the kind {name!r} is not expected")
    return _value(found, kind)


def _value(value: Any, kind: Any) -> Any:
    """The validator: a value from JSON as a field's type.

    Raises:
        ValueError: it is of another type.
    """
    origin, parts = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _object(value, kind)
    if origin is UnionType:
        if value is None and NoneType in parts:
            return None
        (kind,) = (each for each in parts if each is not NoneType)
        return _value(value, kind)
    if origin is Literal and value in parts:
        return value
    if origin is tuple and isinstance(value, list):
        kinds = parts[:1] * len(value) if parts[-1] is Ellipsis else parts
        if len(kinds) == len(value):
            return tuple(map(_value, value, kinds))
    if kind is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if type(value) is kind and (kind is not int or abs(value) <= _MAX_INT):
        return value
    raise ValueError(f"{value!r:.100} is not of the type {kind}")


def _object(value: Any, kind: Any) -> Any:
    hints = _hints(kind)
    if not isinstance(value, dict) or set(value) != set(hints):
        raise ValueError(f"a {kind.__name__} needs {', '.join(hints) or 'no fields'}, and nothing else")
    return kind(**{name: _value(value[name], hint) for name, hint in hints.items()})


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _require(holds: bool, name: str) -> None:
    if not holds:
        raise ValueError(f"{name} is out of range")


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number of JSON")
