"""A share of the kills that `python -m benchmarks recovery` does, with the same program."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")
def test_killed_at_random_points_no_format_loses_repeats_or_changes_a_row(
    repository: Path, monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path, tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.syspath_prepend(repository)
    recovery = importlib.import_module("benchmarks.robustness.recovery")
    found = recovery.killed(str(tiny_bundle), tmp_path, count=60, kills=6, seed=1)
    assert list(found) == ["jsonl", "csv", "parquet"]
    for counts in found.values():
        assert counts["kills"] >= 2
        assert [counts[name] for name in recovery.DIFFERENCES] == [0, 0, 0]
