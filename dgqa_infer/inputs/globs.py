"""Patterns for paths, as `--include`, `--exclude` and gate files use them.

`*` and `?` stop at a slash, `**` does not, `[…]` is a set of characters. A pattern without a slash is for the
last part of a path, one with a slash for all of it. Case does not matter: cameras write IMG_1.JPG.
"""

from __future__ import annotations

import re
from functools import lru_cache


def matches(path: str, pattern: str) -> bool:
    """Whether a path fits a pattern.

    Args:
        path: with "/" between its parts, relative to the folder that was named, or as it was named.
        pattern: as the module says.
    """
    subject = path if "/" in pattern else path.rpartition("/")[2]
    return _compile(pattern).fullmatch(subject) is not None


@lru_cache(maxsize=256)
def _compile(pattern: str) -> re.Pattern[str]:
    parts = []
    at = 0
    while at < len(pattern):
        if pattern.startswith("**/", at):
            # Any number of folders, none included.
            parts.append("(?:.*/)?")
            at += 3
        elif pattern.startswith("**", at):
            parts.append(".*")
            at += 2
        elif pattern[at] == "[" and (end := pattern.find("]", at + 2)) > 0:
            inside = pattern[at + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            parts.append(f"[^{inside[1:]}]" if inside[0] in "!^" else f"[{inside}]")
            at = end + 1
        else:
            parts.append({"*": "[^/]*", "?": "[^/]"}.get(pattern[at], re.escape(pattern[at])))
            at += 1
    try:
        return re.compile("".join(parts), re.IGNORECASE | re.DOTALL)
    except re.error:
        return re.compile(re.escape(pattern), re.IGNORECASE)
