"""From what was named to the files to score: which ones, and in which order.

Nothing is listed whole: the first file is known before the millionth is looked at. Names within a folder come
in the order of their bytes; a huge folder is sorted in portions. The order is the same each time. A folder
that does not answer, as on a dead mount, has a row that says so after a minute; the others are found.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal, TypeVar

from dgqa_infer import system
from dgqa_infer.errors import ErrorCode, ImageError, UsageError
from dgqa_infer.inputs import remote
from dgqa_infer.inputs.files import Input
from dgqa_infer.inputs.formats import EXTENSIONS, HEAD_BYTES, REFUSED_EXTENSIONS, is_refused_picture, sniff
from dgqa_infer.inputs.globs import matches
from dgqa_infer.inputs.own_pictures import FOLDER_MARK, is_own
from dgqa_infer.patience import Patience

T = TypeVar("T")

# So many names of one folder are read and sorted at a time.
_PORTION = 20_000
_GLOB = frozenset("*?[")
# For one look at a folder or a name; a pattern may have to look through a whole disk.
_LOOK_SECONDS, _GLOB_SECONDS = 60.0, 600.0
# What systems and programs keep beside photographs: thumbnails, bins, the objects of version control.
_SKIPPED_FOLDERS = frozenset(
    {"@eadir", "#recycle", "@recycle", "@recently-snapshot", "#snapshot", "$recycle.bin", "__macosx"}
    | {".appledouble", ".dtrash", ".dvc", ".fseventsd", ".git", ".hg", ".spotlight-v100", ".svn"}
    | {".thumbnails", ".trash", ".trashes", "lost+found", "system volume information"}
)
# A Mac's other half of a file, on disks that have no place for it.
_COMPANION = "._"


@dataclass(slots=True)
class InputFinder:
    """Which files in a folder are scored, and how many were not.

    Attributes:
        include: patterns; a file that fits one is scored, whatever it is. Empty: every file with an image's
            extension or an image's first bytes.
        exclude: patterns of files and folders to leave out.
        recursive: also look into folders within folders.
        follow_links: also look into folders that links lead to; each folder once, however it is reached.
            Links to files are always followed, and each name of a file is scored.
        decoded_only: leave out pictures in formats that are not decoded. If not, they are found, and fail.
        allow_private: whether this machine and link-local addresses may be asked for web addresses.
        passed_over: how many entries of folders are not scored, by reason: "not_an_image", "excluded" (also
            by default: thumbnails, bins and companions that systems make), "made_here" (by this program),
            "symlink" (to a folder, or to nothing that looks like a photograph), "special" (pipes, devices),
            "folder" (where not recursive); and "duplicate" for what was named before, and for folders that
            were reached before.
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    recursive: bool = True
    follow_links: bool = False
    decoded_only: bool = False
    allow_private: bool = False
    passed_over: Counter[str] = field(default_factory=Counter)

    def find(self, named: Iterable[Input], *, patterns: bool = True) -> Iterator[Input]:
        """The files to score.

        Args:
            named: files, folders and patterns. A file is scored whatever its name says; a link that is named
                is followed. An `ImageError` in the place of a name is given on.
            patterns: whether a name that does not exist may be a pattern.

        Yields:
            Paths, each spelling only once: what was named, or its folder's name, a slash and its own. An
            `ImageError` for a folder that cannot be listed.
        """
        with Patience(_LOOK_SECONDS, "dgqa-find") as patience:
            alone = named[0] if isinstance(named, Sequence) and len(named) == 1 else None
            if isinstance(alone, str) and _answer(patience, lambda: _is_folder(alone)):
                # Nothing can come twice, and a million names need not be remembered.
                yield from self._walk(alone, patience)
                return
            seen: set[bytes] = set()
            for name in named:
                if isinstance(name, ImageError):
                    yield name
                    continue
                for found in self._expand(name, patterns, patience):
                    if isinstance(found, str):
                        # A digest instead of the name: half the memory, and names may be long.
                        digest = hashlib.blake2b(os.fsencode(found), digest_size=16).digest()
                        if digest in seen:
                            self.passed_over["duplicate"] += 1
                            continue
                        seen.add(digest)
                    yield found

    def _expand(self, name: str, patterns: bool, patience: Patience) -> Iterator[Input]:
        if remote.is_remote(name):
            yield from self._walk_address(name)
            return
        kind = _answer(patience, lambda: _kind_of_name(name, patterns))
        if kind == "folder":
            yield from self._walk(name, patience)
        elif kind == "archive" and (address := remote.archive_address(name)):
            yield from self._walk_address(address)
        elif kind == "pattern":
            yield from self._expand_pattern(name, patience)
        else:
            # Also what did not answer: reading it has a limit of its own, and will say so.
            yield name

    def _expand_pattern(self, pattern: str, patience: Patience) -> Iterator[Input]:
        try:
            with Patience(_GLOB_SECONDS, "dgqa-glob") as longer:
                paths = sorted(longer.each(glob.iglob(pattern, recursive=True)), key=os.fsencode)  # noqa: PTH207
        except TimeoutError as error:
            yield ImageError("timed_out", f"what fits this pattern could not be listed: {error}", pattern)
            return
        for path in paths:
            yield from self._expand(path, False, patience)
        if not paths:
            yield pattern

    def _walk(self, root: str, patience: Patience) -> Iterator[Input]:
        # Only links can lead to a folder twice, and only then all folders need be remembered.
        reached: set[tuple[int, int]] | None = set() if self.follow_links else None
        stack = [self._list(_Folder(root, ""), reached, patience)]
        while stack:
            entry = next(stack[-1], None)
            if entry is None:
                stack.pop()
            elif isinstance(entry, _Folder):
                stack.append(self._list(entry, reached, patience))
            else:
                yield entry

    def _walk_address(self, address: str) -> Iterator[Input]:
        try:
            for found, within, other in remote.walk(address, self.recursive, self.allow_private):
                reason = other
                if found == address or other is not None:
                    pass
                elif any(matches(within, pattern) for pattern in self.exclude):
                    reason = "excluded"
                elif self.include:
                    reason = None if any(matches(within, pattern) for pattern in self.include) else "excluded"
                elif any(map(_is_skipped, within.split("/"))):
                    reason = "excluded"
                elif not self._is_image_by_name(within):
                    # By the name alone: the first bytes of each would be a request for each.
                    reason = "not_an_image"
                if reason is None:
                    yield found
                else:
                    self.passed_over[reason] += 1
        except ImageError as error:
            yield error

    def _list(
        self, folder: _Folder, reached: set[tuple[int, int]] | None, patience: Patience
    ) -> Iterator[Input | _Folder]:
        try:
            for found in patience.each(self._entries(folder, reached)):
                if found is not None:
                    yield found
        except OSError as error:
            code: ErrorCode = "not_found" if error.errno == errno.ENOENT else "unreadable"
            if isinstance(error, TimeoutError):
                code = "timed_out"
            yield ImageError(code, f"this folder cannot be listed: {error.strerror or error}", folder.path)

    def _entries(
        self, folder: _Folder, reached: set[tuple[int, int]] | None
    ) -> Iterator[Input | _Folder | None]:
        """What a folder holds; None for what is passed over, so that it is seen to go on."""
        if folder.relative and os.path.lexists(f"{folder.path}/{FOLDER_MARK}"):
            self.passed_over["made_here"] += 1
            return
        if reached is not None:
            identity = _identity(folder.path)
            if identity in reached:
                self.passed_over["duplicate"] += 1
                return
            reached.add(identity)
        prefix = folder.path if folder.path.endswith("/") else f"{folder.path}/"
        relative = f"{folder.relative}/" if folder.relative else ""
        with os.scandir(folder.path) as entries:
            while portion := sorted(islice(entries, _PORTION), key=lambda entry: os.fsencode(entry.name)):
                for entry in portion:
                    yield self._look_at(entry, prefix, relative)

    def _look_at(self, entry: os.DirEntry[str], prefix: str, relative: str) -> Input | _Folder | None:
        path, within = prefix + entry.name, relative + entry.name
        try:
            kind = self._kind(entry)
        except OSError:
            # Not even its kind can be asked for; reading it will say why.
            return path
        reason = None
        if any(matches(within, pattern) for pattern in self.exclude) or (
            kind == "folder" and entry.name.lower() in _SKIPPED_FOLDERS
        ):
            reason = "excluded"
        elif kind == "folder" and self.recursive:
            return _Folder(path, within)
        elif kind != "file":
            reason = kind
        elif self.include:
            if not any(matches(within, pattern) for pattern in self.include):
                reason = "excluded"
        elif entry.name.startswith(_COMPANION):
            reason = "excluded"
        else:
            reason = self._no_photograph(path)
        if reason is None:
            return path
        self.passed_over[reason] += 1
        return None

    def _kind(self, entry: os.DirEntry[str]) -> str:
        link = entry.is_symlink()
        if entry.is_dir():
            return "symlink" if link and not self.follow_links else "folder"
        if entry.is_file():
            return "file"
        # A link to nothing has a row if it is called like an image: a photograph is missing.
        lost = link and not os.path.exists(entry.path)  # noqa: PTH110
        if lost:
            return "file" if self._is_image_by_name(entry.name) else "symlink"
        return "special"

    def _is_image_by_name(self, name: str) -> bool:
        extension = os.path.splitext(name)[1].lower()  # noqa: PTH122 (a Path for each of a million names)
        return extension in EXTENSIONS or (not self.decoded_only and extension in REFUSED_EXTENSIONS)

    def _no_photograph(self, path: str) -> str | None:
        """Why a file is passed over, by its name and else by its first bytes; None for a photograph."""
        named_so = self._is_image_by_name(path)
        if named_so and not path.lower().endswith(".png"):
            return None
        try:
            descriptor = system.open_to_read(path)
            try:
                head = os.read(descriptor, HEAD_BYTES)
            finally:
                os.close(descriptor)
        except OSError:
            # Nothing says that it is an image, but perhaps its name.
            head = b""
        if is_own(head):
            return "made_here"
        known = sniff(head) is not None or (not self.decoded_only and is_refused_picture(head))
        return None if named_so or known else "not_an_image"


