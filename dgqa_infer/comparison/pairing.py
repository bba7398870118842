"""Which row of one set belongs to which of the other."""

from __future__ import annotations

import csv
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from os.path import commonprefix
from pathlib import Path, PurePath, PurePosixPath

from dgqa_infer.errors import UsageError
from dgqa_infer.results import Row

_NAMED = 3


class PairBy(StrEnum):
    """What the two photographs of a scene have in common."""

    PATH = "path"
    STEM = "stem"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two photographs of one scene.

    Attributes:
        name: of the scene: the old photograph's path within its set.
        old: its row.
        new: the new photograph's row.
    """

    name: str
    old: Row
    new: Row

    @property
    def folder(self) -> str:
        """The folder that the old photograph lies in, within its set; "." for the set's own."""
        return str(PurePosixPath(self.name).parent)

    @property
    def scored(self) -> bool:
        """Whether both have a score."""
        return "error" not in self.old and "error" not in self.new


@dataclass(frozen=True, slots=True)
class Pairs:
    """Two sets as pairs.

    Attributes:
        pairs: in the order of the old set.
        only_old: names, within the set, of photographs whose scene the new set does not have.
        only_new: the reverse.
    """

    pairs: tuple[Pair, ...]
    only_old: tuple[str, ...]
    only_new: tuple[str, ...]


def pair(
    old: Sequence[Row],
    new: Sequence[Row],
    by: PairBy | Mapping[str, str] = PairBy.PATH,
    folders: tuple[str | None, str | None] = (None, None),
) -> Pairs:
    """Find the pairs.

    Args:
        old: rows of one set.
        new: rows of the other.
        by: the path within the set's folder; the name of the file without its ending; or a table from the
            old photograph's path to the new one's, each as its row has it or within its set.
        folders: of the old and the new set, as the paths in the rows begin; None where only the rows tell.

    Raises:
        UsageError: nothing can be paired, a name is not unique, or the table names what is not there.
    """
    names = names_in_sets(old, new, folders)
    first, second = (list(zip(*each, strict=True)) for each in zip(names, (old, new), strict=True))
    if not isinstance(by, PairBy):
        return _by_table(first, second, by)
    before, after = _named(first, by, "OLD"), _named(second, by, "NEW")
    pairs = tuple(Pair(name, row, after[key][1]) for key, (name, row) in before.items() if key in after)
    if not pairs:
        raise UsageError(_no_pairs(names, by))
    return Pairs(
        pairs,
        tuple(name for key, (name, _) in before.items() if key not in after),
        tuple(name for key, (name, _) in after.items() if key not in before),
    )


def read_pairs(path: Path) -> dict[str, str]:
    """A table of pairs: a CSV file with the columns old and new.

    Raises:
        UsageError: it cannot be read, or lacks a column, or names a photograph twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if not {"old", "new"} <= set(reader.fieldnames or ()):
                raise UsageError(f"{path} must have the columns old and new in its first line")
            rows = [(row["old"] or "", row["new"] or "") for row in reader]
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} is not a CSV file in UTF-8: {error}") from error
    for column, names in zip(("old", "new"), zip(*rows, strict=True), strict=False):
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise UsageError(f"{path} names {min(twice)!r} twice in the column {column}")
    return dict(rows)


def names_in_sets(
    old: Sequence[Row], new: Sequence[Row], folders: tuple[str | None, str | None] = (None, None)
) -> tuple[list[str], list[str]]:
    """The rows' paths within their sets.

    Rows alone do not tell where their set begins: a set of which only one folder is left looks as if it
    began there. So of the folders that hold all rows of a set those are taken by which most rows pair, and of
    equals the outer ones.
    """
    paths = [_paths(rows) for rows in (old, new)]
    first, second = (_beginnings(each, folder) for each, folder in zip(paths, folders, strict=True))
    # Where both begin further out than need be, no more rows pair: one of the two begins as far in as it can.
    ways = [(first[0], place) for place in second] + [(place, second[0]) for place in first[1:]]

    def paired(way: tuple[int, int]) -> tuple[int, int]:
        before, after = (
            {_key(path[place:]) for path in each} for each, place in zip(paths, way, strict=True)
        )
        both = len(before & after)
        return both, -sum(way) if both else sum(way)

    before, after = max(ways, key=paired)
    return [path[before:] for path in paths[0]], [path[after:] for path in paths[1]]


def names_in_set(rows: Iterable[Row]) -> list[str]:
    """The rows' paths within the folder that holds them all."""
    paths = _paths(rows)
    place = _beginnings(paths, None)[0]
    return [path[place:] for path in paths]


def _paths(rows: Iterable[Row]) -> list[str]:
    return [PurePath(_path(row)).as_posix() for row in rows]


def _beginnings(paths: Sequence[str], folder: str | None) -> list[int]:
    """Where in each path the name within the set may begin, the innermost first."""
    if folder is not None:
        around = PurePath(folder).as_posix()
        return [0 if around == "." else len(around.rstrip("/")) + 1]
    common = commonprefix(paths)  # noqa: RUF071 (places are looked for, up to a "/")
    return [place + 1 for place in reversed(range(len(common))) if common[place] == "/"] + [0]


def _key(name: str) -> str:
    """The same for a name however its accents are written: macOS takes them apart."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _by_table(
    old: Sequence[tuple[str, Row]], new: Sequence[tuple[str, Row]], table: Mapping[str, str]
) -> Pairs:
    before, after = (
        {_key(spelled): (name, row) for name, row in rows for spelled in (name, _path(row))}
        for rows in (old, new)
    )
    pairs = []
    for one, other in table.items():
        for name, rows, which in ((one, before, "OLD"), (other, after, "NEW")):
            if _key(name) not in rows:
                raise UsageError(f"the table of pairs names {name!r}, which {which} does not have")
        pairs.append(Pair(*before[_key(one)], after[_key(other)][1]))
    if not pairs:
        raise UsageError("the table of pairs is empty")
    used = [{id(each) for each in rows} for rows in zip(*((p.old, p.new) for p in pairs), strict=True)]
    lone = [
        tuple(name for name, row in rows if id(row) not in seen)
        for rows, seen in ((old, used[0]), (new, used[1]))
    ]
    return Pairs(tuple(pairs), lone[0], lone[1])


def _named(rows: Sequence[tuple[str, Row]], by: PairBy, which: str) -> dict[str, tuple[str, Row]]:
    """Key → the row and its name within the set."""
    found: dict[str, tuple[str, Row]] = {}
    for name, row in rows:
        key = _key(name if by is PairBy.PATH else PurePosixPath(name).stem)
        if key in found:
            raise UsageError(
                f"{which} has two photographs that pair as {key!r}: {found[key][0]} and {name}; "
                "say which belong together with --pairs CSV"
            )
        found[key] = name, row
    return found


def _no_pairs(sets: tuple[list[str], list[str]], by: PairBy) -> str:
    old, new = (", ".join(names[:_NAMED]) or "nothing" for names in sets)
    other = (
        "--pair-by stem pairs by the file's name without its ending, "
        if by is PairBy.PATH
        else "--pair-by path pairs by the path within the folder, "
    )
    return (
        f"no photograph of OLD ({old}) pairs with one of NEW ({new}) by {by.value}; "
        f"{other}--pairs CSV by a table"
    )


def _path(row: Row) -> str:
    path = row.get("path")
    if not isinstance(path, str):
        raise UsageError("a row without a path cannot be paired")
    return path
