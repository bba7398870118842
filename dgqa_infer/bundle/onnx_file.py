"""What an ONNX file says of itself, read without the onnx package and before any runtime sees it.

A runtime that is handed a model with external data opens files of the model's choosing, and one with foreign
operators looks for code to run. So a graph is read here first, and only in the one form that every reader
understands alike (`wire`), without anything that reaches outside of it (`onnx_schema`). Weights are stepped
over, not read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dgqa_infer.bundle.onnx_schema import SCHEMAS
from dgqa_infer.bundle.wire import Message, Refused, numbers, read_message
from dgqa_infer.errors import ModelError

UINT8, FLOAT32 = 2, 1
"""Element types of `TensorProto.DataType` that our graphs use at their borders."""

_STANDARD_DOMAINS: Final = frozenset({"", "ai.onnx"})

BITS: Final = {
    **{1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128},
    **{16: 16, 17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4, 24: 8, 25: 2, 26: 2},
}
"""Bits of one element, by the number of its type in `TensorProto.DataType`; text has none."""

# The types whose values are read: those of shapes, indices and factors.
_DTYPES: Final = {1: "<f4", 6: "<i4", 7: "<i8", 9: "?", 11: "<f8"}
_TYPED_DATA: Final = {1: "float_data", 6: "int32_data", 7: "int64_data", 9: "int32_data", 11: "double_data"}
_DATA: Final = ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data")

# By the number of an attribute's type: the field that holds its value, and what stands for an empty one.
_ATTRIBUTES: Final[dict[int, tuple[str, Any]]] = {
    **{1: ("f", None), 2: ("i", None), 3: ("s", None), 4: ("t", None)},
    **{6: ("floats", []), 7: ("ints", []), 8: ("strings", [])},
}
_VALUES: Final = frozenset(name for name, _ in _ATTRIBUTES.values())

_MAX_NODES: Final = 20_000

Attribute: TypeAlias = "int | float | bytes | list[int] | list[float] | list[bytes] | Tensor"


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


@dataclass(frozen=True, slots=True)
class Tensor:
    """A constant.

    Attributes:
        name: as nodes read it; "" for a node's own.
        element: number of the element type in `TensorProto.DataType`.
        shape: all fixed.
        data: field of its values and their bytes; None where it has no values.
    """

    name: str
    element: int
    shape: tuple[int, ...]
    data: tuple[str, memoryview] | None

    def values(self) -> NDArray[Any] | None:
        """Its values, [*shape]; None for types that no shape, index or factor has.

        Raises:
            ValueError: there are more or fewer than its shape says.
        """
        if (dtype := _DTYPES.get(self.element)) is None:
            return None
        where, content = self.data or ("raw_data", memoryview(b""))
        if where == "raw_data":
            return np.frombuffer(content, dtype).reshape(self.shape)
        if where != _TYPED_DATA[self.element]:
            raise ValueError(f"the weight {self.name!r} has its values in {where}")
        packed = numbers(content).astype(np.int64) if "int" in where else np.frombuffer(content, dtype)
        return packed.astype(dtype).reshape(self.shape)


@dataclass(frozen=True, slots=True)
class Node:
    """One step of a graph.

    Attributes:
        operator: what it does, such as "Conv".
        inputs: names of what it reads; "" for one left out.
        outputs: names of what it makes; likewise.
        attributes: by name.
    """

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Attribute]


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """What was found in the file.

    Attributes:
        inputs: of the graph, in order.
        outputs: likewise.
        nodes: its steps, in order; all of ONNX's own operators.
        weights: its constants.
        metadata: the model's own key–value pairs.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    nodes: tuple[Node, ...]
    weights: tuple[Tensor, ...]
    metadata: dict[str, str]


