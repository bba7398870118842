"""Write real models as ONNX files in unusual ways: none is accepted that the onnx package reads otherwise.

    python -m benchmarks model_mutations [--count 20000] [--seed 0]

The built-in model's graphs are taken apart to the fields of their messages. One to three of these are written
as the format allows or nearly allows: numbers with needless bytes or too many, tags beyond 32 bits, fields
twice, in another order, unknown, in groups, with another wire type, a message in two halves, a byte turned
over; or fields are put in that lead outside the file. What `dgqa_infer.bundle.onnx_file` accepts must be
byte for byte what the onnx package makes of it, with the same nodes, weights and ports. Exit code 1 if it is
not. What was refused, by kind of change, goes to `results/model_mutations.json`.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError

import dgqa_infer
from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_infer.bundle import onnx_file
from dgqa_infer.bundle.onnx_schema import SCHEMAS
from dgqa_infer.errors import ModelError

MODELS = Path(dgqa_infer.__file__).parent / "models"

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
Fields = list[tuple[int, int, bytes]]
"""Number, wire type, and the value as it is written, without its length."""


def main() -> int:
    parser = new_parser(__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    began = time.perf_counter()
    result = {
        **replay(arguments.count, arguments.seed),
        "seed": arguments.seed,
        "seconds": round(time.perf_counter() - began, 1),
        "machine": machine("onnx", "protobuf"),
    }
    write_result("model_mutations", result)
    for name, value in result.items():
        print(f"{name}: {value}")
    return int(bool(result["problems"]))


def replay(count: int, seed: int) -> dict[str, Any]:
    """Change models so many times, and see what comes of them."""
    chance = random.Random(seed)
    models = list(real_models().values())
    problems: list[str] = []
    became: dict[str, Counter[str]] = {}
    for number in range(count):
        data, kinds = mutate(models[number % len(models)], chance)
        accepted, problem = verdict(data)
        became.setdefault(" + ".join(sorted(kinds)) if len(kinds) == 1 else "several", Counter())[
            "accepted" if accepted else "refused"
        ] += 1
        if problem:
            problems.append(f"mutation {number} ({', '.join(kinds)}): {problem}")
    return {
        "mutations": count,
        "problems": problems,
        "by_kind": {kind: dict(sorted(counts.items())) for kind, counts in sorted(became.items())},
    }


def real_models() -> dict[str, bytes]:
    """The built-in graphs by name, large weights cut to a few values so that most bytes say something."""
    found = {}
    for path in sorted(MODELS.glob("*/*.onnx")):
        model = onnx.ModelProto.FromString(path.read_bytes())
        for tensor in model.graph.initializer:
            if len(tensor.raw_data) > 64:
                tensor.raw_data = tensor.raw_data[: len(tensor.raw_data) // tensor.dims[0]]
                tensor.dims[0] = 1
        found[path.stem] = bytes(model.SerializeToString(deterministic=True))
    return found


def verdict(data: bytes) -> tuple[bool, str | None]:
    """Whether our reader takes a file, and in what it differs from what the onnx package reads."""
    try:
        ours = onnx_file.read(data)
    except ModelError:
        return False, None
    try:
        model = onnx.ModelProto.FromString(data)
    except DecodeError as error:
        return True, f"onnx cannot read it: {error}"
    if bytes(model.SerializeToString(deterministic=True)) != data:
        return True, "onnx writes it otherwise"
    graph = model.graph
    if [(node.op_type, tuple(node.input), tuple(node.output)) for node in graph.node] != [
        (node.operator, node.inputs, node.outputs) for node in ours.nodes
    ]:
        return True, "onnx sees other nodes"
    if {node.domain for node in graph.node} - {"", "ai.onnx"}:
        return True, "onnx sees foreign operators"
    if [(tensor.name, tensor.data_type, tuple(tensor.dims)) for tensor in graph.initializer] != [
        (tensor.name, tensor.element, tensor.shape) for tensor in ours.weights
    ]:
        return True, "onnx sees other weights"
    if any(tensor.data_location or tensor.external_data for tensor in graph.initializer):
        return True, "onnx sees weights outside the file"
    ports = [[(port.name, port.element) for port in ports] for ports in (ours.inputs, ours.outputs)]
    if ports != [[(v.name, v.type.tensor_type.elem_type) for v in vs] for vs in (graph.input, graph.output)]:
        return True, "onnx sees other inputs or outputs"
    return True, None


def mutate(model: bytes, chance: random.Random) -> tuple[bytes, list[str]]:
    """A model with one to three changes somewhere in it, and what they are called."""
    kinds: list[str] = []
    for _ in range(chance.choice([1, 1, 2, 3])):
        model = _change(model, "ModelProto", chance, kinds)
    return model, kinds


def fields(message: bytes) -> Fields:
    """Take a message apart.

    Raises:
        ValueError: it is none, as after a change.
    """
    found: Fields = []
    at = 0
    while at < len(message):
        tag, at = _number(message, at)
        wire, start = tag & 7, at
        if wire == VARINT:
            _, at = _number(message, at)
        elif wire == LENGTH:
            length, start = _number(message, at)
            at = start + length
        elif wire in (FIXED32, FIXED64):
            at += 4 if wire == FIXED32 else 8
        else:
            raise ValueError("a group")
        if at > len(message):
            raise ValueError("it ends too early")
        found.append((tag >> 3, wire, message[start:at]))
    return found


def varint(number: int, needless: int = 0) -> bytes:
    """A number in base 128, perhaps with needless bytes behind it."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    for _ in range(needless):
        out[-1] |= 0x80
        out.append(0)
    return bytes(out)


