"""Protocol buffers in their one canonical form, and in no other.

The format lets the same message be written in many ways, and readers differ in what they make of the unusual
ones: a tag of more than 32 bits, a number with needless bytes, a field that comes twice, one that is unknown.
What passes here has fields in ascending order, each as its schema declares it and each number in its shortest
form. It is byte for byte what every serializer makes of it, so every reader finds the same in it.

Source of the format: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np

Kind: TypeAlias = Literal["int64", "int32", "enum", "float", "string", "bytes", "message", "refused"]
Message: TypeAlias = dict[str, Any]
"""Fields by name, those that are there: an int, float, str, memoryview or `Message`, or a list of these.

Packed numbers are a memoryview of their bytes."""

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_WIRE: Final[Mapping[str, int]] = {
    "int64": _VARINT,
    "int32": _VARINT,
    "enum": _VARINT,
    "float": _FIXED32,
    "string": _LENGTH,
    "bytes": _LENGTH,
    "message": _LENGTH,
}
_WIDTH: Final = {"float": 4, "double": 8}


@dataclass(frozen=True, slots=True)
class Field:
    """What a schema says of a field.

    Attributes:
        name: as the message is asked for it.
        kind: of its values; "refused" for one that must not be there.
        repeated: whether it may come more than once.
        packed: "varint", "float" or "double" where all its numbers stand in one field.
        schema: of a message; or, of an enum, the number of its values, which are 0, 1, 2, ….
        reason: why it is refused.
    """

    name: str
    kind: Kind
    repeated: bool = False
    packed: Literal["varint", "float", "double"] | None = None
    schema: str = ""
    values: int = 0
    reason: str = ""


Schema: TypeAlias = Mapping[int, Field]


class Refused(ValueError):
    """The message is sound, but holds a field that must not be there; the text says which in plain words."""


def read_message(data: memoryview, kind: str, schemas: Mapping[str, Schema]) -> Message:
    """Read a message that is in canonical form.

    Args:
        data: the whole message.
        kind: its schema's name.
        schemas: those of all messages that it may hold. They are no circle, so nesting has an end.

    Raises:
        ValueError: the form is not canonical, or a field is unknown.
        Refused: there is a field that must not be there.
    """
    schema, found = schemas[kind], Message()
    at, end, last = 0, len(data), 0
    while at < end:
        tag, at = _varint(data, at)
        number = tag >> 3
        if number < max(last, 1) or tag >> 32:
            raise ValueError(f"{kind} has its fields out of order")
        if (field := schema.get(number)) is None:
            raise ValueError(f"{kind} has an unknown field {number}")
        if number == last and not field.repeated:
            raise ValueError(f"{kind} has the field {field.name} twice")
        if field.kind == "refused":
            raise Refused(field.reason)
        last = number
        value, at = _value(data, at, tag & 7, field)
        if field.kind == "message":
            value = read_message(value, field.schema, schemas)
        if field.repeated:
            found.setdefault(field.name, []).append(value)
        else:
            found[field.name] = value
    return found


def numbers(packed: memoryview) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """The numbers of a packed field of varints, uint64."""
    data = np.frombuffer(packed, np.uint8)
    last = np.flatnonzero(data < 0x80)
    first = np.concatenate(([0], last[:-1] + 1))
    place = np.arange(len(data)) - np.repeat(first, last - first + 1)
    parts = (data & 0x7F).astype(np.uint64) << (7 * place).astype(np.uint64)
    return np.bitwise_or.reduceat(parts, first)


def _value(data: memoryview, at: int, wire: int, field: Field) -> tuple[Any, int]:
    if wire != (_LENGTH if field.packed else _WIRE[field.kind]):
        raise ValueError(f"the field {field.name} has the wire type {wire}")
    if wire == _VARINT:
        value, at = _varint(data, at)
        return _integer(value, field), at
    length = 4
    if wire == _LENGTH:
        length, at = _varint(data, at)
    if length > len(data) - at:
        raise ValueError(f"the field {field.name} ends behind the end")
    content, at = data[at : at + length], at + length
    if field.packed:
        _check_packed(content, field)
    elif field.kind == "float":
        return struct.unpack("<f", content)[0], at
    elif field.kind == "string":
        return str(content, "utf-8"), at
    return content, at


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """A number below 2⁶⁴ in as few bytes as it needs."""
    value = shift = 0
    while True:
        if at == len(data):
            raise ValueError("it ends within a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    if (byte == 0 and shift) or value >> 64:
        raise ValueError("a number is not in its shortest form")
    return value, at


def _integer(value: int, field: Field) -> int:
    signed = value - (1 << 64) if value >> 63 else value
    if field.kind == "int32" and not -(1 << 31) <= signed < 1 << 31:
        raise ValueError(f"the field {field.name} holds a number of more than 32 bits")
    if field.kind == "enum" and not 0 <= signed < field.values:
        raise ValueError(f"the field {field.name} has an unknown value {signed}")
    return signed


def _check_packed(content: memoryview, field: Field) -> None:
    if not content:
        raise ValueError(f"the field {field.name} is there without a number")
    if field.packed != "varint":
        assert field.packed is not None
        if len(content) % _WIDTH[field.packed]:
            raise ValueError(f"the field {field.name} ends within a number")
        return
    data = np.frombuffer(content, np.uint8)
    last = np.flatnonzero(data < 0x80)
    if not len(last) or last[-1] != len(data) - 1:
        raise ValueError(f"the field {field.name} ends within a number")
    lengths = np.diff(last, prepend=-1)
    endings = data[last]
    if ((endings == 0) & (lengths > 1)).any() or (lengths > 10).any():
        raise ValueError(f"the field {field.name} has a number that is not in its shortest form")
    # The tenth byte holds the last of 64 bits.
    if (endings[lengths == 10] > 1).any():
        raise ValueError(f"the field {field.name} has a number of more than 64 bits")
    if field.kind == "int32":
        found = numbers(content).astype(np.int64)
        if (found != found.astype(np.int32)).any():
            raise ValueError(f"the field {field.name} has a number of more than 32 bits")
