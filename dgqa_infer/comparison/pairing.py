"""Which row of one set belongs to which of the other."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

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


def pair(old: Sequence[Row], new: Sequence[Row], by: PairBy | Mapping[str, str] = PairBy.PATH) -> Pairs:
    """Find the pairs.

    Args:
        old: rows of one set.
        new: rows of the other.
        by: the path within the set's folder; the name of the file without its ending; or a table from the
            old photograph's path to the new one's, each as its row has it or within its set.

    Raises:
        UsageError: nothing can be paired, a name is not unique, or the table names what is not there.
    """
    if not isinstance(by, PairBy):
        return _by_table(old, new, by)
    before, after = (_named(rows, by, which) for rows, which in ((old, "OLD"), (new, "NEW")))
    pairs = tuple(Pair(name, row, after[key][1]) for key, (name, row) in before.items() if key in after)
    if not pairs:
        raise UsageError(_no_pairs(before, after, by))
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
            rows = [(row["old"], row["new"]) for row in reader]
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} is not a CSV file in UTF-8: {error}") from error
    for column, names in (("old", [row[0] for row in rows]), ("new", [row[1] for row in rows])):
        if twice := sorted({name or "" for name in names if names.count(name) > 1}):
            raise UsageError(f"{path} names {twice[0]!r} twice in the column {column}")
    return dict(rows)


def names_in_set(rows: Iterable[Row]) -> list[str]:
    """The rows' paths within the folder that holds them all."""
    paths = [_path(row) for row in rows]
    if not paths:
        return []
    try:
        common = os.path.commonpath([os.path.dirname(path) for path in paths])  # noqa: PTH120 (and addresses)
    except ValueError:  # from the root and not
        return paths
    return [os.path.relpath(path, common) if common else path for path in paths]


def _by_table(old: Sequence[Row], new: Sequence[Row], table: Mapping[str, str]) -> Pairs:
    before, after = (
        {
            spelled: (name, row)
            for row, name in zip(rows, names_in_set(rows), strict=True)
            for spelled in (name, _path(row))
        }
        for rows in (old, new)
    )
    pairs = []
    for one, other in table.items():
        for name, rows, which in ((one, before, "OLD"), (other, after, "NEW")):
            if name not in rows:
                raise UsageError(f"the table of pairs names {name!r}, which {which} does not have")
        pairs.append(Pair(before[one][0], before[one][1], after[other][1]))
    if not pairs:
        raise UsageError("the table of pairs is empty")
    used = [{id(each) for each in rows} for rows in zip(*((p.old, p.new) for p in pairs), strict=True)]
    lone = [
        tuple(n for row, n in zip(rows, names_in_set(rows), strict=True) if id(row) not in seen)
        for rows, seen in ((old, used[0]), (new, used[1]))
    ]
    return Pairs(tuple(pairs), lone[0], lone[1])


def _named(rows: Sequence[Row], by: PairBy, which: str) -> dict[str, tuple[str, Row]]:
    """Key → the row and its name within the set."""
    found: dict[str, tuple[str, Row]] = {}
    for name, row in zip(names_in_set(rows), rows, strict=True):
        key = name if by is PairBy.PATH else PurePosixPath(name).stem
        if key in found:
            raise UsageError(
                f"{which} has two photographs that pair as {key!r}: {found[key][0]} and {name}; "
                "say which belong together with --pairs CSV"
            )
        found[key] = name, row
    return found


def _no_pairs(before: Mapping[str, object], after: Mapping[str, object], by: PairBy) -> str:
    old, new = (", ".join(list(names)[:_NAMED]) or "nothing" for names in (before, after))
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
