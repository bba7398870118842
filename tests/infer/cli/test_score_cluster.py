"""What `score-cluster` refuses before anything is started."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_a_format_that_many_files_cannot_have_is_refused_at_once(cli: Callable[..., Any]) -> None:
    ran = cli("score-cluster", "photos", "-o", "rows", "-f", "csv")
    assert ran.code == 2
    assert "score-cluster writes jsonl or parquet, not csv" in ran.stderr


def test_rows_need_a_folder(cli: Callable[..., Any]) -> None:
    ran = cli("score-cluster", "photos", "-o", "-")
    assert ran.code == 2
    assert "score-cluster writes many files: name a folder or an address with --output" in ran.stderr


def test_without_ray_one_sentence_says_what_to_install(
    cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "ray.data", raising=False)
    ran = cli("score-cluster", "photos", "-o", tmp_path / "rows")
    assert ran.code == 2
    assert ran.stderr.count("\n") == 1
    assert ran.stderr.rstrip().endswith("pip install 'dgqa-infer[ray]'")
    assert not (tmp_path / "rows").exists()