def read(data: bytes) -> OnnxFile:
    """Read what a serialised ONNX model says of itself.

    Args:
        data: the whole file.

    Raises:
        ModelError: the bytes are no ONNX model in canonical form, or the model reaches outside the file or
            needs code that is not ONNX's own: external data, training information, functions, other graphs
            within the graph, foreign operators.
    """
    try:
        model = read_message(memoryview(data), "ModelProto", SCHEMAS)
        graph = model.get("graph", {})
        found = OnnxFile(
            inputs=tuple(_port(port) for port in graph.get("input", ())),
            outputs=tuple(_port(port) for port in graph.get("output", ())),
            nodes=tuple(_node(node) for node in graph.get("node", ())),
            weights=tuple(_tensor(tensor) for tensor in graph.get("initializer", ())),
            metadata={
                entry.get("key", ""): entry.get("value", "") for entry in model.get("metadata_props", ())
            },
        )
    except Refused as error:
        raise ModelError(str(error)) from error
    except ValueError as error:
        raise ModelError(
            f"not an ONNX model in the form that every reader understands alike: {error}; "
            "if you trust it, onnx.load and onnx.save write it so"
        ) from error
    if not found.outputs:
        raise ModelError("not an ONNX model: it has no graph with outputs")
    if len(found.nodes) > _MAX_NODES:
        raise ModelError(f"the graph has {len(found.nodes)} nodes; the limit is {_MAX_NODES}")
    foreign = {node.get("domain", "") for node in graph.get("node", ())} - _STANDARD_DOMAINS
    if foreign:
        raise ModelError(f"the graph needs operators that are not ONNX's own: {', '.join(sorted(foreign))}")
    return found


def _port(message: Message) -> Port:
    kind = message.get("type", {}).get("tensor_type", {})
    shape = kind.get("shape")
    axes = None if shape is None else tuple(_axis(axis) for axis in shape.get("dim", ()))
    return Port(message.get("name", ""), kind.get("elem_type", 0), axes)


def _axis(message: Message) -> int | str | None:
    size: int | None = message.get("dim_value")
    name: str | None = message.get("dim_param")
    if size is not None and name is not None:
        raise ValueError("an axis has both a size and a name")
    return name if size is None else size


def _node(message: Message) -> Node:
    if message.get("overload"):
        raise ValueError("a node calls a function")
    attributes: dict[str, Attribute] = {}
    for attribute in message.get("attribute", ()):
        name = attribute.get("name", "")
        if name in attributes:
            raise ValueError(f"a node has the attribute {name} twice")
        attributes[name] = _attribute(attribute)
    operator = message.get("op_type", "")
    return Node(operator, tuple(message.get("input", ())), tuple(message.get("output", ())), attributes)


def _attribute(message: Message) -> Attribute:
    name, empty = _ATTRIBUTES.get(message.get("type", 0), ("", None))
    present = _VALUES & message.keys()
    if not name or present - {name} or (empty is None and not present):
        raise ValueError(f"the attribute {message.get('name', '')!r} has not the value that its type says")
    value: Any = message.get(name, empty)
    if name == "t":
        return _tensor(value)
    if name == "s":
        return bytes(value)
    return [bytes(each) for each in value] if name == "strings" else value


def _tensor(message: Message) -> Tensor:
    name = message.get("name", "")
    if message.get("data_location", 0):
        raise Refused("the graph keeps weights outside its own file, which is never loaded")
    shape, element = tuple(message.get("dims", ())), message.get("data_type", 0)
    if min(shape, default=0) < 0 or element not in BITS:
        raise ValueError(f"the weight {name!r} has the shape {list(shape)} and the element type {element}")
    data = [(kind, message[kind]) for kind in _DATA if kind in message]
    if len(data) > 1:
        raise ValueError(f"the weight {name!r} has its values twice")
    # A byte holds four values at most. One that claims more would take memory that the file does not show.
    if math.prod(shape) > (4 * len(data[0][1]) if data else 0):
        raise ValueError(f"the weight {name!r} has fewer values than its shape says")
    return Tensor(name, element, shape, data[0] if data else None)
