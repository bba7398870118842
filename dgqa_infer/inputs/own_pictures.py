"""Pictures that this program makes, so that it never takes one for a photograph.

A PNG file says so in its first chunk of text; a folder of copies, in a file of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.PngImagePlugin import PngInfo

FOLDER_MARK = ".dgqa-infer"
"""A file of this name in a folder: what is in there was put there by this program."""

_KEYWORD, _PROGRAM = "Software", "dgqa-infer"
# Behind the signature and IHDR, which has 25 bytes in every PNG file.
_AT = 8 + 25
_CHUNK = b"tEXt" + _KEYWORD.encode() + b"\0" + _PROGRAM.encode()
_NOTE = b"dgqa-infer put these pictures here; it passes them over when it scores a folder around them.\n"


def png_mark() -> PngInfo:
    """What Pillow is to write into a picture as its `pnginfo`."""
    # Who only looks for marks need not wait for it.
    from PIL.PngImagePlugin import PngInfo

    mark = PngInfo()
    mark.add_text(_KEYWORD, _PROGRAM)
    return mark


def is_own(head: bytes) -> bool:
    """Whether a file's first 64 bytes are those of a picture with `png_mark`."""
    return head[_AT + 4 :].startswith(_CHUNK)


def mark_folder(folder: Path) -> None:
    """Mark a folder as one of pictures that were put there.

    Raises:
        OSError: it cannot be written.
    """
    path = folder / FOLDER_MARK
    if not path.exists():
        path.write_bytes(_NOTE)
