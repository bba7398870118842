"""Files that are whole or not there."""

from __future__ import annotations

import errno
import io
import zlib
from pathlib import Path

from PIL import Image

from dgqa_infer.atomic import PART, write_whole
from dgqa_infer.errors import OutputError
from dgqa_training.distortions import ByteImage

_FORMATS = {".png": "PNG", ".bmp": "BMP"}
# Photographs hold runs, hardly repeats: to look for runs alone takes a quarter of the time of Pillow's way,
# and gives files of the same size.
_PNG = {"compress_level": 1, "compress_type": zlib.Z_RLE}


def write_image(path: Path, image: ByteImage) -> None:
    """Write an image without loss, whole or not at all.

    Args:
        path: with the extension .png or .bmp.
        image: uint8 [h, w, 3].

    Raises:
        OutputError: it cannot be written.
    """
    data = io.BytesIO()
    kind = _FORMATS[path.suffix]
    Image.fromarray(image).save(data, format=kind, **(_PNG if kind == "PNG" else {}))
    write_bytes(path, data.getvalue())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file under another name beside it, then give it its own.

    Raises:
        OutputError: it cannot be written; nothing is left behind.
    """
    # Not durable: a set has tens of thousands of files, and what a power failure takes is made again.
    try:
        write_whole(path, data, overwrite=True, durable=False)
    except OutputError as error:
        if isinstance(error.__cause__, OSError):
            raise OutputError(_said(path, error.__cause__)) from error
        raise


def make_folders(*folders: Path) -> None:
    """Make folders, and clear out what a killed process left half-written in them.

    Raises:
        OutputError: that cannot be done.
    """
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for entry in folder.iterdir():
                if is_part(entry):
                    entry.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(_said(folder, error)) from error


def is_part(path: Path) -> bool:
    """Whether a file is what `write_bytes` has not come to the end of."""
    return path.name.startswith(".") and path.name.endswith(PART)


def _said(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"the disk is full at {path}; what is written is whole: make room and run the same command again,"
            " it goes on from here"
        )
    return f"{path} cannot be written: {error.strerror or error}"
