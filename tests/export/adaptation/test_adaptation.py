"""Ratings that a user brings along."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from dgqa_export.adaptation.adaptation import rated
from dgqa_infer.errors import UsageError


@pytest.fixture
def table(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    table = tmp_path / "ratings.csv"
    table.write_text("image,dmos\na.png,10\nb.png,70\n")
    return table


def test_a_column_called_dmos_needs_a_direction(table: Path) -> None:
    with pytest.raises(UsageError, match="--lower-is-better"):
        rated(table, table.parent, None)


@pytest.mark.parametrize("scale", [None, "70:10", "10:70"])
def test_ratings_that_fall_with_quality_are_turned_around(table: Path, scale: str | None) -> None:
    found = rated(table, table.parent, scale, higher_is_better=False)
    assert list(found.ratings) == [-10, -70]
    assert found.bounds == (-70, -10)


def test_ratings_that_rise_with_quality_stay(table: Path) -> None:
    found = rated(table, table.parent, None, higher_is_better=True)
    assert (list(found.ratings), found.bounds) == ([10, 70], (10, 70))
