"""`dgqa-infer select`: which distortion types do these photographs resemble?"""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dgqa_infer.cli._errors import ExitCode, report
from dgqa_infer.cli._files import check_outputs
from dgqa_infer.cli._options import (
    DeviceOption,
    FollowLinksOption,
    JsonOption,
    ModelBatchSizeOption,
    ModelOption,
    OverwriteOption,
    QuietOption,
    WorkersOption,
    output_path,
)
from dgqa_infer.cli._output import Output
from dgqa_infer.errors import ModelError, UsageError

if TYPE_CHECKING:
    from dgqa_infer.domains.profile import DomainProfile
    from dgqa_infer.results import Failure
    from dgqa_training.selection.votes import DomainSelection

_DEFAULT = "dgqa-lite0"


class Crops(StrEnum):
    """Where a photograph is looked at."""

    GRID = "grid"
    RANDOM = "random"


def select(
    paths: Annotated[list[str], typer.Argument(metavar="PHOTOS...", help="Folders, photographs, patterns.")],
    model: ModelOption = _DEFAULT,
    device: DeviceOption = "auto",
    against: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|DIR",
            help="Also say how far these are from the photographs that this model was trained for.",
        ),
    ] = None,
    crops: Annotated[
        Crops,
        typer.Option(help="The fixed grid of the model, or the authors' random crops without shrinking."),
    ] = Crops.GRID,
    seed: Annotated[int, typer.Option(min=0, help="Seed of --crops random.")] = 123,
    chart: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            parser=output_path,
            help="Also draw the types' shares of the votes, and the threshold.",
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    json: JsonOption = None,
    recursive: Annotated[bool, typer.Option(help="Look into folders within folders.")] = True,
    follow_links: FollowLinksOption = False,
    include: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Only files whose names match. May be repeated.")
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Leave out files and folders whose names match. May be repeated."),
    ] = None,
    batch_size: ModelBatchSizeOption = 8,
    workers: WorkersOption = None,
    quiet: QuietOption = False,
) -> None:
    """Say which of the 25 distortion types resemble these photographs: the ones to train on for them.

    A classifier says what each photograph resembles; the four likeliest of the types and "pristine" are its
    votes. A type's score is its votes divided by three times the number of photographs, and from 0.04 on,
    rounded to two decimals, it is selected (DGQA's rule). No ratings are needed.

    Exit codes: 0 all photographs counted, 2 usage, 3 some could not be read (the others are counted),
    4 none could.
    """
    out = Output(json=json, quiet=quiet)
    if against is not None:
        if crops is Crops.RANDOM or model not in (_DEFAULT, against):
            raise UsageError(
                "--against looks with the bundle's own classifier and crops; leave out the others"
            )
        model = against
    check_outputs(chart, overwrite=overwrite)
    from dgqa_infer.cli._domain_votes import Vote, count_votes, no_votes
    from dgqa_infer.domains.classifier import DomainClassifier
    from dgqa_infer.domains.drift import drift
    from dgqa_infer.inputs.addresses import may_be_addresses
    from dgqa_infer.inputs.finder import InputFinder
    from dgqa_infer.pipeline.pipeline import Pipeline

    files = InputFinder(include or (), exclude or (), recursive, follow_links)
    target = None if against is None else _target(against)
    with (
        DomainClassifier(model, device=device, batch_size=batch_size) as classifier,
        Pipeline(
            classifier,
            workers=workers,
            seed=seed if crops is Crops.RANDOM else None,
            addresses=may_be_addresses(paths),
        ) as pipeline,
    ):
        out.note(classifier.unused_gpu)
        vote = Vote()
        count_votes(pipeline.run(files.find(paths)), vote, out)
    if passed_over := sum(files.passed_over.values()):
        out.note(f"{passed_over:,} other entries of the folders were passed over")
    if not vote.profile.photos:
        report(no_votes(vote, paths))
        raise typer.Exit(ExitCode.NOTHING_SCORED)
    selection, failures = vote.selection(), vote.failures
    drifted = None if target is None else drift(vote.profile, target)
    if out.json:
        basis = {"model": classifier.model_id, "crops": crops.value}
        drawn = {"seed": seed} if crops is Crops.RANDOM else {}
        compared = {} if drifted is None else {"drift": drifted.as_json()}
        out.document(_document(selection, failures) | basis | drawn | compared)
    else:
        title = f"Domain profile of {selection.photos:,} photographs ({classifier.model_id}, {crops.value})"
        out.table(_rows(selection, target), title=title)
    if chart is not None:
        _draw(chart, selection, overwrite=overwrite)
    _comment(selection, out)
    if drifted is not None:
        (out.warn if drifted.far else out.note)(drifted.sentence(classifier.bundle.card.name))
    raise typer.Exit(ExitCode.SOME_FAILED if failures else ExitCode.OK)


