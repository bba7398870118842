"""Distortion types and levels as people write them: "1,3,10", "1-5", "jpeg,white-noise"."""

from __future__ import annotations

from dgqa_infer.errors import UsageError


def types_of(text: str) -> tuple[int, ...]:
    """Numbers of distortion types, ascending; needs the training package.

    Raises:
        UsageError: a part is no type's number or name.
    """
    from dgqa_training.distortions import find

    numbers = set[int]()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if dash and first.isdecimal() and last.isdecimal():
            numbers.update(find(number).number for number in range(int(first), int(last) + 1))
        else:
            numbers.add(find(part).number)
    return tuple(sorted(numbers))


def levels_of(text: str) -> tuple[int, ...]:
    """Levels, ascending.

    Raises:
        UsageError: a part is neither a number nor a range.
    """
    numbers = set[int]()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UsageError(f"{part!r} is no level: write numbers and ranges, such as 1,3 or 1-5")
        numbers.update(range(int(first), int(last or first) + 1))
    return tuple(sorted(numbers))
