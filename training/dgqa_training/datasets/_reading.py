"""How adapters read a set's folder: tables to rows, names to files, every complaint with its row."""

from __future__ import annotations

import csv
import math
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from dgqa_infer.errors import UsageError
from dgqa_training.datasets import _xlsx
from dgqa_training.datasets.sample import Facts, Sample


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a set's table.

    Attributes:
        source: where it stands, for messages: "dmos.csv, line 17".
        cells: column → text.
    """

    source: str
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]

    def number(self, column: str) -> float:
        """The finite number in a column.

        Raises:
            UsageError: the cell is empty, no number, NaN or infinite.
        """
        text = self.cells[column]
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise UsageError(f"{self.source}: {column} is {text!r}, not a finite number")
        return value

    def groups(self, column: str, pattern: str) -> tuple[str, ...]:
        """The groups of a pattern that all of a column's text must match.

        Raises:
            UsageError: it does not.
        """
        match = re.fullmatch(pattern, self.cells[column])
        if match is None:
            raise UsageError(f"{self.source}: {column} is {self.cells[column]!r}, not of the form {pattern}")
        return match.groups()


class Images:
    """The files of one or several folders of images, found by name."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._listings: dict[Path, dict[str, str]] = {}

    def find(self, name: str, row: Row) -> Path:
        """The file of a name, which may go through subfolders.

        Letters' case decides only where two files differ in nothing else: TID2013 itself writes i01 for I01.
        So do accents that are written as one character or as two, as file systems and spreadsheets do.
        A path from the root is looked for where it lies in one of the folders.

        Raises:
            UsageError: there is no such file, or the name leaves the folder.
        """
        parts = self._below(PurePosixPath(name.replace("\\", "/"))).parts
        if not parts or ".." in parts or parts[0] == "/":
            raise UsageError(f"{row.source}: {name!r} is not the name of a file inside {self._folders[0]}")
        for folder in self._folders:
            path: Path | None = folder
            for part in parts:
                listing = self._listing(path) if path else {}
                actual = listing.get(part) or listing.get(_folded(part))
                path = path / actual if path and actual else None
            if path:
                return path
        places = " or ".join(str(folder) for folder in self._folders)
        raise UsageError(f"{row.source}: there is no file {name!r} in {places}")

    def _below(self, path: PurePosixPath) -> PurePosixPath:
        """A path from the root as it is below one of the folders; any other as it is."""
        if path.is_absolute():
            for folder in self._folders:
                for root in (folder.absolute(), folder.resolve()):
                    if path.is_relative_to(root):
                        return path.relative_to(root)
        return path

    def _listing(self, folder: Path) -> dict[str, str]:
        """Names in a folder: each by itself, and by its case-folded form where that is unique."""
        if folder not in self._listings:
            try:
                names = sorted(entry.name for entry in folder.iterdir())
            except OSError:
                names = []
            folded: dict[str, str] = {}
            for name in names:
                folded[_folded(name)] = "" if _folded(name) in folded else name
            self._listings[folder] = folded | {name: name for name in names}
        return self._listings[folder]


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


