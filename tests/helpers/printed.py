"""What a page shows as a program's output, against what it printed."""

from __future__ import annotations

import re

_PARTS = re.compile(r"(\d+\.\d+|^…$\n?|…|\s+)", re.MULTILINE)
_RULES = re.compile(r"([━─])\1+")


def agrees(shown: str, printed: str) -> bool:
    """Whether a page shows what was printed.

    Args:
        shown: … stands for anything within a line, alone in its line for any lines. A decimal may differ
            by one in its last digit, as a score does from one processor to another.
        printed: the width of spaces and of a table's rules does not count.
    """
    pattern, numbers = "", []
    for part in _PARTS.split(_RULES.sub(r"\1", shown.strip())):
        if part.startswith("…"):
            pattern += r"[^\n]*?" if part == "…" else r"(?s:.*?)"
        elif re.fullmatch(r"\d+\.\d+", part):
            pattern += r"(\d+\.\d+)"
            numbers.append(part)
        else:
            pattern += r"\s+" if part.isspace() else re.escape(part)
    found = re.fullmatch(pattern, _RULES.sub(r"\1", printed.strip()))
    return found is not None and all(
        abs(float(one) - float(other)) < 1.001 * 10 ** -len(one.partition(".")[2])
        for one, other in zip(numbers, found.groups(), strict=True)
    )