def _document(selection: DomainSelection, failures: list[Failure]) -> dict[str, Any]:
    def by_class(values: tuple[Any, ...]) -> dict[str, Any]:
        return {str(number): value for number, value in enumerate(values)}

    return {
        "photos": selection.photos,
        "scores": by_class(tuple(round(score, 6) for score in selection.scores)),
        "selected": list(selection.selected),
        "votes": by_class(selection.votes),
        "intervals": by_class(tuple([round(low, 6), round(high, 6)] for low, high in selection.intervals)),
        "undecided": list(selection.undecided),
        "reliable": selection.reliable,
        "rule": asdict(selection.rule),
        "unreadable": [
            {"path": failure.path, "code": failure.code, "message": failure.message} for failure in failures
        ],
    }


def _target(name: str) -> DomainProfile:
    """Domain profile of the photographs that a bundle was trained for."""
    from dgqa_infer.bundle.bundle import Bundle
    from dgqa_infer.domains.classes import require_kadid
    from dgqa_infer.domains.profile import DomainProfile

    card = Bundle.load(name).card
    require_kadid(card.domains, card.name)
    profile = DomainProfile.from_card(card.domains.profile) if card.domains else None
    if profile is None:
        raise ModelError(
            f"{card.name} was made for no photographs in particular, so nothing can be far from them; name a "
            "bundle that `dgqa-infer adapt` made with --against, or leave it out"
        )
    return profile


def _rows(selection: DomainSelection, target: DomainProfile | None) -> list[dict[str, Any]]:
    """Lines of the table, the highest score first."""
    from dgqa_infer.domains.classes import WORDS

    scores: Any = () if target is None else target.votes / (selection.rule.counted * target.photos)
    classes = list(zip(WORDS.values(), selection.scores, selection.intervals, strict=True))
    return [
        {
            "#": str(number),
            "looks like": words,
            "score": f"{score:.4f}",
            "95 %": f"{low:.4f}–{high:.4f}",
            "selected": "yes" if number in selection.selected else "",
        }
        | ({} if target is None else {"trained for": f"{scores[number]:.4f}"})
        for number, (words, score, (low, high)) in sorted(enumerate(classes), key=lambda each: -each[1][1])
    ]


def _draw(path: Path, selection: DomainSelection, *, overwrite: bool) -> None:
    from dgqa_infer.atomic import whole_file
    from dgqa_infer.inputs.own_pictures import png_mark
    from dgqa_training.selection.chart import chart

    with whole_file(path, overwrite=overwrite) as file:
        chart(selection).save(file, "PNG", pnginfo=png_mark())


def _comment(selection: DomainSelection, out: Output) -> None:
    """What a careful reader should know, on stderr."""
    types = ",".join(map(str, selection.selected))
    out.note(f"{selection.photos:,} photographs select the types {types or 'none'}")
    if selection.reliable:
        return
    doubtful = ", ".join(map(str, selection.undecided)) or "none"
    out.warn(
        f"only {selection.photos} photographs: the selection is unreliable; by the 95 % intervals, more "
        f"photographs of this kind might add or drop the types: {doubtful}"
    )
