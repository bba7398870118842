"""docs/cli.md is what the program says of itself."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import typer

from dgqa_infer.cli.app import app

WRITE = (
    "python -m typer dgqa_infer.cli.app utils docs --name dgqa-infer"
    " --title 'Command-line reference' --output docs/cli.md"
)


def test_the_reference_is_the_programs(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    command = [sys.executable, *shlex.split(WRITE)[1:]]
    # Help is wrapped to the terminal in places; here there is none.
    subprocess.run(command, cwd=tmp_path, env=os.environ | {"COLUMNS": "80"}, check=True, capture_output=True)
    now = (tmp_path / "docs" / "cli.md").read_text(encoding="utf-8")
    kept = (repository / "docs" / "cli.md").read_text(encoding="utf-8")
    assert kept == now, f"a command has changed; in the checkout run: {WRITE}"


def test_contributors_are_told_how_to_write_it(repository: Path) -> None:
    assert WRITE in (repository / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_it_has_every_command(repository: Path) -> None:
    group: Any = typer.main.get_command(app)
    text = (repository / "docs" / "cli.md").read_text(encoding="utf-8")
    names = []
    for name, command in group.commands.items():
        names += [f"{name} {each}" for each in getattr(command, "commands", ())] or [name]
    assert len(names) >= 13
    for name in names:
        assert f"## `dgqa-infer {name}`\n" in text
