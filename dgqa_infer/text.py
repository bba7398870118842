"""Text that comes from outside and goes to a terminal, or to a file that is shown in one."""

from __future__ import annotations

import json
import re
from typing import Final

# Delete and the C1 controls, which a terminal obeys; the characters that turn the direction of what follows,
# and those that end a line in some programs. JSON itself escapes the other controls.
_ACTING: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """A text with control characters and undecodable bytes spelled out, so that no name drives a terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def as_json(data: object, *, indent: int | None = None, encoding: str = "utf-8") -> str:
    """JSON whose text can be read, but in which no name drives a terminal or hides how it ends.

    Characters that act are escaped, and read back as they were. So is all that is not ASCII where a name is
    not UTF-8, "\\udce9" being the byte 0xE9, of which `os.fsencode` gives the name again; or where the text
    cannot be written in the encoding.
    """
    text = json.dumps(data, indent=indent, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = json.dumps(data, indent=indent, allow_nan=False)
    return _ACTING.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
