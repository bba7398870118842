"""`dgqa-infer evaluate`: how well a bundle's scores agree with people's."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dgqa_infer.cli._errors import ExitCode, extra
from dgqa_infer.cli._options import (
    BatchSizeOption,
    DeviceOption,
    HigherIsBetterOption,
    JsonOption,
    ModelOption,
    PrecisionOption,
    Precisions,
    QuietOption,
    WorkersOption,
)
from dgqa_infer.cli._output import Output
from dgqa_infer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dgqa_infer.options import ScoringOptions
    from dgqa_infer.results import Failure
    from dgqa_training.datasets import LabelledSet
    from dgqa_training.evaluation.metrics import Comparison, Evaluation
    from dgqa_training.evaluation.of_bundle import Predictions, Report

_NAMED = 10
"""Images without a score that are named to a person; the JSON names all."""


def evaluate(
    public_set: Annotated[
        tuple[str, Path] | None,
        typer.Option(
            "--set", metavar="NAME ROOT", help="A public set, in its official layout, such as koniq10k."
        ),
    ] = None,
    labels: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="CSV FOLDER",
            help="Your own ratings, a table with the columns image and score, and the images' folder.",
        ),
    ] = None,
    higher_is_better: HigherIsBetterOption = None,
    model: ModelOption = "dgqa-lite0",
    versus: Annotated[
        str | None, typer.Option(metavar="NAME|DIR", help="A second model: is the first one better here?")
    ] = None,
    group_by: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Also each group apart: a column of the table, or distortion."),
    ] = None,
    group_by_prefix: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Groups by the first N letters of the file's name.")
    ] = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = Precisions.AUTO,
    batch_size: BatchSizeOption = 8,
    workers: WorkersOption = None,
    json: JsonOption = None,
    quiet: QuietOption = False,
) -> None:
    """Compare a model's scores with people's ratings.

    SRCC and KRCC say how well the order agrees, from −1 to 1, the same order; PLCC how well the values do,
    and RMSE by how much they differ, once a curve is fitted. Each has its 95 % interval. Ratings are
    used for nothing else. Needs the extra `evaluate`.

    Exit codes: 0 all images scored, 2 usage, 3 some could not be scored (the figures are the others'),
    4 none could.
    """
    out = Output(json=json, quiet=quiet)
    data = _labelled(public_set, labels, higher_is_better)
    with extra("evaluate"):
        from dgqa_training.evaluation import of_bundle as bundle_evaluation
    from dgqa_infer.options import ScoringOptions

    groups = _groups(data, group_by, group_by_prefix)
    options = ScoringOptions(device=device, precision=precision.value, batch_size=batch_size)
    names = [model] if versus is None else [model, versus]
    first, *others = _predict(names, data, options, workers, out)
    second = others[0] if others else None
    if len(first.failures) == len(data):
        _name(first.failures, len(data), out)
        raise typer.Exit(ExitCode.NOTHING_SCORED)
    report = bundle_evaluation.report(first, data, groups)
    document: dict[str, Any] = report.as_dict()
    if second is not None:
        difference = bundle_evaluation.versus(first, second, data)
        document["versus"] = {"model": second.model, "difference": difference.as_dict()}
    if out.json:
        out.document(document)
    else:
        out.table(_rows(report), title=f"{report.model} on {report.data} [95 % interval]")
        if second is not None:
            out.table(_versus(difference), title=f"{first.model} minus {second.model} [95 % interval]")
    if second is not None and out.json:
        out.note(f"{first.model} minus {second.model}: {difference}")
    _warn(report, data, out)
    raise typer.Exit(ExitCode.SOME_FAILED if first.failures else ExitCode.OK)


def _labelled(
    public_set: tuple[str, Path] | None, labels: tuple[Path, Path] | None, higher_is_better: bool | None
) -> LabelledSet:
    """The set that the options name."""
    with extra("evaluate"):
        from dgqa_training.datasets import load, read_table

    if public_set is not None and labels is None:
        if higher_is_better is not None:
            raise UsageError(f"the direction of {public_set[0]} is known; only --labels may be told one")
        return load(*public_set)
    if labels is not None and public_set is None:
        return read_table(*labels, higher_is_better)
    raise UsageError("say what to evaluate on: --set NAME ROOT, or else --labels CSV FOLDER")


def _groups(data: LabelledSet, column: str | None, letters: int | None) -> list[str] | None:
    from dgqa_training.evaluation import of_bundle as bundle_evaluation

    if column is not None and letters is not None:
        raise UsageError("--group-by and --group-by-prefix exclude each other")
    if column is not None:
        return bundle_evaluation.group_by_column(data.samples, column)
    return bundle_evaluation.group_by_prefix(data.samples, letters) if letters is not None else None


def _predict(
    names: Sequence[str], data: LabelledSet, options: ScoringOptions, workers: int | None, out: Output
) -> list[Predictions]:
    from dgqa_infer.scorer import Scorer
    from dgqa_training.evaluation import of_bundle as bundle_evaluation

    with ExitStack() as stack:
        scorers = [stack.enter_context(Scorer(name, options)) for name in names]
        out.note(scorers[0].unused_gpu)
        bar = stack.enter_context(out.progress("scoring", len(data.scores)))
        return bundle_evaluation.predict(scorers, data.samples, bar.advance, workers)


def _rows(report: Report) -> list[dict[str, Any]]:
    """Lines of the table: all images, then each group."""
    rows = [_row("all", report.pooled)]
    for name, group in report.groups.items():
        rows.append(_row(name, group) if group else dict.fromkeys(rows[0], "–") | {"group": name})
    return rows


def _versus(difference: Comparison) -> list[dict[str, Any]]:
    """The second table: by how much the first bundle agrees better with people."""
    figures = {"SRCC": difference.srcc, "KRCC": difference.krcc, "PLCC": difference.plcc}
    return [
        {
            "images": difference.images,
            **{name: str(figure) for name, figure in figures.items()},
            "ahead in": f"{difference.share_better:.0%} of draws",
        }
    ]


def _row(name: str, figures: Evaluation) -> dict[str, Any]:
    return {
        "group": name,
        "images": figures.images,
        "SRCC": str(figures.srcc),
        "KRCC": str(figures.krcc),
        "PLCC": str(figures.plcc),
        "PLCC mapped": str(figures.plcc_mapped),
        "RMSE": str(figures.rmse),
    }


def _warn(report: Report, data: LabelledSet, out: Output) -> None:
    _name(report.failures, len(data), out)
    if report.pooled.srcc.high < 0:
        falls = "higher" if data.facts.higher_is_better else "lower"
        out.warn(f"the scores fall as the labels improve; is {falls} really better in {report.data}?")


def _name(failures: Sequence[Failure], total: int, out: Output) -> None:
    """Count and name the images that have no score."""
    if failures:
        out.warn(f"{len(failures)} of {total} images could not be scored; no figure counts them")
    for failure in failures[:_NAMED]:
        out.warn(f"{failure.path}: {failure.message} ({failure.code})")
    if len(failures) > _NAMED:
        out.warn(f"… and {len(failures) - _NAMED} more; --json names all")
