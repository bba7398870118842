"""What is known of a graph's tensors before it runs: their shapes, and the values of small ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dgqa_infer.bundle.onnx_file import BITS, Node, Tensor

FEW: Final = 4096
"""Tensors of more elements are not looked into: no shape has so many axes, and no graph so many indices."""

Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """What is known of a tensor before the graph runs.

    Attributes:
        shape: all fixed.
        element_bytes: of one element, at most.
        content: its values where they are few and do not depend on the pixels, such as a shape.
    """

    shape: Shape
    element_bytes: int = 4
    content: NDArray[Any] | None = None


class Call:
    """A node with what is known of its inputs; whatever does not fit it is a ValueError."""

    def __init__(self, node: Node, values: Sequence[Value | None]) -> None:
        self.node = node
        self.values = values

    def shape(self, place: int = 0) -> Shape:
        """Of an input that must be there."""
        if place >= len(self.values) or (value := self.values[place]) is None:
            raise ValueError(f"its input {place} is missing")
        return value.shape

    def integer(self, name: str, default: int) -> int:
        """An attribute that is a whole number."""
        found = self.node.attributes.get(name, default)
        if not isinstance(found, int):
            raise ValueError(f"its {name} is no whole number")
        return found

    def text(self, name: str, default: str) -> str:
        """An attribute that is text."""
        found = self.node.attributes.get(name, default.encode())
        return found.decode() if isinstance(found, bytes) else default

    def integers(self, name: str, default: Sequence[int]) -> list[int]:
        """An attribute that is a list of whole numbers."""
        found = self.node.attributes.get(name, default)
        if not isinstance(found, list | tuple | range) or not all(isinstance(each, int) for each in found):
            raise ValueError(f"its {name} are no whole numbers")
        return [int(each) for each in found]

    def content(self, place: int, name: str = "") -> NDArray[Any] | None:
        """An input's values, or those of the attribute that older versions have in its place.

        Raises:
            ValueError: it depends on the pixels, or there are both.
        """
        value = self.values[place] if place < len(self.values) else None
        if name and name in self.node.attributes:
            if value is not None:
                raise ValueError(f"it has {name} twice")
            return np.array(self.node.attributes[name])
        if value is not None and value.content is None:
            raise ValueError(f"how large its output is depends on what its input {place} holds")
        return None if value is None else value.content

    def numbers(self, place: int, name: str = "") -> list[int]:
        """As `content`, whole numbers that must be there."""
        found = self.content(place, name)
        if found is None or found.dtype.kind not in "iu":
            raise ValueError(f"its input {place} is missing, or holds no whole numbers")
        return [int(each) for each in found.ravel()]

    def axis(self, rank: int, default: int) -> int:
        """Its attribute `axis`, counted from the front."""
        return place_of(self.integer("axis", default), rank)


def place_of(axis: int, rank: int) -> int:
    """An axis, counted from the front."""
    if not -rank <= axis < rank:
        raise ValueError(f"it has no axis {axis}")
    return axis % rank


def constant(tensor: Tensor) -> Value:
    """What a tensor of the file is."""
    few = math.prod(tensor.shape) <= FEW
    return Value(tensor.shape, -(-BITS[tensor.element] // 8), tensor.values() if few else None)


def constant_of(node: Node) -> Value:
    """What a `Constant` is."""
    if len(node.attributes) != 1:
        raise ValueError("it has more or less than one value")
    ((name, found),) = node.attributes.items()
    if isinstance(found, Tensor):
        return constant(found)
    if name not in ("value_int", "value_ints", "value_float", "value_floats"):
        raise ValueError("it has no value that a tensor can have")
    content = np.array(found, np.int64 if "int" in name else np.float32)
    return Value(content.shape, content.itemsize, content)
