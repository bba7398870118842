"""Distortion types and levels as people write them: "1,3,10", "1-5", "jpeg,white-noise"."""

from __future__ import annotations

import re

from dgqa_infer.errors import UsageError

_RANGE = re.compile(r"([0-9]{1,2})(?:-([0-9]{1,2}))?")


def types_of(text: str) -> tuple[int, ...]:
    """Numbers of distortion types, ascending; needs the training package.

    Raises:
        UsageError: a part is no type's number or name, and no range that rises.
    """
    from dgqa_training.distortions import find

    numbers = set[int]()
    for part in text.split(","):
        numbers.update(find(each).number for each in _range(part) or [part])
    return tuple(sorted(numbers))


def levels_of(text: str) -> tuple[int, ...]:
    """Levels, ascending; needs the training package.

    Raises:
        UsageError: a part is no level, and no range of levels that rises.
    """
    from dgqa_training.distortions import LEVELS

    numbers = set[int]()
    for part in text.split(","):
        found = _range(part)
        if found is None or not set(found) <= set(LEVELS):
            raise UsageError(f"invalid --levels {text!r}: expected some of 1 to 5, such as 4,5 or 1-5")
        numbers.update(found)
    return tuple(sorted(numbers))


def _range(text: str) -> range | None:
    """What "3" or "1-5" names; None for all else, a range that falls too."""
    if (match := _RANGE.fullmatch(text.strip())) is None:
        return None
    return range(int(match[1]), int(match[2] or match[1]) + 1) or None