@dataclass(frozen=True, slots=True)
class _Folder:
    path: str
    relative: str


def _identity(folder: str) -> tuple[int, int]:
    """What a folder is under any name; nothing that another is where it cannot be asked."""
    try:
        status = os.stat(folder)  # noqa: PTH116
    except OSError:
        return -1, hash(folder)
    return status.st_dev, status.st_ino


def _answer(patience: Patience, look: Callable[[], T]) -> T | None:
    """What a look finds; None where it finds no end."""
    try:
        return patience.call(look)
    except TimeoutError:
        return None


def _kind_of_name(name: str, patterns: bool) -> Literal["folder", "archive", "pattern", "file"]:
    if _is_folder(name):
        return "folder"
    if remote.archive_address(name) and os.path.isfile(name):  # noqa: PTH113
        return "archive"
    # A file may well be called "a[1].jpg"; only what does not exist is a pattern.
    if patterns and _GLOB & set(name) and not os.path.lexists(name):
        return "pattern"
    return "file"


def _is_skipped(part: str) -> bool:
    """Whether a part of a path in an archive or a store is nobody's photograph."""
    return part.startswith(_COMPANION) or part.lower() in _SKIPPED_FOLDERS


def _is_folder(name: str) -> bool:
    # A Path would take the empty name for the current folder.
    return os.path.isdir(name)  # noqa: PTH112


def photographs_in(folder: str | os.PathLike[str], *, recursive: bool = False) -> list[Path]:
    """The photographs of a folder, as every command finds them: by an image's extension or its first bytes.

    Args:
        folder: links to files in it are followed, links to folders are not.
        recursive: also look into folders within it.

    Returns:
        Their paths, in the order of their names; none where it holds none.

    Raises:
        UsageError: it is no folder, or it cannot be listed.
    """
    with Patience(_LOOK_SECONDS, "dgqa-find") as patience:
        if not _answer(patience, lambda: _is_folder(os.fspath(folder))):
            raise UsageError(f"{os.fspath(folder)} is not a folder, or does not answer")
    paths = []
    finder = InputFinder(recursive=recursive, decoded_only=True)
    for found in finder.find([os.fspath(folder)], patterns=False):
        if isinstance(found, ImageError):
            raise UsageError(str(found))
        paths.append(Path(found))
    # Trainings rest on this order, and the finder sorts a huge folder in portions.
    return sorted(paths)
