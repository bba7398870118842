"""The tables of docs/export.md are the measured ones."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def program(repository: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(repository)
    return importlib.import_module("benchmarks.speed.export_drift")


@pytest.fixture
def result(repository: Path) -> dict[str, Any]:
    measured = json.loads((repository / "benchmarks" / "results" / "export_drift.json").read_text())
    assert isinstance(measured, dict)
    return measured


def test_the_tables_are_the_measured_ones(
    repository: Path, program: ModuleType, result: dict[str, Any]
) -> None:
    text = (repository / "docs" / "export.md").read_text()
    assert program.table(result) in text
    assert program.trials(result) in text


def test_every_precision_was_within_its_tolerance_on_500_photographs(result: dict[str, Any]) -> None:
    assert {row["precision"] for row in result["drift"]} == {"fp32", "fp16", "int8"}
    for row in result["drift"]:
        assert row["photographs"] == 500
        assert row["passed"]
