"""Quality maps as pictures, one a photograph, in a folder that mirrors where the photographs lie."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from dgqa_infer.atomic import whole_file
from dgqa_infer.bundle.card import Calibration
from dgqa_infer.errors import OutputError
from dgqa_infer.inputs.own_pictures import png_mark
from dgqa_infer.outputs.map_picture import overlay
from dgqa_infer.pipeline.predictor import Outcome
from dgqa_infer.results import Failure, Score

_ENDING = ".png"
_MAX_NAME_BYTES = 255


class MapFolder:
    """Where the pictures go.

    A photograph named `a/b.jpg` has the picture `a/b.jpg.png`. One that is named from the root, with `..` or
    by an address cannot be mirrored as it is: its picture lies where its folders' names say, and part of a
    hash of the whole name is in the picture's, so that no two photographs share one, however they are named.

    Attributes:
        side: longest side of the photographs in the pictures, in pixels.
    """

    side = 768

    def __init__(self, folder: Path, scale: Calibration) -> None:
        """Make the folder.

        Args:
            folder: it may exist, and what is in it stays; its parent must exist.
            scale: the card's calibration, which the colours follow.

        Raises:
            OutputError: it cannot be made.
        """
        self._folder = folder
        self._scale = scale
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder} cannot be made: {error.strerror}") from error

    def write(self, outcome: Outcome[Score]) -> Path | None:
        """Write one photograph's picture; one that an earlier run wrote is replaced.

        Args:
            outcome: of a pipeline with previews, whose scorer gives maps.

        Returns:
            Where the picture is; None where the photograph has no score.

        Raises:
            OutputError: it cannot be written.
        """
        score, photograph = outcome.result, outcome.preview
        if (
            isinstance(score, Failure)
            or score.quality_map is None
            or score.path is None
            or photograph is None
        ):
            return None
        target = self._folder / place(score.path)
        try:
            if not _make_room(target):
                target = self._folder / f"{_hash(score.path)}{_ENDING}"
            with whole_file(target) as file:
                overlay(photograph, score.quality_map, self._scale).save(
                    file, "PNG", compress_level=3, pnginfo=png_mark()
                )
        except OSError as error:
            raise OutputError(f"{target} cannot be written: {error.strerror or error}") from error
        return target


def place(path: str) -> Path:
    """Where the picture of a photograph goes within the folder; never outside of it.

    Args:
        path: as the photograph's row names it: of a file, or an address.
    """
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    *folders, name = [part.replace("\0", "") for part in parts] or [""]
    mirrored = "/".join(parts) == path and all(map(_fits, [*folders, name + _ENDING]))
    if mirrored:
        return Path(*folders, name + _ENDING)
    ending = f".{_hash(path)}{_ENDING}"
    return Path(*(_cut(part, 0) for part in folders), _cut(name, len(ending)) + ending)


def _make_room(target: Path) -> bool:
    """Make the folders that a picture lies in; False where a picture and a folder would share a name.

    The picture of `a` is `a.png`, and a folder of photographs may be called so too.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        return False
    return not target.is_dir()


def _hash(path: str) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]


def _fits(name: str) -> bool:
    return len(os.fsencode(name)) <= _MAX_NAME_BYTES


def _cut(name: str, spare: int) -> str:
    """As much of a name as a file system takes, with so many bytes to spare."""
    return os.fsdecode(os.fsencode(name)[: _MAX_NAME_BYTES - spare])
