"""Broken files of every format have one row each: a small share of `python -m benchmarks mutations`."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from dgqa_infer import Scorer
from dgqa_infer.pipeline.pipeline import Pipeline


@pytest.mark.parametrize("seed", [1, 2])
def test_a_broken_file_of_any_format_has_one_row(
    repository: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.syspath_prepend(repository)
    program = importlib.import_module("benchmarks.robustness.mutations")
    with Scorer(tiny_bundle, device="cpu") as scorer, Pipeline(scorer, workers=1) as pipeline:
        found = program.replay(pipeline, 200, seed)
    assert found["problems"] == []
    assert found["rows"] == 200
    # Not all are refused: whole files behind a small wound still have their picture.
    became = found["by_format"].values()
    assert sum(each.get("scored", 0) for each in became) > 10
