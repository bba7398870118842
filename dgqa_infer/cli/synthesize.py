"""`dgqa-infer synthesize`: a folder of pristine photographs becomes a synthetic set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dgqa_infer import system
from dgqa_infer.cli._errors import ExitCode, extra
from dgqa_infer.cli._options import QuietOption
from dgqa_infer.cli._output import Output
from dgqa_infer.cli._type_lists import levels_of, types_of

if TYPE_CHECKING:
    from dgqa_training.labels.kadid_scores import KadidScores
    from dgqa_training.synthesis import Settings, SynthesisPlan, Written


def synthesize(
    pristine: Annotated[
        Path,
        typer.Argument(
            metavar="PRISTINE", help="Folder of undistorted photographs; folders in it are not read."
        ),
    ],
    out: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="Folder for the set: new, empty, or begun with these settings."),
    ],
    types: Annotated[
        str, typer.Option(help="Distortion types: numbers, ranges or names, such as 1,3,10 or 1-5,jpeg.")
    ] = "1-25",
    levels: Annotated[str, typer.Option(help="Levels, such as 4,5.")] = "1-5",
    per_image: Annotated[
        Literal["all", "one"],
        typer.Option(
            help="all: every photograph gets every type, in KADID-10k's layout. one: every photograph gets"
            " one type at five levels, in KADIS-700k's."
        ),
    ] = "all",
    labels: Annotated[
        Literal["kadid-mean", "kadid-quantile"],
        typer.Option(
            help="Scores in dmos.csv. kadid-mean: what KADID-10k's raters gave the type and level on average."
            " kadid-quantile: their range of scores, in the order of a full-reference metric (slower)."
        ),
    ] = "kadid-mean",
    kadid_scores: Annotated[
        Path | None,
        typer.Option(help="KADID-10k's dmos.csv, instead of the summary of it that is built in."),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of all that is random; the same seed gives the same set.")
    ] = 0,
    short_side: Annotated[
        int | None, typer.Option(min=1, help="First shrink photographs to this short side, in pixels.")
    ] = None,
    contact_sheet: Annotated[
        bool, typer.Option("--contact-sheet", help="Also draw a page of all images for each photograph.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes that distort; the set is the same for any number.",
            show_default="one a core",
        ),
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Make distorted copies of undistorted photographs: KADID-10k's 25 types of distortion at 5 levels.

    Interrupted, the same command goes on where it was. Type 15 (denoise) is approximate.

    Exit codes: 0 the set is written, 2 usage, 3 it is written but some photographs were left out,
    130 interrupted.
    """
    with extra("train"):
        from dgqa_training import synthesis
        from dgqa_training.labels import kadid_scores as kadid

    output = Output(quiet=quiet)
    settings = synthesis.Settings(
        types=types_of(types),
        levels=levels_of(levels),
        per_image=per_image,
        seed=seed,
        labels=labels,
        short_side=short_side,
    )
    scores = None if kadid_scores is None else kadid.read(kadid_scores)
    try:
        plan, written = _make(
            output, pristine, out, settings, scores, contact_sheet, workers or system.cores()
        )
    except KeyboardInterrupt:
        output.note("interrupted; what is written is whole, and the same command goes on from here")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    output.note(
        f"{out}: {written.images:,} images of {len(plan.references):,} photographs,"
        f" {written.made:,} of them made now"
    )
    if plan.skipped:
        raise typer.Exit(ExitCode.SOME_FAILED)


def _make(
    output: Output,
    pristine: Path,
    out: Path,
    settings: Settings,
    scores: KadidScores | None,
    contact_sheet: bool,
    workers: int,
) -> tuple[SynthesisPlan, Written]:
    from dgqa_training import synthesis

    with synthesis.workers(workers) as run:
        with output.progress("looking at photographs") as bar:
            plan = synthesis.plan_set(pristine, settings, run, bar.advance)
        for name, reason in plan.skipped.items():
            output.warn(f"{name} is left out: {reason}")
        with output.progress("distorting", plan.image_count) as bar:
            written = synthesis.write_set(plan, out, run, scores=scores, advance=bar.advance)
        if contact_sheet:
            with output.progress("drawing contact sheets", len(plan.references)) as bar:
                synthesis.write_sheets(plan, out, run, bar.advance)
    return plan, written
