"""`dgqa-infer evaluate`: how well a bundle's scores agree with people's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dgqa_infer.cli._errors import ExitCode, extra
from dgqa_infer.cli._options import DeviceOption, JsonOption, ModelOption, QuietOption
from dgqa_infer.cli._output import Output
from dgqa_infer.errors import UsageError

if TYPE_CHECKING:
    from dgqa_infer.results import Failure, Result
    from dgqa_training.datasets import LabelledSet, Sample
    from dgqa_training.evaluation import Evaluation

_NAMED = 10
"""Unreadable images that are named to a person; the JSON names all."""


def evaluate(
    set: Annotated[
        tuple[str, Path] | None,
        typer.Option(metavar="NAME ROOT", help="A public set in its official layout, such as koniq10k."),
    ] = None,
    labels: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="CSV FOLDER", help="Your own ratings: a table of image and score, and the images."
        ),
    ] = None,
    higher_is_better: Annotated[
        bool | None,
        typer.Option("--higher-is-better/--lower-is-better", help="Direction of the scores of --labels."),
    ] = None,
    model: ModelOption = "dgqa-lite0",
    versus: Annotated[
        str | None,
        typer.Option(metavar="NAME|DIR", help="A second bundle: is the first better on these images?"),
    ] = None,
    group_by: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Also evaluate each group apart: a column of the table, or distortion."
        ),
    ] = None,
    group_by_prefix: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="The same, by the first N letters of the file's name."),
    ] = None,
    device: DeviceOption = "auto",
    json: JsonOption = None,
    quiet: QuietOption = False,
) -> None:
    """Compare a bundle's scores with people's: SRCC, KRCC, PLCC and RMSE, with 95 % intervals.

    The model sees each photograph as it does in `score`; labels only evaluate. Exit codes: 0 all images scored, 2 usage,
    3 some unreadable (the figures are those of the others), 4 none could be scored.
    """
    out = Output(json=json, quiet=quiet)
    if (set is None) == (labels is None):
        raise UsageError("say what to evaluate on: either --set NAME ROOT or --labels CSV FOLDER")
    if group_by is not None and group_by_prefix is not None:
        raise UsageError("--group-by and --group-by-prefix exclude each other")
    if set is not None and higher_is_better is not None:
        raise UsageError(
            f"the direction of {set[0]} is known; --higher-is-better and its opposite are for --labels"
        )
    with extra("train"):
        from dgqa_training.datasets import load, read_table
    loaded = load(*set) if set is not None else read_table(*labels, higher_is_better)  # type: ignore[misc]
    opinions = loaded.scores.tolist()
    groups = _groups(loaded.samples, group_by, group_by_prefix)

    results = _score(model, loaded, device, out)
    rivals = _score(versus, loaded, device, out) if versus is not None else None
    scored = [
        index
        for index in range(len(loaded))
        if _raw(results[index]) is not None and (rivals is None or _raw(rivals[index]) is not None)
    ]
    failures = _failures(results if rivals is None else [*results, *rivals])
    _tell(failures, len(loaded), out)
    if not scored:
        raise typer.Exit(ExitCode.NOTHING_SCORED)
    report = _Report(
        loaded,
        [opinions[index] for index in scored],
        [groups[index] for index in scored] if groups else None,
    )
    document = report.of(results[0].model, [_raw(results[index]) for index in scored], out)
    document["unreadable"] = [failure.row() for failure in failures]
    if rivals is not None:
        ...
