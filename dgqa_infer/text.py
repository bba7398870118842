"""Text that comes from outside and goes to a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """A text with control characters and undecodable bytes spelled out, so that no name drives a terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
