"""How `--cluster` is said, and what it refuses before anything is started."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dgqa_infer.cli._cluster import ClusterTarget


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What `--cluster` was taken for, instead of a run."""
    taken: list[Any] = []

    def choose(*arguments: Any, **options: Any) -> None:
        taken.append(arguments[:2])
        sys.exit(0)

    monkeypatch.setattr(ClusterTarget, "choose", choose)
    return taken


@pytest.mark.parametrize(
    ("arguments", "address"),
    [
        (["photos", "--cluster"], "local"),
        (["--cluster", "photos"], "local"),
        (["--cluster", "-o", "rows", "photos"], "local"),
        (["photos", "--cluster", "auto"], "auto"),
        (["photos", "--cluster", "head:6379"], "head:6379"),
        (["photos", "--cluster", "[::1]:6379"], "[::1]:6379"),
        (["photos", "--cluster=whatever"], "whatever"),
        (["--cluster", "--", "auto"], "local"),
    ],
)
def test_the_address_may_be_left_out(
    cli: Callable[..., Any], chosen: list[Any], arguments: list[str], address: str
) -> None:
    assert cli("score", *arguments).code == 0
    assert [taken[0] for taken in chosen] == [address]


def test_without_the_option_nothing_changes(
    cli: Callable[..., Any], chosen: list[Any], tiny_bundle: Path
) -> None:
    assert cli("score", "--model", tiny_bundle, "--", "--cluster").rows[0]["path"] == "--cluster"
    assert chosen == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--cluster writes many files: name a folder or an address with --output"),
        (["-o", "rows", "-f", "csv"], "--cluster writes jsonl or parquet, not csv"),
        (["-o", "rows", "--gate", "gate.toml"], "--gate and --maps are for one machine"),
        (["-o", "rows", "--maps", "maps"], "--gate and --maps are for one machine"),
    ],
)
def test_what_contradicts_itself_is_refused_at_once(
    cli: Callable[..., Any], arguments: list[str], said: str
) -> None:
    ran = cli("score", "photos", "--cluster", *arguments)
    assert ran.code == 2
    assert said in ran.stderr


def test_without_ray_one_sentence_says_what_to_install(
    cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "ray.data", raising=False)
    ran = cli("score", "photos", "--cluster", "-o", tmp_path / "rows")
    assert ran.code == 2
    assert ran.stderr.count("\n") == 1
    assert ran.stderr.rstrip().endswith("pip install 'dgqa-infer[ray]'")
    assert not (tmp_path / "rows").exists()
