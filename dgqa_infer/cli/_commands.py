"""The commands, each imported when it is asked for: help comes at once, scoring waits for no other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

SUMMARIES = {
    "score": "Score photographs: one row for each.",
    "serve": "Score photographs over HTTP.",
    "score-cluster": "Score photographs on a Ray cluster.",
    "report": "Make a page of a run's rows: one HTML file.",
    "compare": "Compare two sets of the same scenes: old and new.",
    "pick": "Copy, link or move photographs by their scores.",
    "rate": "Write scores as stars into XMP sidecars.",
    "evaluate": "Compare a model's scores with people's ratings.",
    "adapt": "Make a model for your photographs; no ratings needed.",
    "export": "Write a model as ONNX, in int8, or as a TensorRT engine.",
    "bench": "Measure speed, memory and start-up on this machine.",
    "doctor": "Show runtimes, devices and versions, and what works.",
    "models": "List the built-in models and cached TensorRT engines.",
    "synthesize": "Make distorted copies of good photographs, to train on.",
    "select": "Say which kinds of distortion photographs resemble.",
    "train": "Train a model, or the classifier that names faults.",
}
"""Command → what it does, in words that fit into a line of 80 columns."""

_VALUES = {"int": "N", "integer": "N", "float": "N", "str": "TEXT", "text": "TEXT", "path": "PATH"}

SETTINGS: dict[str, Any] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    # Rich would make the help prettier and take half of its time.
    "rich_markup_mode": None,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}


def _name_values(command: Any) -> None:
    """Call what an option takes N, TEXT or PATH in help, not "<int range>"."""
    for each in getattr(command, "commands", {}).values():
        _name_values(each)
    for option in command.params:
        kind = option.type.name.partition(" ")[0]
        if option.metavar is None and option.param_type_name == "option":
            option.metavar = _VALUES.get(kind)


class _Commands(Mapping[str, Any]):
    """Name → command; `dgqa_infer.cli.NAME`, with underscores, has a function or a group of this name.

    Where the module has a `COMMAND`, the command is of that class.
    """

    def __getitem__(self, name: str) -> Any:
        summary = SUMMARIES[name]
        own = name.replace("-", "_")
        module = import_module(f"dgqa_infer.cli.{own}")
        found = getattr(module, own)
        if not isinstance(found, typer.Typer):
            alone = typer.Typer(**SETTINGS)
            alone.command(name, cls=getattr(module, "COMMAND", None))(found)
            found = alone
        command = get_command(found)
        command.name, command.short_help = name, summary
        _name_values(command)
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(SUMMARIES)

    def __len__(self) -> int:
        return len(SUMMARIES)


class Commands(TyperGroup):
    """The program's group of commands."""

    def __init__(self, **settings: Any) -> None:
        """As Typer makes its groups."""
        super().__init__(**settings)
        self.commands: Any = _Commands()

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 (it is called so)
        """Their names, in the order of the help."""
        return list(SUMMARIES)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write the help's list, without the commands themselves."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))
