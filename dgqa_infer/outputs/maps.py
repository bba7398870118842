"""Quality maps as pictures, one a photograph, in a folder that mirrors where the photographs lie."""

from __future__ import annotations

import errno
import hashlib
import os
from contextlib import ExitStack, suppress
from pathlib import Path

from dgqa_infer.atomic import whole_file_in
from dgqa_infer.bundle.card import Calibration
from dgqa_infer.errors import OutputError
from dgqa_infer.folder import Folder
from dgqa_infer.inputs.formats import HEAD_BYTES
from dgqa_infer.inputs.own_pictures import is_own, png_mark
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
    Where that place is taken, by a link or a file that is no such picture, it lies in the folder itself.

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
        picture = overlay(photograph, score.quality_map, self._scale)
        wanted = place(score.path)
        try:
            with ExitStack() as stack:
                root = stack.enter_context(Folder(self._folder))
                if (folder := _made(stack, root, wanted.parent.parts, wanted.name)) is None:
                    folder, wanted = root, Path(f"{_hash(score.path)}{_ENDING}")
                file = stack.enter_context(whole_file_in(folder, wanted.name, overwrite=True))
                picture.save(file, "PNG", compress_level=3, pnginfo=png_mark())
        except OSError as error:
            where = self._folder / wanted
            raise OutputError(f"{where} cannot be written: {error.strerror or error}") from error
        return self._folder / wanted

    def holds(self, path: str) -> bool:
        """Whether a photograph has its picture, from an earlier run.

        Args:
            path: as the photograph's row names it.
        """
        return any(map(self._is_picture, (place(path), Path(f"{_hash(path)}{_ENDING}"))))

    def _is_picture(self, wanted: Path) -> bool:
        try:
            with ExitStack() as stack:
                folder = stack.enter_context(Folder(self._folder))
                for part in wanted.parent.parts:
                    folder = stack.enter_context(Folder(part, within=folder))
                return is_own(folder.read(wanted.name, HEAD_BYTES))
        except OSError:
            return False


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


def _made(stack: ExitStack, root: Folder, folders: tuple[str, ...], name: str) -> Folder | None:
    """The folder that a picture lies in, made if need be; None where its place is taken.

    The picture of `a` is `a.png`, and a folder of photographs may be called so too.
    """
    folder = root
    for part in folders:
        with suppress(FileExistsError):
            folder.make(part)
        try:
            folder = stack.enter_context(Folder(part, within=folder))
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                return None
            raise
    return folder if _is_free(folder, name) else None


def _is_free(folder: Folder, name: str) -> bool:
    """Whether there is nothing of a name, or a picture of an earlier run."""
    try:
        return is_own(folder.read(name, HEAD_BYTES))
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _hash(path: str) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]


def _fits(name: str) -> bool:
    return len(os.fsencode(name)) <= _MAX_NAME_BYTES


def _cut(name: str, spare: int) -> str:
    """As much of a name as a file system takes, with so many bytes to spare."""
    return os.fsdecode(os.fsencode(name)[: _MAX_NAME_BYTES - spare])
