"""What an ONNX file says of itself, read without the onnx package and before any runtime sees it.

A runtime that is handed a model with external data opens files of the model's choosing, and one with foreign
operators looks for code to run. So a graph is read here first: its inputs and outputs, whose operators it
needs, whether any tensor lies outside the file, and its metadata. Weights are stepped over, not read.

Source of the field numbers: onnx/onnx.proto, IR version 13.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from dgqa_infer.errors import ModelError

UINT8, FLOAT32 = 2, 1
"""Element types of `TensorProto.DataType` that our graphs use at their borders."""

_STANDARD_DOMAINS = frozenset({"", "ai.onnx"})

# Which fields of which message lead to further messages that may hold tensors, operators or types.
_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 14: "entry", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 11: "input", 12: "output", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "function": {7: "node", 11: "attribute"},
}
_MAX_DEPTH = 32
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a graph.

    Attributes:
        name: as the runtime is asked for it.
        element: number of the element type in `TensorProto.DataType`.
        shape: an int where an axis is fixed, its name or None where it is free; None when no shape is given.
    """

    name: str
    element: int
    shape: tuple[int | str | None, ...] | None


@dataclass(slots=True)
class OnnxFile:
    """What was found in the file.

    Attributes:
        inputs: of the top graph, in order.
        outputs: likewise.
        domains: of all operators, "" being ONNX's own.
        external: True where any tensor's data lies outside the file.
        training: True where the file carries training information.
        metadata: the model's own key–value pairs.
    """

    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    domains: set[str] = field(default_factory=set)
    external: bool = False
    training: bool = False
    metadata: dict[str, str] = field(default_factory=dict)

    def refuse_unsafe(self) -> None:
        """Let nothing pass that reaches outside the file or needs code that is not ONNX's own.

        Raises:
            ModelError: external data, training information or foreign operators.
        """
        if self.external:
            raise ModelError("the graph keeps weights outside its own file, which is never loaded")
        if self.training:
            raise ModelError("the graph carries training information, which is never loaded")
        if foreign := sorted(self.domains - _STANDARD_DOMAINS):
            raise ModelError(f"the graph needs operators that are not ONNX's own: {', '.join(foreign)}")


def read(data: bytes) -> OnnxFile:
    """Read what a serialised ONNX model says of itself.

    Args:
        data: the whole file.

    Raises:
        ModelError: the bytes are no ONNX model.
    """
    found = OnnxFile()
    try:
        _walk(memoryview(data), "model", found, 0)
    except (IndexError, ValueError) as error:
        raise ModelError(f"not an ONNX model: {error}") from error
    if not found.outputs:
        raise ModelError("not an ONNX model: it has no graph with outputs")
    return found


def _walk(message: memoryview, kind: str, found: OnnxFile, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    children = _CHILDREN.get(kind, {})
    for number, value in _fields(message):
        child = children.get(number)
        if kind == "tensor":
            # 13: external_data, 14: data_location, of which 1 is EXTERNAL.
            found.external |= number == 13 or (number == 14 and value != 0)
        elif (kind == "node" and number == 7) or (kind == "function" and number == 10):
            found.domains.add(_text(value))
        if child is None or not isinstance(value, memoryview):
            continue
        if child in ("input", "output"):
            # Only the top graph has ports that a caller sees; inner graphs' are wires.
            if depth == 1:
                (found.inputs if child == "input" else found.outputs).append(_port(value))
        elif child == "entry":
            entry = dict(_fields(value))
            found.metadata[_text(entry.get(1, b""))] = _text(entry.get(2, b""))
        elif child == "training":
            found.training = True
        else:
            _walk(value, child, found, depth + 1)


def _port(message: memoryview) -> Port:
    name, element, shape = "", 0, None
    for number, value in _fields(message):
        if number == 1:
            name = _text(value)
        elif number == 2 and isinstance(value, memoryview):
            for kind, tensor in _fields(value):
                if kind == 1 and isinstance(tensor, memoryview):
                    element, shape = _tensor_type(tensor)
    return Port(name, element, shape)


def _tensor_type(message: memoryview) -> tuple[int, tuple[int | str | None, ...] | None]:
    element = 0
    shape: tuple[int | str | None, ...] | None = None
    for number, value in _fields(message):
        if number == 1 and isinstance(value, int):
            element = value
        elif number == 2 and isinstance(value, memoryview):
            shape = tuple(_axis(axis) for _, axis in _fields(value) if isinstance(axis, memoryview))
    return element, shape


def _axis(message: memoryview) -> int | str | None:
    for number, value in _fields(message):
        if number == 1 and isinstance(value, int):
            return value
        if number == 2:
            return _text(value)
    return None


def _text(value: int | memoryview | bytes) -> str:
    return bytes(value).decode("utf-8", "replace") if not isinstance(value, int) else ""


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of one protocol buffer message: its number, and a number or the bytes."""
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        wire = key & 7
        value: int | memoryview
        if wire == _VARINT:
            value, at = _varint(message, at)
        elif wire == _BYTES:
            length, at = _varint(message, at)
            value, at = message[at : at + length], at + length
        elif wire in (_FIXED64, _FIXED32):
            width = 8 if wire == _FIXED64 else 4
            value, at = message[at : at + width], at + width
        else:
            raise ValueError(f"wire type {wire} at byte {at}")
        if at > end:
            raise ValueError("a field ends behind the file's end")
        yield key >> 3, value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number longer than 64 bits")
