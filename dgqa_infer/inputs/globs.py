"""Patterns for paths, as `--include`, `--exclude` and gate files use them.

`*` and `?` stop at a slash, `**` does not, `[…]` is a set of characters. A pattern without a slash is for the
last part of a path, one with a slash for all of it. Case does not matter: cameras write IMG_1.JPG.

A path is read once, from its first character to its last, with the set of all places in the pattern that this
may have come to. So time grows with the lengths alone; a regular expression would try every way to share a
long name out among the stars.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_STAR, _ANY, _FOLDERS = "*", "**", "**/"
_INSIDE = {_STAR: "[^/]", _ANY: ".", _FOLDERS: "."}
# Masks are kept for so many different characters of one pattern.
_MOST_MASKS: Final = 4096


def matches(path: str, pattern: str) -> bool:
    """Whether a path fits a pattern.

    Args:
        path: with "/" between its parts, relative to the folder that was named, or as it was named.
        pattern: as the module says.
    """
    subject = path if "/" in pattern else path.rpartition("/")[2]
    return _compile(pattern).matches(subject)


@lru_cache(maxsize=256)
def _compile(pattern: str) -> _Matcher:
    tokens = _tokens(pattern)
    try:
        return _Matcher(tokens)
    except re.error:
        # A set such as [z-a]: the pattern is a name.
        return _Matcher([re.escape(character) for character in pattern])


def _tokens(pattern: str) -> list[str]:
    """A pattern in parts: a kind of star, or a regular expression for one character."""
    tokens = []
    at = 0
    while at < len(pattern):
        if star := next((each for each in (_FOLDERS, _ANY, _STAR) if pattern.startswith(each, at)), None):
            tokens.append(star)
            at += len(star)
        elif pattern[at] == "[" and (end := _end_of_set(pattern, at)) > 0:
            inside = pattern[at + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            negated = inside[0] in "!^"
            tokens.append(f"[^{_first(inside[1:])}]" if negated else f"[{_first(inside)}]")
            at = end + 1
        else:
            tokens.append("[^/]" if pattern[at] == "?" else re.escape(pattern[at]))
            at += 1
    return tokens


def _end_of_set(pattern: str, at: int) -> int:
    """Where the set that begins here ends; -1 where it does not. Its first character may be a bracket."""
    first = at + 2 if pattern[at + 1 : at + 2] in ("!", "^") else at + 1
    return pattern.find("]", first + 1)


def _first(inside: str) -> str:
    return f"\\{inside}" if inside[0] in "]^" else inside


class _Matcher:
    """A pattern's places as bits of a number: bit i is set where all before place i may have been read."""

    def __init__(self, tokens: list[str]) -> None:
        # What is read at a place leads to the next one, or leads nowhere else; some places need nothing read.
        self._steps: list[tuple[int, re.Pattern[str]]] = []
        self._stays: list[tuple[int, re.Pattern[str]]] = []
        self._skips_one = self._skips_two = 0
        place = 0
        for token in tokens:
            if token == _FOLDERS:
                # None at all, or any characters and a slash.
                self._skips_one |= 1 << place
                self._skips_two |= 1 << place
                place += 1
                self._steps.append((1 << place, re.compile("/")))
            if token in _INSIDE:
                self._stays.append((1 << place, re.compile(_INSIDE[token], re.DOTALL)))
                self._skips_one |= (1 << place) * (token != _FOLDERS)
            else:
                self._steps.append((1 << place, re.compile(token, re.IGNORECASE | re.DOTALL)))
            place += 1
        self._end = 1 << place
        self._masks: dict[str, tuple[int, int]] = {}

    def matches(self, subject: str) -> bool:
        """Whether all of it fits."""
        places = self._skipped(1)
        for character in subject:
            steps, stays = self._masks.get(character) or self._mask(character)
            places = self._skipped((places & steps) << 1 | places & stays)
            if not places:
                return False
        return bool(places & self._end)

    def _skipped(self, places: int) -> int:
        """These places, and those that they lead to without a character."""
        while True:
            more = places | (places & self._skips_one) << 1 | (places & self._skips_two) << 2
            if more == places:
                return places
            places = more

    def _mask(self, character: str) -> tuple[int, int]:
        if len(self._masks) >= _MOST_MASKS:
            self._masks.clear()
        masks = (
            sum(bit for bit, one in self._steps if one.fullmatch(character)),
            sum(bit for bit, one in self._stays if one.fullmatch(character)),
        )
        self._masks[character] = masks
        return masks
