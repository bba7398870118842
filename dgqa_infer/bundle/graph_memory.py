"""How much memory a graph takes, told before any runtime has it.

Shapes follow from the nodes alone; what the file claims of tensors within the graph is not believed. A graph
whose sizes depend on the pixels, or that uses an operator whose work has no bound, is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dgqa_infer.bundle.graph_values import FEW, Call, Value, constant, constant_of
from dgqa_infer.bundle.onnx_file import BITS, Node, OnnxFile
from dgqa_infer.bundle.shapes import RULES, slices
from dgqa_infer.errors import ModelError

MAX_BYTES: Final = 2_000_000_000
"""What a graph may need for its weights and one crop. ResNet-50 with crops of 512 pixels needs an eighth."""

# Per-crop memory is told of this many: what grows with the square of the batch must show.
_CROPS: Final = 64


@dataclass(frozen=True, slots=True)
class GraphMemory:
    """What a graph needs of memory, whatever the runtime adds of its own.

    Attributes:
        weights: bytes of the constants, and of what is computed from them alone.
        crop: bytes of the tensors that are there at once, for each crop of a batch.
    """

    weights: int
    crop: int

    def refuse_large(self) -> None:
        """Refuse a graph that needs more than `MAX_BYTES`.

        Raises:
            ModelError: it does.
        """
        if (needed := self.weights + self.crop) > MAX_BYTES:
            raise ModelError(
                f"the graph needs {needed / 1e9:.3g} GB for its weights and one crop; "
                f"the limit is {MAX_BYTES / 1e9:.3g} GB"
            )


def graph_memory(graph: OnnxFile) -> GraphMemory:
    """Tell how much memory a graph takes.

    Args:
        graph: with free axes, such as the batch, at the front of its inputs only.

    Raises:
        ModelError: an operator is none that a graph may use, or a shape cannot be told.
    """
    weights, working = _walk(graph, tensor_shapes(graph, _CROPS))
    return GraphMemory(weights, -(-working // _CROPS))


def tensor_shapes(graph: OnnxFile, crops: int) -> dict[str, Value]:
    """What is known of each tensor of a graph; raises what `graph_memory` does.

    Args:
        graph: see `graph_memory`.
        crops: for how many.

    Returns:
        By the tensor's name.
    """
    values: dict[str, Value] = {}
    for weight in graph.weights:
        _name(values, weight.name, constant(weight))
    for port in graph.inputs:
        if port.name in values:
            continue  # Older files name their weights among the inputs.
        shape = tuple(size if isinstance(size, int) else crops for size in port.shape or ())
        values[port.name] = Value(shape, -(-BITS.get(port.element, 64) // 8))
    for node in graph.nodes:
        try:
            found = outputs_of(node, values)
        except (ValueError, TypeError, IndexError, OverflowError) as error:
            raise ModelError(f"the graph's {node.operator} that makes {node.outputs[:1]}: {error}") from error
        for name, value in zip(node.outputs, found, strict=False):
            if name:
                _name(values, name, value)
        if len(found) < len(node.outputs):
            raise ModelError(f"the graph's {node.operator} has more outputs than there are")
    return values


def _name(values: dict[str, Value], name: str, value: Value) -> None:
    if name in values:
        raise ModelError(f"the graph has two tensors that are called {name!r}")
    if min(value.shape, default=0) < 0:
        raise ModelError(f"the graph's {name!r} has the shape {list(value.shape)}")
    values[name] = value


def outputs_of(node: Node, values: Mapping[str, Value]) -> list[Value]:
    """What is known of a node's outputs.

    Args:
        node: any.
        values: of all its inputs, by name.

    Returns:
        One an output that the operator has; a node may name fewer.

    Raises:
        ModelError: the operator is none that a graph may use.
        ValueError: a shape cannot be told, or the node is not valid.
    """
    if (rule := RULES.get(node.operator)) is None:
        raise ModelError(
            f"the graph uses the operator {node.operator}, which is not supported: loops, branches, and what "
            "has no size that can be told in advance are left out, and so is what no image model needs"
        )
    if missing := [name for name in node.inputs if name and name not in values]:
        raise ValueError(f"it reads {missing[0]!r} before anything makes it")
    call = Call(node, [values[name] if name else None for name in node.inputs])
    shapes = rule(call)
    width = _element_bytes(call)
    contents: Sequence[NDArray[Any] | None] = [None] * len(shapes)
    if math.prod(shapes[0]) <= FEW and len(shapes) == 1:
        contents = [_content(call)]
    return [Value(shape, width, content) for shape, content in zip(shapes, contents, strict=True)]


def _element_bytes(call: Call) -> int:
    """At most: indices, and whatever an operator computes in, are no wider than 8 bytes."""
    if call.node.operator == "Cast":
        return -(-BITS.get(call.integer("to", 0), 64) // 8)
    if call.node.operator == "Constant":
        return constant_of(call.node).element_bytes
    if call.node.operator in _INDICES:
        return 8
    if call.node.operator in _SUMS:
        return 4
    return max((value.element_bytes for value in call.values if value is not None), default=8)


_INDICES: Final = frozenset({"ArgMax", "ArgMin", "TopK", "Shape", "Size", "ConstantOfShape", "MaxPool"})
_SUMS: Final = frozenset({"ConvInteger", "MatMulInteger"})


def _content(call: Call) -> NDArray[Any] | None:
    """The values of a shape or an index that a graph computes from shapes and constants."""
    name = call.node.operator
    if name == "Shape":
        sides = call.shape()
        return np.array(sides[call.integer("start", 0) : call.integer("end", len(sides))], np.int64)
    if name == "Constant":
        return constant_of(call.node).content
    given = [value.content if value is not None else None for value in call.values]
    known = [content for content in given if content is not None]
    if name not in _COMPUTED or not known or len(known) < len(given):
        return None
    with np.errstate(all="ignore"):
        return _COMPUTED[name](call, known)


def _cast(call: Call, known: Sequence[NDArray[Any]]) -> NDArray[Any] | None:
    to = {1: np.float32, 6: np.int32, 7: np.int64, 11: np.float64}.get(call.integer("to", 0))
    return None if to is None or not np.isfinite(known[0]).all() else known[0].astype(to)


def _quotient(_: Call, known: Sequence[NDArray[Any]]) -> NDArray[Any] | None:
    over, under = known
    # Which way a negative quotient is rounded differs; no size is one.
    if over.dtype.kind != "i" or (under <= 0).any() or (over < 0).any():
        return None
    return np.asarray(over // under)


def _filled(call: Call, known: Sequence[NDArray[Any]]) -> NDArray[Any] | None:
    found = call.node.attributes.get("value")
    value = constant_of(call.node).content if found is not None else np.zeros(1, np.float32)
    return None if value is None else np.full(tuple(known[0].tolist()), value.item())


def _axes(call: Call) -> tuple[int, ...]:
    return tuple(call.numbers(1, "axes"))


_COMPUTED: Final[Mapping[str, Callable[[Call, Sequence[NDArray[Any]]], NDArray[Any] | None]]] = {
    "Identity": lambda _, known: known[0],
    "Cast": _cast,
    "Concat": lambda call, known: np.concatenate(list(known), call.axis(known[0].ndim, 0)),
    "Gather": lambda call, known: np.take(known[0], known[1], call.axis(known[0].ndim, 0)),
    "Slice": lambda call, known: known[0][slices(call)],
    "Squeeze": lambda call, known: known[0].reshape(RULES["Squeeze"](call)[0]),
    "Unsqueeze": lambda call, known: known[0].reshape(RULES["Unsqueeze"](call)[0]),
    "Reshape": lambda call, known: known[0].reshape(RULES["Reshape"](call)[0]),
    "Add": lambda _, known: known[0] + known[1],
    "Sub": lambda _, known: known[0] - known[1],
    "Mul": lambda _, known: known[0] * known[1],
    "Div": _quotient,
    "Equal": lambda _, known: known[0] == known[1],
    "Where": lambda _, known: np.where(known[0], known[1], known[2]),
    "ConstantOfShape": _filled,
    "Expand": lambda call, known: np.broadcast_to(known[0], RULES["Expand"](call)[0]),
}
"""How shapes are computed: numpy's operators wrap as the runtimes' do."""


def _walk(graph: OnnxFile, values: Mapping[str, Value]) -> tuple[int, int]:
    """Bytes of what is constant, and of the most that else is there at once."""
    fixed = {weight.name for weight in graph.weights}
    last = {name: place for place, node in enumerate(graph.nodes) for name in node.inputs}
    last |= {port.name: len(graph.nodes) for port in graph.outputs}
    now = sum(_bytes(values[port.name]) for port in graph.inputs if port.name not in fixed)
    most, weights = now, sum(_bytes(values[name]) for name in fixed)
    for place, node in enumerate(graph.nodes):
        made = sum(_bytes(values[name]) for name in node.outputs if name)
        # A runtime computes once, when it loads the graph, what depends on nothing else.
        if fixed.issuperset(name for name in node.inputs if name):
            fixed.update(node.outputs)
            weights += made
            continue
        now += made
        most = max(most, now)
        read = {name for name in (*node.inputs, *node.outputs) if name}
        now -= sum(_bytes(values[name]) for name in read - fixed if last.get(name, place) <= place)
    return weights, most


def _bytes(value: Value) -> int:
    return math.prod(value.shape) * value.element_bytes
