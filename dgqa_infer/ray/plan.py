"""Which photographs are scored, written down in partitions before any of them is.

A partition's names never change afterwards: one that is scored twice, since its node died or the run was
continued, has the same rows. Names lie beside the rows, in `_dgqa/names/`, a JSON value a line; readers of
tables pass over what begins with an underscore.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from dgqa_infer.errors import ImageError, UsageError
from dgqa_infer.inputs import remote
from dgqa_infer.inputs.addresses import shown
from dgqa_infer.inputs.files import Input
from dgqa_infer.inputs.finder import InputFinder
from dgqa_infer.ray.destination import Destination
from dgqa_infer.ray.secrets import Secrets

LARGEST = 5_000
"""Photographs of a partition, unless somebody says another number."""

_SMALLEST = 16
_PARTITIONS_AN_ACTOR = 4
_PLAN = "_dgqa/plan.json"
_NAMES = "_dgqa/names"


@dataclass(frozen=True, slots=True)
class PartitionPlan:
    """What there is to do.

    Attributes:
        groups: number of partitions in each group; a group is what was listed one after the other.
        inputs: photographs, and errors of inputs that cannot even be named.
        passed_over: what folders hold besides, by reason.
    """

    groups: tuple[int, ...]
    inputs: int
    passed_over: Counter[str]

    @property
    def partitions(self) -> Iterator[str]:
        """Names of all partitions, in the inputs' order, which is that of the alphabet."""
        for group, count in enumerate(self.groups):
            yield from (_name(group, number) for number in range(count))


def read_plan(destination: Destination) -> PartitionPlan | None:
    """The plan of an earlier run; None where it has none, or was stopped before it was complete."""
    if (data := destination.read(_PLAN)) is None:
        return None
    found = json.loads(data)
    return PartitionPlan(tuple(found["groups"]), found["inputs"], Counter(found["passed_over"]))


def make_plan(
    named: Iterable[str],
    selection: InputFinder,
    destination: Destination,
    *,
    actors: int,
    largest: int = LARGEST,
    patterns: bool = True,
    told: Callable[[int], None] = lambda _: None,
    secrets: Secrets | None = None,
) -> PartitionPlan:
    """List what is named and write it down.

    Several addresses are listed side by side, where none lies within another; all else one after the other.

    Args:
        named: files, folders, addresses and patterns, as `InputFinder.find` takes them.
        selection: which files in folders are scored.
        destination: where the plan goes.
        actors: that will score; few photographs are divided so that each has some.
        largest: photographs of a partition, at most.
        patterns: whether a name that does not exist may be a pattern.
        told: called with the number of photographs of each partition, from any thread.
        secrets: keeps the addresses that are not written down whole.

    Raises:
        UsageError: a store cannot be listed.
        OutputError: the plan cannot be written.
    """

    secrets = secrets if secrets is not None else Secrets()

    def write(group: int, names: Iterable[str], chosen: InputFinder) -> tuple[int, int]:
        found = _reachable(chosen.find(names, patterns=patterns), names)
        count = inputs = 0
        for part in _divided(found, largest, actors):
            lines = b"".join(_line(each, secrets) for each in part)
            destination.write(f"{_NAMES}/{_name(group, count)}.jsonl", lines)
            count, inputs = count + 1, inputs + len(part)
            told(len(part))
        return count, inputs

    groups = _groups(secrets.kept(named))
    chosen = [copy(selection) for _ in groups]
    for each in chosen:
        each.passed_over = Counter()
    with ThreadPoolExecutor(min(32, len(groups))) as threads:
        written = list(threads.map(write, range(len(groups)), groups, chosen))
    passed_over = sum((each.passed_over for each in chosen), Counter[str]())
    plan = PartitionPlan(
        tuple(count for count, _ in written), sum(inputs for _, inputs in written), passed_over
    )
    text = {"groups": plan.groups, "inputs": plan.inputs, "passed_over": dict(passed_over)}
    destination.write(_PLAN, json.dumps(text).encode())
    return plan


def read_names(destination: Destination, partition: str, secrets: Secrets | None = None) -> list[Input]:
    """The inputs of a partition, in their order.

    Args:
        destination: where the plan is.
        partition: its name.
        secrets: the addresses that are not written down whole.

    Raises:
        UsageError: the names are gone, or an address is not among the secrets.
    """
    known = secrets if secrets is not None else Secrets()
    return [_input(value, known) for value in _written(destination, partition)]


def numbers_of(destination: Destination, partition: str) -> set[int]:
    """Numbers of the addresses that a partition needs and that are not written down whole."""
    values = _written(destination, partition)
    return {value["number"] for value in values if isinstance(value, dict) and "number" in value}


def _written(destination: Destination, partition: str) -> list[Any]:
    data = destination.read(f"{_NAMES}/{partition}.jsonl")
    if data is None:
        raise UsageError(f"{destination.shown}: the names of {partition} are gone; begin anew elsewhere")
    return [json.loads(line) for line in data.splitlines()]


def _groups(named: Iterable[str]) -> list[Iterable[str]]:
    """What can be listed side by side, without a name that two of them would give."""
    if not isinstance(named, Sequence) or not all(map(remote.is_remote, named)):
        return [named]
    roots = [f"{name.rstrip('/')}/" for name in named]
    if any(a != b and a.startswith(b) for a in roots for b in roots) or len(set(roots)) < len(roots):
        return [named]
    return [[name] for name in named]


def _reachable(found: Iterable[Input], names: Iterable[str]) -> Iterator[Input]:
    """What is found, unless a store that was named cannot be listed: there is no row for a whole store."""
    for each in found:
        if (
            isinstance(each, ImageError)
            and each.path is not None
            and isinstance(names, Sequence)
            and each.path in map(shown, names)
            and remote.is_remote(each.path)
            and each.code in ("unreadable", "unsupported")
        ):
            raise UsageError(str(each))
        yield each


def _divided(found: Iterator[Input], largest: int, actors: int) -> Iterator[list[Input]]:
    """Some names at a time; fewer where all together are few, so that no actor is idle."""
    share = _PARTITIONS_AN_ACTOR * max(1, actors)
    first = list(islice(found, share * largest))
    if len(first) < share * largest:
        largest = min(largest, max(_SMALLEST, -(-len(first) // share)))
    names = chain(first, found)
    while part := list(islice(names, largest)):
        yield part


def _name(group: int, number: int) -> str:
    return f"part-{group:03d}-{number:07d}"


def _line(found: Input, secrets: Secrets) -> bytes:
    value: Any = found
    if isinstance(found, ImageError):
        value = {"path": found.path and shown(found.path), "code": found.code, "message": found.message}
    elif (number := secrets.number(found)) is not None:
        value = {"path": shown(found), "number": number}
    # ASCII only: names need not be text, and no character of theirs ends a line.
    return json.dumps(value).encode() + b"\n"


def _input(value: Any, secrets: Secrets) -> Input:
    if isinstance(value, str):
        return value
    if "number" in value:
        return secrets.restored(value["number"], value["path"])
    return ImageError(value["code"], value["message"], value["path"])
