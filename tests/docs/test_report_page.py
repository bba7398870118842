"""docs/report.md says what is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dgqa_infer.outputs.html import TABLE_ROWS


def test_its_python_runs_as_it_is(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (repository / "docs" / "report.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(repository)
    names: dict[str, Any] = {}
    exec(code, names)
    score = names["score"]
    # A float32 has 24 bits, and the scale goes to 10.
    assert abs(score.quality_map.raw - score.raw) < 10 * 2**-22
    assert score.quality_map.cells.shape == (5, 7, 7)
    assert np.shape(names["picture"]) == (score.height, score.width)


def test_its_numbers_are_the_programs(repository: Path) -> None:
    text = (repository / "docs" / "report.md").read_text(encoding="utf-8")
    assert f"the first {TABLE_ROWS:,} rows" in text


def test_its_pictures_and_links_are_there(repository: Path) -> None:
    docs = repository / "docs"
    links = re.findall(r"\]\(([^)#]+)\)", (docs / "report.md").read_text(encoding="utf-8"))
    assert len(links) >= 5
    assert [link for link in links if not (docs / link).exists()] == []
