from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import typer

from dgqa_infer.cli._commands import SUMMARIES
from dgqa_infer.cli.app import app

COLUMNS = 80


@pytest.fixture(scope="module")
def group() -> Any:
    return typer.main.get_command(app)


@pytest.mark.parametrize("name", SUMMARIES)
def test_every_command_that_the_help_lists_is_there(group: Any, name: str) -> None:
    command = group.commands[name]
    assert command.name == name
    assert command.get_short_help_str(limit=COLUMNS) == SUMMARIES[name]


def test_every_summary_fits_into_a_line_of_a_terminal() -> None:
    margin = 4 + max(map(len, SUMMARIES))
    assert all(margin + len(summary) < COLUMNS for summary in SUMMARIES.values())


def test_a_mistyped_command_is_answered_with_one_that_is_there(cli: Any) -> None:
    ran = cli("scroe", "photos")
    assert ran.code == 2
    assert "Did you mean 'score'" in ran.stderr


def test_help_imports_no_command() -> None:
    heavy = {f"dgqa_infer.cli.{name}" for name in SUMMARIES} | {"numpy", "dgqa_infer.bundle.bundle"}
    code = (
        "import sys; from dgqa_infer.cli.app import app; app(['--help'], standalone_mode=False); "
        f"print(sorted(set(sys.modules) & {heavy!r}))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "[]"
    assert all(f"  {name}  " in said for name in SUMMARIES)
