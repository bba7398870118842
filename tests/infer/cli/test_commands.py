from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
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


def number_options() -> list[tuple[str, Any, Any]]:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    every = [*commands.items(), *commands["train"].commands.items()]
    return [
        (f"{name} {option.opts[0]}", command, option)
        for name, command in every
        for option in command.params
        if option.type.name in ("float", "float range")
    ]


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_no_option_for_a_number_takes_what_is_none(value: str) -> None:
    options = number_options()
    assert "compare --max-drop" in [name for name, _, _ in options]
    for name, command, option in options:
        with command.make_context(name, ["--help"], resilient_parsing=True) as context:
            context.resilient_parsing = False
            with pytest.raises(typer.BadParameter):
                pytest.fail(f"{name} takes {option.process_value(context, value)}")


def test_help_imports_no_command() -> None:
    heavy = {f"dgqa_infer.cli.{name}" for name in SUMMARIES} | {"numpy", "dgqa_infer.bundle.bundle"}
    code = (
        "import sys; from dgqa_infer.cli.app import app; app(['--help'], standalone_mode=False); "
        f"print(sorted(set(sys.modules) & {heavy!r}))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "[]"
    assert all(f"  {name}  " in said for name in SUMMARIES)


def test_the_package_is_the_program(tiny_bundle: Path, photos: Path) -> None:
    command = [sys.executable, "-m", "dgqa_infer"]
    ran = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert ran.stdout.split()[-1] == version("dgqa-infer")
    arguments = ["score", str(photos), "--model", str(tiny_bundle), "--device", "cpu", "--workers", "1"]
    ran = subprocess.run([*command, *arguments], capture_output=True, text=True, check=True)
    assert all(json.loads(line)["path"].startswith(str(photos)) for line in ran.stdout.splitlines())
    assert ran.stdout
    wrong = subprocess.run([*command, "scor"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands_and_options(shell: str) -> None:
    """As the script that `--show-completion` prints asks for it."""

    def completed(words: str) -> list[str]:
        asked = {
            "_DGQA_INFER_COMPLETE": f"complete_{shell}",
            **({"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))} if shell == "bash" else {}),
            "_TYPER_COMPLETE_ARGS": words,
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        }
        ran = subprocess.run(
            ["dgqa-infer"],
            env=os.environ | asked | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.stderr == ""
        return ran.stdout.splitlines()

    assert any("score-cluster" in line for line in completed("dgqa-infer sc"))
    assert not any("models" in line for line in completed("dgqa-infer sc"))
    assert any("--worst" in line for line in completed("dgqa-infer score --wo"))
