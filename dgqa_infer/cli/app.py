"""The program `dgqa-infer`: what it says of itself, and what becomes of an error that a command raises."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dgqa_infer.cli._commands import SETTINGS, Commands
from dgqa_infer.cli._errors import report

if TYPE_CHECKING:
    from dgqa_infer.pipeline.process import WorkerProcess

app = typer.Typer(
    name="dgqa-infer",
    cls=Commands,
    help="Blind image quality assessment: how good is this photograph, and what is wrong with it?",
    no_args_is_help=True,
    **(SETTINGS | {"add_completion": True}),
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"dgqa-infer {version('dgqa-infer')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Blind image quality assessment: how good is this photograph, and what is wrong with it?"""


def main(begun: WorkerProcess | None = None) -> None:
    """Run a command; end with the exit code that `ExitCode` documents.

    Args:
        begun: a process for whatever decodes first; None if none was begun yet.
    """
    try:
        app(obj=begun)
    except (Exception, KeyboardInterrupt) as error:
        sys.exit(report(error))
