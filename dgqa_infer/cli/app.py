"""The program `dgqa-infer`: what it says of itself, and what becomes of an error that a command raises."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dgqa_infer.cli._commands import SETTINGS, Commands
from dgqa_infer.cli._errors import ExitCode, report
from dgqa_infer.cli._streams import writing_stream
from dgqa_infer.errors import OutputError
from dgqa_infer.patience import calls_left

if TYPE_CHECKING:
    from dgqa_infer.pipeline.process import WorkerProcess

app = typer.Typer(
    name="dgqa-infer",
    cls=Commands,
    help="Score photographs from 0 to 100, without reference pictures, and say what is wrong with each.",
    no_args_is_help=True,
    **(SETTINGS | {"add_completion": True}),
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        with writing_stream():
            print(f"dgqa-infer {version('dgqa-infer')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Score photographs from 0 to 100, without reference pictures, and say what is wrong with each."""


def main(begun: WorkerProcess | None = None) -> None:
    """Run a command; end with the exit code that `ExitCode` documents.

    Args:
        begun: a process for whatever decodes first; None if none was begun yet.
    """
    code: object = None
    try:
        app(obj=begun)
    except SystemExit as end:
        code = end.code
    except (Exception, KeyboardInterrupt) as error:
        code = report(error)
    try:
        # What is in the buffer would else be written when nobody can be told any more that it could not.
        with writing_stream():
            sys.stdout.flush()
    except (OutputError, BrokenPipeError) as error:
        code = code or report(error)
    if code == ExitCode.INTERRUPTED and calls_left():
        # A model without end is at work: an orderly end would take it apart meanwhile.
        os._exit(ExitCode.INTERRUPTED)
    sys.exit(code)  # type: ignore[arg-type]
