"""The keys of stores reach the processes that decode only where an input is an address, for every command."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bad_decoder import commented

from dgqa_infer import Scorer
from dgqa_infer.cli import bench
from dgqa_infer.results import Failure

# In the place of simplejpeg: where it sees the key, its photograph fails.
LOOKS = """
import os

def decode_jpeg(data, **options):
    if "AWS_SECRET_ACCESS_KEY" in os.environ:
        raise KeyError("a key is here")
    raise ValueError("could not determine subsampling: not for this decoder")
"""

Cli = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "simplejpeg.py").write_text(LOOKS)
    monkeypatch.syspath_prepend(tmp_path / "path")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    commented(tmp_path / "photos", "", "", "", side=300)
    return tmp_path / "photos"


@pytest.fixture
def address(folder: Path) -> str:
    """Of a photograph in an archive: an address as any other, and it needs no network."""
    with zipfile.ZipFile(folder.parent / "photos.zip", "w") as archive:
        archive.write(folder / "0.jpg", "0.jpg")
    return f"zip://0.jpg::{folder.parent / 'photos.zip'}"


def score(cli: Cli, name: object, bundle: Path) -> list[Any]:
    ran = cli("score", name, "--model", bundle, "--device", "cpu", "--workers", 1)
    return [row for row in ran.rows if "error" in row]


def select(cli: Cli, name: object, _: Path) -> list[Any]:
    ran = cli("select", name, "--device", "cpu", "--workers", 1, "--json")
    return json.loads(ran.stdout)["unreadable"] if ran.stdout else [ran.stderr]


def adapt(cli: Cli, name: object, bundle: Path) -> list[Any]:
    out = Path(tempfile.mkdtemp(dir=bundle.parent)) / "mine"
    ran = cli("adapt", name, "--out", out, "--types", "1,3,10", "--device", "cpu", "--workers", 1, "--json")
    return json.loads(ran.stdout)["unreadable"] if ran.stdout else [ran.stderr]


def measure(cli: Cli, name: object, bundle: Path) -> list[Any]:
    ran = cli("bench", name, "--model", bundle, "--workers", 1, "--json")
    return [] if ran.code == 0 else [ran.stderr]


@pytest.mark.parametrize("command", [score, select, adapt, measure])
def test_only_a_run_that_is_given_an_address_has_them(
    command: Callable[[Cli, object, Path], list[Any]],
    cli: Cli,
    folder: Path,
    address: str,
    tiny_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bench, "_measured", lambda *_: ())
    assert command(cli, folder, tiny_bundle) == []
    assert command(cli, address, tiny_bundle) != []


def test_a_report_of_files_has_none(cli: Cli, folder: Path, tiny_bundle: Path) -> None:
    rows, page = folder.parent / "rows.jsonl", folder.parent / "page.html"
    cli("score", folder, "--model", tiny_bundle, "--device", "cpu", "--workers", 1, "-o", rows)
    assert cli("report", rows, "-o", page).code == 0
    assert page.read_text().count("data:image/webp") >= 3


def test_an_evaluation_has_none(cli: Cli, folder: Path, tiny_bundle: Path) -> None:
    table = folder.parent / "labels.csv"
    table.write_text("image,mos\n" + "".join(f"{number}.jpg,{number}\n" for number in range(3)))
    arguments = ("--labels", table, folder, "--device", "cpu", "--workers", 1, "--json")
    assert json.loads(cli("evaluate", *arguments, "--model", tiny_bundle).stdout)["unreadable"] == []


def test_the_library_tells_files_from_addresses_too(folder: Path, address: str, tiny_bundle: Path) -> None:
    with Scorer(tiny_bundle, device="cpu") as scorer:
        local = list(scorer.score_files([folder], workers=1))
        named = list(scorer.score_files([address], workers=1))
        later = list(scorer.score_files(iter([folder]), workers=1))
    assert [isinstance(result, Failure) for result in local] == [False] * 3
    assert [isinstance(result, Failure) for result in named] == [True]
    assert [isinstance(result, Failure) for result in later] == [True] * 3, "what comes may be an address"
