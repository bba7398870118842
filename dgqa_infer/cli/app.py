"""The program `dgqa-infer`: registers the commands and catches what they raise."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from dgqa_infer.cli._cluster import ScoreCommand
from dgqa_infer.cli._errors import report
from dgqa_infer.cli.adapt import adapt
from dgqa_infer.cli.bench import bench
from dgqa_infer.cli.doctor import doctor
from dgqa_infer.cli.evaluate import evaluate
from dgqa_infer.cli.export import export
from dgqa_infer.cli.models import models
from dgqa_infer.cli.report import report as report_command
from dgqa_infer.cli.score import score
from dgqa_infer.cli.select import select
from dgqa_infer.cli.synthesize import synthesize
from dgqa_infer.cli.train import train

app = typer.Typer(
    name="dgqa-infer",
    help="Blind image quality assessment: how good is this photograph, and what is wrong with it?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Rich would make the help prettier and take half of its time.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
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


app.command("score", cls=ScoreCommand)(score)
app.command("report")(report_command)
app.command("evaluate")(evaluate)
app.command("adapt")(adapt)
app.command("export")(export)
app.command("bench")(bench)
app.command("doctor")(doctor)
app.command("models")(models)
app.command("synthesize")(synthesize)
app.command("select")(select)
app.add_typer(train, name="train")


def main() -> None:
    """Run the program; end with the exit code that `ExitCode` documents."""
    try:
        app()
    except (Exception, KeyboardInterrupt) as error:
        sys.exit(report(error))
