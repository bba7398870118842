"""A photograph that hangs or crashes its decoder costs its own place and nothing else, whatever reads it.

For `export` see tests/export.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bad_decoder import commented

from dgqa_infer.cli import bench
from dgqa_infer.options import WorkerLimits

pytestmark = pytest.mark.usefixtures("bad_decoder", "little_time")
COMMENTS = ("", "HANG", "", "QUIT", "", "")
SOUND = COMMENTS.count("")


@pytest.fixture
def little_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a photograph, for commands that have no option for it."""
    monkeypatch.setattr(WorkerLimits.__init__, "__defaults__", (2.0, 4_000_000_000, None))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    commented(tmp_path / "photos", *COMMENTS)
    return tmp_path / "photos"


def codes(failures: list[dict[str, Any]]) -> dict[str, str]:
    """File → code, of rows and of what commands call unreadable."""
    return {Path(each["path"]).name: each.get("error", each)["code"] for each in failures}


LOST = {"1.jpg": "timed_out", "3.jpg": "crashed"}


def test_score(cli: Callable[..., Any], folder: Path, tiny_bundle: Path) -> None:
    ran = cli(
        "score", folder, "--model", tiny_bundle, "--device", "cpu", "--workers", 2, "--limit-time", "2s"
    )
    assert ran.code == 3
    assert codes([row for row in ran.rows if "error" in row]) == LOST


def test_evaluate(cli: Callable[..., Any], folder: Path, tiny_bundle: Path) -> None:
    table = folder.parent / "labels.csv"
    table.write_text("image,mos\n" + "".join(f"{number}.jpg,{number}\n" for number in range(len(COMMENTS))))
    arguments = ("--labels", table, folder, "--device", "cpu", "--workers", 2, "--json")
    ran = cli("evaluate", *arguments, "--model", tiny_bundle, "--versus", tiny_bundle)
    assert ran.code == 3
    found = json.loads(ran.stdout)
    assert codes(found["unreadable"]) == LOST
    assert found["pooled"]["images"] == SOUND
    assert found["pooled"]["srcc"]["value"] == 1, "brighter is better, and these are ascending"


def test_select(cli: Callable[..., Any], folder: Path) -> None:
    ran = cli("select", folder, "--device", "cpu", "--workers", 2, "--json")
    assert ran.code == 3
    found = json.loads(ran.stdout)
    assert codes(found["unreadable"]) == LOST
    assert found["photos"] == SOUND


def test_adapt(cli: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    arguments = ("--types", "1,3,10", "--device", "cpu", "--workers", 2, "--json")
    ran = cli("adapt", folder, "--out", tmp_path / "mine", *arguments)
    assert ran.code == 3, ran.stderr
    found = json.loads(ran.stdout)
    assert codes(found["unreadable"]) == LOST
    assert found["photos"] == SOUND


def test_bench(
    cli: Callable[..., Any], folder: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is measured after the photographs are chosen takes its time, and is tested elsewhere."""
    monkeypatch.setattr(bench, "_measured", lambda *_: ())
    ran = cli("bench", folder, "--model", tiny_bundle, "--workers", 2, "--json")
    assert ran.code == 0, ran.stderr
    assert json.loads(ran.stdout)["conditions"]["photographs"]["count"] == SOUND
