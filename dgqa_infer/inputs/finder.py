"""From what was named to the files to score: which ones, and in which order.

Nothing is listed whole: the first file is known before the millionth is looked at. Names within a folder come
in the order of their bytes; a huge folder is sorted in portions. The order is the same each time.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from dgqa_infer.errors import ErrorCode, ImageError, UsageError
from dgqa_infer.inputs import remote
from dgqa_infer.inputs.files import Input
from dgqa_infer.inputs.formats import EXTENSIONS, HEAD_BYTES, sniff
from dgqa_infer.inputs.globs import matches

# So many names of one folder are read and sorted at a time.
_PORTION = 20_000
_GLOB = frozenset("*?[")


@dataclass(slots=True)
class InputFinder:
    """Which files in a folder are scored, and how many were not.

    Attributes:
        include: patterns; a file that fits one is scored, whatever it is. Empty: every file with an image's
            extension or an image's first bytes.
        exclude: patterns of files and folders to leave out.
        recursive: also look into folders within folders.
        passed_over: how many entries of folders are not scored, by reason: "not_an_image", "excluded",
            "symlink" (never followed), "special" (pipes, devices), "folder" (where not recursive); and
            "duplicate" for what was named before.
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    recursive: bool = True
    passed_over: Counter[str] = field(default_factory=Counter)

    def find(self, named: Iterable[str], *, patterns: bool = True) -> Iterator[Input]:
        """The files to score.

        Args:
            named: files, folders and patterns. A file is scored whatever its name says; a link that is named
                is followed, one that lies in a folder is not.
            patterns: whether a name that does not exist may be a pattern.

        Yields:
            Paths, each spelling only once: what was named, or its folder's name, a slash and its own. An
            `ImageError` for a folder that cannot be listed.
        """
        if isinstance(named, Sequence) and len(named) == 1 and _is_folder(named[0]):
            # Nothing can come twice, and a million names need not be remembered.
            yield from self._expand(named[0], patterns)
            return
        seen: set[bytes] = set()
        for name in named:
            for found in self._expand(name, patterns):
                if isinstance(found, str):
                    # A digest instead of the name: half the memory, and names may be long.
                    digest = hashlib.blake2b(os.fsencode(found), digest_size=16).digest()
                    if digest in seen:
                        self.passed_over["duplicate"] += 1
                        continue
                    seen.add(digest)
                yield found

    def _expand(self, name: str, patterns: bool) -> Iterator[Input]:
        if remote.is_remote(name):
            yield from self._walk_address(name)
            return
        if _is_folder(name):
            yield from self._walk(name)
            return
        if (address := remote.archive_address(name)) and os.path.isfile(name):  # noqa: PTH113
            yield from self._walk_address(address)
            return
        # A file may well be called "a[1].jpg"; only what does not exist is a pattern.
        if patterns and _GLOB & set(name) and not os.path.lexists(name):
            found = sorted(glob.glob(name, recursive=True), key=os.fsencode)  # noqa: PTH207
            for path in found:
                yield from self._expand(path, False)
            if found:
                return
        yield name

    def _walk(self, root: str) -> Iterator[Input]:
        prefix = root if root.endswith("/") else f"{root}/"
        stack = [self._list(root, prefix, "")]
        while stack:
            entry = next(stack[-1], None)
            if entry is None:
                stack.pop()
            elif isinstance(entry, _Folder):
                stack.append(self._list(entry.path, f"{entry.path}/", f"{entry.relative}/"))
            else:
                yield entry

    def _walk_address(self, address: str) -> Iterator[Input]:
        try:
            for found, within in remote.walk(address, self.recursive):
                reason = None
                if found == address:
                    pass
                elif any(matches(within, pattern) for pattern in self.exclude):
                    reason = "excluded"
                elif self.include:
                    reason = None if any(matches(within, pattern) for pattern in self.include) else "excluded"
                elif os.path.splitext(within)[1].lower() not in EXTENSIONS:  # noqa: PTH122
                    # By the name alone: the first bytes of each would be a request for each.
                    reason = "not_an_image"
                if reason is None:
                    yield found
                else:
                    self.passed_over[reason] += 1
        except ImageError as error:
            yield error

    def _list(self, folder: str, prefix: str, relative: str) -> Iterator[Input | _Folder]:
        try:
            with os.scandir(folder) as entries:
                while portion := sorted(islice(entries, _PORTION), key=lambda entry: os.fsencode(entry.name)):
                    for entry in portion:
                        if (found := self._look_at(entry, prefix, relative)) is not None:
                            yield found
        except OSError as error:
            code: ErrorCode = "not_found" if error.errno == errno.ENOENT else "unreadable"
            yield ImageError(code, f"this folder cannot be listed: {error.strerror}", folder)

    def _look_at(self, entry: os.DirEntry[str], prefix: str, relative: str) -> Input | _Folder | None:
        path, within = prefix + entry.name, relative + entry.name
        try:
            kind = _kind(entry)
        except OSError:
            # Not even its kind can be asked for; reading it will say why.
            return path
        reason = None
        if any(matches(within, pattern) for pattern in self.exclude):
            reason = "excluded"
        elif kind == "folder" and self.recursive:
            return _Folder(path, within)
        elif kind != "file":
            reason = kind
        elif self.include:
            if not any(matches(within, pattern) for pattern in self.include):
                reason = "excluded"
        elif not _looks_like_image(path):
            reason = "not_an_image"
        if reason is None:
            return path
        self.passed_over[reason] += 1
        return None


@dataclass(frozen=True, slots=True)
class _Folder:
    path: str
    relative: str


def _kind(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return "symlink"
    if entry.is_dir(follow_symlinks=False):
        return "folder"
    return "file" if entry.is_file(follow_symlinks=False) else "special"


def _is_folder(name: str) -> bool:
    # A Path would take the empty name for the current folder.
    return os.path.isdir(name)  # noqa: PTH112


def _looks_like_image(path: str) -> bool:
    if os.path.splitext(path)[1].lower() in EXTENSIONS:  # noqa: PTH122 (a Path for each of a million names)
        return True
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return sniff(os.read(descriptor, HEAD_BYTES)) is not None
        finally:
            os.close(descriptor)
    except OSError:
        # Nothing says that it is an image.
        return False


def photographs_in(folder: str | os.PathLike[str], *, recursive: bool = False) -> list[Path]:
    """The photographs of a folder, as every command finds them: by an image's extension or its first bytes.

    Args:
        folder: links in it are not followed.
        recursive: also look into folders within it.

    Returns:
        Their paths, in the order of their names; none where it holds none.

    Raises:
        UsageError: it is no folder, or it cannot be listed.
    """
    if not os.path.isdir(folder):  # noqa: PTH112 (a Path would take the empty name for the current folder)
        raise UsageError(f"{os.fspath(folder)} is not a folder")
    paths = []
    for found in InputFinder(recursive=recursive).find([os.fspath(folder)], patterns=False):
        if isinstance(found, ImageError):
            raise UsageError(str(found))
        paths.append(Path(found))
    # Trainings rest on this order, and the finder sorts a huge folder in portions.
    return sorted(paths)


def read_names(descriptor: int, separator: bytes) -> Iterator[str]:
    """Names from a pipe, as they come.

    Args:
        descriptor: of the pipe; read without a buffer that an exiting interpreter would wait for.
        separator: what ends a name: a line feed or a zero byte.
    """
    rest = b""
    while block := os.read(descriptor, 65536):
        *names, rest = (rest + block).split(separator)
        yield from (os.fsdecode(name) for name in names if name)
    if rest:
        yield os.fsdecode(rest)
