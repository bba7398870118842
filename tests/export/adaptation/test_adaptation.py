"""Ratings that a user brings along."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from dgqa_export.adaptation.adaptation import rated
from dgqa_infer.errors import UsageError

RATINGS = [10, 70] * 5


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """As many rated photographs as a scale needs, of 10 and 70."""
    lines = ["image,dmos"]
    for number, rating in enumerate(RATINGS):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,{rating}")
    table = tmp_path / "ratings.csv"
    table.write_text("\n".join(lines) + "\n")
    return table


def test_a_column_called_dmos_needs_a_direction(table: Path) -> None:
    with pytest.raises(UsageError, match="--lower-is-better"):
        rated(table, table.parent, None)


@pytest.mark.parametrize("scale", [None, "70:10", "10:70"])
def test_ratings_that_fall_with_quality_are_turned_around(table: Path, scale: str | None) -> None:
    found = rated(table, table.parent, scale, higher_is_better=False)
    assert list(found.ratings) == [-rating for rating in RATINGS]
    assert found.bounds == (-70, -10)


def test_ratings_that_rise_with_quality_stay(table: Path) -> None:
    found = rated(table, table.parent, None, higher_is_better=True)
    assert (list(found.ratings), found.bounds) == (RATINGS, (10, 70))