class SetFolder:
    """The root of a data set, as its adapter reads it."""

    def __init__(self, root: Path, facts: Facts) -> None:
        if not root.is_dir():
            origin = f"; {facts.title} is obtained at {facts.obtain}" if facts.obtain else ""
            raise UsageError(f"{root} is not a folder{origin}")
        self.root = root
        self.facts = facts
        self._seen: dict[Path, str] = {}

    def file(self, *names: str) -> Path:
        """The first of some files that exists below the root.

        Raises:
            UsageError: none does; says what is missing and where the set is obtained.
        """
        return self._existing(names, Path.is_file)[0]

    def images(self, *names: str) -> Images:
        """The images in those of some folders that exist below the root; "" is the root itself.

        Raises:
            UsageError: none does.
        """
        return Images(self._existing(names, Path.is_dir))

    def _existing(self, names: Sequence[str], exists: Callable[[Path], bool]) -> list[Path]:
        found = [self.root / name for name in names if exists(self.root / name)]
        if not found:
            wanted = " or ".join(name or str(self.root) for name in names)
            raise UsageError(
                f"{self.root} is not the root of {self.facts.title}: it has no {wanted}. "
                f"The set is obtained at {self.facts.obtain}"
            )
        return found

    def csv(self, path: Path, columns: Sequence[str]) -> Iterator[Row]:
        """Rows of a comma-separated table whose first line names the columns.

        Raises:
            UsageError: a column is missing, or a line is shorter than the header.
        """
        lines = _lines(path)
        header = [cell.strip() for cell in next(lines, (0, []))[1]]
        _require(columns, header, f"{path.name}, line 1")
        yield from _named(lines, header, path, "line")

    def text(self, path: Path, columns: Sequence[str], separator: str | None = ",") -> Iterator[Row]:
        """Rows of a table without a header; a separator of None is any white space."""
        lines = (
            (number, line.split(separator))
            for number, line in enumerate(_decoded(path).splitlines(), 1)
            if line.strip()
        )
        yield from _named(lines, list(columns), path, "line")

    def xlsx(self, path: Path, columns: Sequence[str], sheet: str | None = None) -> Iterator[Row]:
        """Rows of a workbook's sheet, below the first row that names all of some columns."""
        rows = iter(_xlsx.read_sheet(path, sheet))
        for _, cells in rows:
            header = [cell.strip() for cell in cells]
            if set(columns) <= set(header):
                yield from _named(rows, header, path, "row")
                return
        _require(columns, [], path.name)

    def mat(self, variables: Mapping[str, tuple[Path, str]]) -> Iterator[Row]:
        """Rows put together from vectors in MATLAB files.

        Args:
            variables: column → (file, variable). Cell arrays of text give their text.

        Raises:
            UsageError: a variable is missing, or their lengths differ.
        """
        columns = {column: _vector(path, name) for column, (path, name) in variables.items()}
        lengths = {column: len(values) for column, values in columns.items()}
        if len(set(lengths.values())) != 1:
            raise UsageError(f"{self.root}: the MATLAB files disagree on the number of images: {lengths}")
        first = next(iter(variables.values()))[0].name
        for number, cells in enumerate(zip(*columns.values(), strict=True), 1):
            yield Row(f"{first}, entry {number}", dict(zip(columns, cells, strict=True)))

    def sample(self, row: Row, path: Path, score: float | None, **rest: Any) -> Sample:
        """A sample whose score and file were checked against the set and the rows before.

        Raises:
            UsageError: the image came before, or the score is off the set's scale.
        """
        if path in self._seen:
            raise UsageError(f"{row.source}: {path.name} was given before, in {self._seen[path]}")
        self._seen[path] = row.source
        bounds = self.facts.bounds
        if score is not None and bounds and not bounds[0] <= score <= bounds[1]:
            raise UsageError(
                f"{row.source}: {self.facts.score} {score:g} is outside {bounds[0]:g}–{bounds[1]:g}, "
                f"the scale of {self.facts.title}"
            )
        return Sample(path, score, **rest)

    def checked(self, samples: Iterable[Sample]) -> tuple[Sample, ...]:
        """All samples of a set, refused when there are none or their scores say nothing.

        Raises:
            UsageError: no sample, or all scores are equal.
        """
        collected = tuple(samples)
        if not collected:
            raise UsageError(f"{self.root}: the table of {self.facts.title} names no image")
        scores = {sample.score for sample in collected}
        if len(collected) > 1 and len(scores) == 1 and None not in scores:
            first, last = (self._seen[collected[end].path] for end in (0, -1))
            raise UsageError(
                f"{first} to {last}: all {len(collected)} scores are {collected[0].score:g}; "
                "a constant column ranks nothing"
            )
        return collected


def _require(columns: Sequence[str], header: Sequence[str], source: str) -> None:
    missing = [column for column in columns if column not in header]
    if missing:
        raise UsageError(
            f"{source}: no column {', '.join(missing)}; there are: {', '.join(header) or 'none'}"
        )


def _named(lines: Iterable[tuple[int, list[str]]], header: list[str], path: Path, unit: str) -> Iterator[Row]:
    for number, cells in lines:
        source = f"{path.name}, {unit} {number}"
        if unit == "line" and len(cells) < len(header):
            raise UsageError(f"{source} has {len(cells)} cells where {len(header)} belong")
        # Excel leaves out the empty cells at a row's end.
        padded = cells + [""] * (len(header) - len(cells))
        row = {name: cell.strip() for name, cell in zip(header, padded, strict=False) if name}
        if any(row.values()):
            yield Row(source, row)


def _decoded(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text: {error}") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(_decoded(path).splitlines(keepends=True), strict=True)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise UsageError(f"{path.name}, line {reader.line_num}: not comma-separated text: {error}") from error


def _vector(path: Path, name: str) -> list[str]:
    """A vector of a MATLAB file as text; numbers keep all their digits."""
    try:
        contents = loadmat(path)
    except (MatReadError, ValueError, TypeError, NotImplementedError, OSError, zlib.error) as error:
        raise UsageError(f"{path} is not a readable MATLAB file: {error}") from error
    if name not in contents:
        raise UsageError(f"{path} has no variable {name}")
    # A cell array of text loads as an object array of one-element arrays, [['a.bmp']].
    return [str(np.asarray(value).flat[0]) for value in np.ravel(contents[name])]
