"""What DGQA's authors publish: the distortion types that they select for each target.

Source: the readme of their code, Li-aobo/DGQA. Types are KADID-10k's numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

SELECTED: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {
        "livec": (1, 3, 10, 17, 18, 25),
        "koniq10k": (1, 3, 16, 17, 18, 25),
        "bid": (1, 3, 9, 21, 23, 25),
        "pipal-1": (1, 2, 3, 9, 17, 18, 25),
        "pipal-2": (1, 2, 3, 9, 17, 23),
        "pipal-3": (1, 3, 16, 17, 18, 19, 25),
        "pipal-4": (1, 2, 3, 7, 9, 10, 17, 18, 25),
        "pipal-5": (1, 2, 3, 4, 9),
        "pipal-6": (1, 2, 3, 9, 10, 11, 12, 16, 17, 18, 19, 21, 22, 25),
    }
)
"""Target set → its types by the selection rule, which sees no label of the target."""

GREEDY: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {"livec": (1, 3, 9, 18, 20, 25), "koniq10k": (1, 2, 10, 17, 20, 25)}
)
"""The same by a greedy search; whether it scores a set of types on the target's labels is not published."""
