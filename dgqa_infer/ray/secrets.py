"""Addresses that were named with credentials or signatures: what is written down has none of these.

A plan names such a photograph by what may be shown, and by the number of its address among those of this
kind. The addresses stay in memory, and go to an actor with the partition that needs them. So a run that is
continued needs the same addresses again; their signatures may be fresh.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

from dgqa_infer.errors import ImageError, UsageError
from dgqa_infer.inputs.addresses import ARCHIVES, is_remote, shown
from dgqa_infer.inputs.archives import split


@dataclass(slots=True)
class Secrets:
    """The addresses of a run that may not be written down, by their number in the order they are named."""

    _addresses: dict[int, str] = field(default_factory=dict, repr=False)
    _numbers: dict[str, int] = field(default_factory=dict, repr=False)

    def kept(self, named: Iterable[str]) -> Iterable[str]:
        """What is named; each address with a secret is kept, of a stream as it goes by."""
        if not isinstance(named, Sequence):
            return self._passing(named)
        for name in named:
            self._keep(name)
        return named

    def number(self, name: str) -> int | None:
        """The number of the address that a photograph's name comes from; None for one without secrets."""
        return self._numbers.get(_address(name)) if self._numbers else None

    def restored(self, number: int, written: str) -> str:
        """A photograph's name, from what was written down of it.

        Raises:
            UsageError: the address of this number is not there, or is another.
        """
        address = self._addresses.get(number)
        if address is None or not written.endswith(shown(address)):
            raise UsageError(
                f"{written} was named with credentials, which are not kept: to continue, name the same"
                " addresses in the same order"
            )
        return written.removesuffix(shown(address)) + address

    def part(self, numbers: Iterable[int]) -> str:
        """Some of them, for `from_part`."""
        return json.dumps({each: self._addresses[each] for each in numbers if each in self._addresses})

    @classmethod
    def from_part(cls, text: str) -> Self:
        """What `part` gave."""
        return cls({int(number): address for number, address in json.loads(text).items()})

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._addresses)

    def _passing(self, named: Iterable[str]) -> Iterator[str]:
        for name in named:
            self._keep(name)
            yield name

    def _keep(self, name: str) -> None:
        address = _address(name)
        if address not in self._numbers and shown(address) != address:
            self._addresses[len(self._numbers)] = address
            self._numbers[address] = len(self._numbers)


def _address(name: str) -> str:
    """Of a member its archive's, else the address itself."""
    if not is_remote(name) or name.partition("://")[0].lower() not in ARCHIVES:
        return name
    try:
        return split(name)[2]
    except ImageError:
        # An archive within an archive: nothing is read from it.
        return name