def written(number: int, wire: int, value: bytes, *, needless: int = 0, more: int = 0) -> bytes:
    """One field.

    Args:
        number: of the field.
        wire: its wire type.
        value: what `fields` gives.
        needless: bytes behind its tag.
        more: what is added to its tag.
    """
    tag = varint((number << 3 | wire) + more, needless)
    return tag + (varint(len(value)) if wire == LENGTH else b"") + value


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("no number")
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
        shift += 7


def _change(message: bytes, kind: str, chance: random.Random, kinds: list[str]) -> bytes:
    """Change a field of a message, or one of a message within it."""
    try:
        parts = fields(message)
    except ValueError:
        return message
    inner = [
        place
        for place, (number, wire, _) in enumerate(parts)
        if wire == LENGTH and number in SCHEMAS[kind] and SCHEMAS[kind][number].kind == "message"
    ]
    if inner and chance.random() < 0.8:
        place = chance.choice(inner)
        number, wire, value = parts[place]
        parts[place] = (number, wire, _change(value, SCHEMAS[kind][number].schema, chance, kinds))
        return b"".join(written(*part) for part in parts)
    name = chance.choice(sorted(CHANGES))
    kinds.append(name)
    place = chance.randrange(len(parts)) if parts else 0
    whole = [written(*part) for part in parts]
    if parts:
        whole[place] = CHANGES[name](*parts[place], chance)
        if name == "another place":
            whole.insert(chance.randrange(len(whole)), whole.pop(place))
        elif name == "left out":
            del whole[place]
    return b"".join(whole)


def _twice(number: int, wire: int, value: bytes, _: random.Random) -> bytes:
    return written(number, wire, value) * 2


def _needless(number: int, wire: int, value: bytes, chance: random.Random) -> bytes:
    if wire == VARINT:
        return varint(number << 3) + value[:-1] + bytes([value[-1] | 0x80]) + b"\x80" * 2 + b"\0"
    if wire == LENGTH:
        return varint(number << 3 | wire) + varint(len(value), chance.randint(1, 6)) + value
    return written(number, wire, value, needless=1)


def _halves(number: int, wire: int, value: bytes, chance: random.Random) -> bytes:
    try:
        parts = fields(value) if wire == LENGTH else []
    except ValueError:
        parts = []
    if not parts:
        return _twice(number, wire, value, chance)
    at = chance.randrange(len(parts) + 1)
    halves = (b"".join(written(*part) for part in half) for half in (parts[:at], parts[at:]))
    return b"".join(written(number, LENGTH, half) for half in halves)


def _one_by_one(number: int, wire: int, value: bytes, _: random.Random) -> bytes:
    if wire == VARINT:
        return written(number, LENGTH, value)
    return b"".join(written(number, VARINT, varint(byte)) for byte in value[:8])


def _outside(number: int, wire: int, value: bytes, chance: random.Random) -> bytes:
    """Put before it what leads outside the file, in a field that may be read otherwise."""
    entry = written(1, LENGTH, b"location") + written(2, LENGTH, b"/etc/passwd")
    outside = [(14, VARINT, b"\1"), (13, LENGTH, entry), (7, LENGTH, b"com.evil")]
    foreign = chance.choice([*outside, (20, LENGTH, b""), (25, LENGTH, b"")])
    more = chance.choice([0, 1 << 32, 1 << 35, 1 << 63])
    return written(*foreign, more=more, needless=chance.choice([0, 0, 1])) + written(number, wire, value)


def _turned(number: int, wire: int, value: bytes, chance: random.Random) -> bytes:
    if not value:
        return written(number, wire, b"\0")
    at = chance.randrange(len(value))
    return written(number, wire, value[:at] + bytes([value[at] ^ 1 << chance.randrange(8)]) + value[at + 1 :])


CHANGES: dict[str, Callable[[int, int, bytes, random.Random], bytes]] = {
    "a tag with needless bytes": lambda n, w, v, c: written(n, w, v, needless=c.randint(1, 5)),
    "a tag of more than 32 bits": lambda n, w, v, c: written(n, w, v, more=1 << c.choice([32, 33, 40, 63])),
    "a number with needless bytes": _needless,
    "a number of more than 64 bits": lambda n, _w, _v, _c: varint(n << 3) + b"\xff" * 9 + b"\x7f",
    "a number of more than 32 bits": lambda n, _w, _v, c: written(n, VARINT, varint(2**32 + c.randrange(9))),
    "twice": _twice,
    "in two halves": _halves,
    "another place": lambda n, w, v, _c: written(n, w, v),
    "left out": lambda _n, _w, _v, _c: b"",
    "an unknown field": lambda n, w, v, c: written(n, w, v) + written(c.choice([27, 99, 5000]), w, v),
    "the field 0": lambda n, w, v, _c: written(0, w, v) + written(n, w, v),
    "a group": lambda n, w, v, _c: varint(n << 3 | 3) + written(n, w, v) + varint(n << 3 | 4),
    "another wire type": lambda n, _w, v, c: written(n, c.choice([0, 1, 2, 5, 6, 7]), v),
    "packed otherwise": _one_by_one,
    "an empty field": lambda n, _w, _v, _c: written(n, LENGTH, b""),
    "a byte turned over": _turned,
    "a byte less": lambda n, w, v, _c: written(n, w, v)[:-1],
    "bytes behind it": lambda n, w, v, c: written(n, w, v) + c.randbytes(c.randint(1, 4)),
    "what leads outside": _outside,
}
"""Ways to write a field."""


if __name__ == "__main__":
    raise SystemExit(main())
