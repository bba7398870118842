"""What KADID-10k's raters thought of each distortion type and level, over its 81 contents.

A summary travels with the package (`kadid10k_scores.csv`), so that labels can be had without KADID-10k; it
was written by this module from KADID-10k's own table:

    python -m dgqa_training.labels.kadid_scores path/to/dmos.csv

KADID-10k: H. Lin, V. Hosu, D. Saupe, QoMEX 2019. Its DMOS runs from 1 to 5 and *higher is better*.
"""

from __future__ import annotations

import csv
import re
import sys
from dataclasses import dataclass
from importlib import resources
from os import PathLike
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from dgqa_infer.errors import UsageError
from dgqa_training.distortions import DISTORTIONS, LEVELS

PROBABILITIES = np.linspace(0, 1, 11)
"""Where the summary keeps the distribution over contents: minimum, deciles, maximum."""

_SHAPE = (len(DISTORTIONS), len(LEVELS))
_BUILT_IN = "kadid10k_scores.csv"
_FILE_NAME = re.compile(r"I\d+_(\d\d)_(\d\d)\.\w+")
# The official dmos.csv, and a table that is about with the same content under other headings.
_COLUMNS = (("dist_img", "dmos", "var"), ("dist_name", "dmos", "std"))


@dataclass(frozen=True)
class KadidScores:
    """DMOS by type and level; the first index is type − 1, the second level − 1.

    Attributes:
        mean: float64 [25, 5], mean DMOS over the contents, 1–5.
        spread: float64 [25, 5], mean of the table's column of rater disagreement (`var`).
        quantiles: float64 [25, 5, 11], DMOS over the contents at `PROBABILITIES`.
    """

    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    quantiles: NDArray[np.float64]

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the greatest DMOS of all images."""
        return float(self.quantiles.min()), float(self.quantiles.max())


def built_in() -> KadidScores:
    """The summary that travels with the package."""
    table = resources.files("dgqa_training.labels").joinpath(_BUILT_IN)
    rows = np.loadtxt(table.read_text("utf-8").splitlines()[1:], delimiter=",")
    cells = rows[:, 2:].reshape(*_SHAPE, -1)
    return KadidScores(cells[..., 0], cells[..., 1], cells[..., 2:])


def read(path: str | PathLike[str]) -> KadidScores:
    """Summarise KADID-10k's table, or any in its layout with the same number of contents in every cell.

    Args:
        path: a `dmos.csv` with the columns dist_img, dmos, var; or dist_name, dmos, std.

    Raises:
        UsageError: it cannot be read, misses a column, or some type and level has no row.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            scores, spreads = _collect(file, str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as a table of scores: {error}") from error
    empty = [f"type {t + 1}, level {s + 1}" for t, s in np.ndindex(_SHAPE) if not scores[t][s]]
    if empty:
        raise UsageError(f"{path} has no score for {empty[0]} and {len(empty) - 1} more: is it KADID-10k's?")
    return KadidScores(
        mean=np.array([[np.mean(cell) for cell in row] for row in scores]),
        spread=np.array([[np.mean(cell) for cell in row] for row in spreads]),
        quantiles=np.array([[np.quantile(cell, PROBABILITIES) for cell in row] for row in scores]),
    )


def _collect(file: TextIO, path: str) -> tuple[list[list[list[float]]], list[list[list[float]]]]:
    reader = csv.DictReader(file)
    columns = next((c for c in _COLUMNS if set(c) <= set(reader.fieldnames or ())), None)
    if columns is None:
        raise UsageError(f"{path} has none of the headings of KADID-10k's table: dist_img, dmos, var")
    scores: list[list[list[float]]] = [[[] for _ in LEVELS] for _ in DISTORTIONS]
    spreads: list[list[list[float]]] = [[[] for _ in LEVELS] for _ in DISTORTIONS]
    for row in reader:
        name, score, spread = (row[column] or "" for column in columns)
        match = _FILE_NAME.fullmatch(name)
        kind, level = (int(part) for part in match.groups()) if match else (0, 0)
        if kind not in DISTORTIONS or level not in LEVELS:
            raise UsageError(
                f"{path}, line {reader.line_num}: {name!r} is not named as KADID's, I01_01_01.png"
            )
        try:
            scores[kind - 1][level - 1].append(float(score))
            spreads[kind - 1][level - 1].append(float(spread))
        except ValueError:
            raise UsageError(f"{path}, line {reader.line_num}: a score is not a number") from None
    return scores, spreads


def write(scores: KadidScores, file: TextIO) -> None:
    """Write a summary as the table that `built_in` reads: one row a type and level."""
    quantiles = [f"q{100 * probability:.0f}" for probability in PROBABILITIES]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["type", "level", "mean", "spread", *quantiles])
    for t, s in np.ndindex(_SHAPE):
        cells = [scores.mean[t, s], scores.spread[t, s], *scores.quantiles[t, s]]
        writer.writerow([t + 1, s + 1, *(f"{cell:.4f}" for cell in cells)])


if __name__ == "__main__":
    write(read(sys.argv[1]), sys.stdout)
