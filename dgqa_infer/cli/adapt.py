"""`dgqa-infer adapt`: a bundle for your photographs, without ratings."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dgqa_infer.cli._errors import ExitCode, extra, report
from dgqa_infer.cli._options import (
    DeviceOption,
    HigherIsBetterOption,
    JsonOption,
    ModelBatchSizeOption,
    ModelOption,
    QuietOption,
    WorkersOption,
    output_path,
)
from dgqa_infer.cli._output import Output
from dgqa_infer.cli._type_lists import types_of
from dgqa_infer.errors import UsageError

if TYPE_CHECKING:
    from dgqa_export.adaptation.adaptation import Adapted, Rated
    from dgqa_export.adaptation.survey import Survey
    from dgqa_infer.cli._domain_votes import Vote, VoteFile
    from dgqa_infer.domains.classifier import DomainClassifier


_FEW = 50  # photographs below which there is a warning


class Rule(StrEnum):
    """How distortion types are chosen, see `dgqa_export.adaptation.adaptation.Rule`."""

    AGREEMENT = "agreement"
    RESEMBLANCE = "resemblance"


def adapt(
    paths: Annotated[list[str], typer.Argument(metavar="PHOTOS...", help="Folders, photographs, patterns.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            parser=output_path,
            metavar="DIR",
            help="Folder of the model that is written; a model that is there is replaced.",
        ),
    ] = Path("adapted"),
    model: ModelOption = "dgqa-lite0",
    moments: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.npz",
            help="Statistics that `train moments` made of undistorted photographs of yours.",
            show_default="those that come with the package",
        ),
    ] = None,
    types: Annotated[
        str | None,
        typer.Option(
            help="Train on these distortion types: numbers, ranges or names, such as 1,3,10 or 1-5,jpeg.",
            show_default="those that --choose-by chooses",
        ),
    ] = None,
    choose_by: Annotated[
        Rule,
        typer.Option(
            help="Train on types whose judgements of the photographs agree, or on those that they resemble."
        ),
    ] = Rule.AGREEMENT,
    labels: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Your ratings of some of them: sets the scale of the scores."),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(
            metavar="WORST:BEST", help="Ends of the ratings' scale.", show_default="least and greatest rating"
        ),
    ] = None,
    higher_is_better: HigherIsBetterOption = None,
    finetune: Annotated[
        bool, typer.Option("--finetune", help="Let --labels change the ranking, where that helps.")
    ] = False,
    device: DeviceOption = "auto",
    batch_size: ModelBatchSizeOption = 8,
    workers: WorkersOption = None,
    json: JsonOption = None,
    quiet: QuietOption = False,
) -> None:
    """Make a model for these photographs: choose distortion types by them, and train on those alone.

    No photograph needs a rating. Interrupted, the same command goes on where it was.

    Exit codes: 0 the model is written, 2 usage, 3 it is written but some photographs could not be read,
    4 none could.
    """
    output = Output(json=json, quiet=quiet)
    if (scale or finetune or higher_is_better is not None) and labels is None:
        raise UsageError("--scale, --higher-is-better, --lower-is-better and --finetune go with --labels CSV")
    if labels is not None and (len(paths) != 1 or not Path(paths[0]).is_dir()):
        raise UsageError("--labels names photographs in one folder; give that folder alone")
    with extra("export"):
        from dgqa_export.adaptation import adaptation
    from dgqa_infer.bundle.bundle import Bundle
    from dgqa_infer.cli._domain_votes import no_votes
    from dgqa_infer.domains.classifier import DomainClassifier

    choice = adaptation.Choice(() if types is None else types_of(types), choose_by.value)
    bundle = Bundle.load(model)
    known = adaptation.moments_for(bundle, moments)
    rated = None
    if labels is not None:
        rated = adaptation.rated(
            labels, Path(paths[0]), scale, higher_is_better=higher_is_better, finetune=finetune
        )
    adaptation.refuse_unwritable(out)
    with DomainClassifier(bundle, device=device, batch_size=batch_size) as classifier:
        output.note(classifier.unused_gpu)
        survey, vote, file = _survey(classifier, paths, out, rated, workers, output)
    if not vote.profile.photos:
        report(no_votes(vote, paths))
        raise typer.Exit(ExitCode.NOTHING_SCORED)
    with output.progress("training and verifying"):
        adapted = adaptation.adapt(bundle, vote.profile, known, out, survey, choice, rated)
    file.remove()
    _tell(adapted, vote, paths, output)
    raise typer.Exit(ExitCode.SOME_FAILED if vote.failures else ExitCode.OK)


def _survey(
    classifier: DomainClassifier,
    paths: list[str],
    out: Path,
    rated: Rated | None,
    workers: int | None,
    output: Output,
) -> tuple[Survey, Vote, VoteFile]:
    """Look at every photograph once; votes are taken up where an earlier call was broken off."""
    from dgqa_export.adaptation.survey import Survey, SurveyPredictor
    from dgqa_export.graphs.head import FeatureReader
    from dgqa_infer.bundle.bundle import QUALITY_GRAPH
    from dgqa_infer.cli._domain_votes import Vote, VoteFile, count_votes
    from dgqa_infer.inputs.addresses import may_be_addresses
    from dgqa_infer.inputs.finder import InputFinder
    from dgqa_infer.pipeline.pipeline import Pipeline

    found = list(InputFinder().find(paths))
    file = VoteFile.beside(out, paths, len(found), classifier)
    vote = file.load() or Vote()
    if vote.photographs:
        output.note(f"going on after {vote.photographs:,} photographs, which {file.path} remembers")
    survey = Survey(found, rated.paths if rated is not None else (), vote.photographs)
    reader = FeatureReader(classifier.bundle.graph_bytes(QUALITY_GRAPH))
    predictor = SurveyPredictor(classifier, reader, survey)
    with Pipeline(predictor, workers=workers, addresses=may_be_addresses(paths)) as pipeline:
        count_votes(survey.votes(pipeline), vote, output, len(found), file.save)
    return survey, vote, file


def _tell(adapted: Adapted, vote: Vote, paths: list[str], output: Output) -> None:
    if output.json:
        output.document(adapted.record() | {"unreadable": [failure.row() for failure in vote.failures]})
    else:
        output.table(
            _rows(adapted), title=f"{adapted.bundle.model_id}, for {vote.profile.photos:,} photographs"
        )
    if not adapted.selection.reliable:
        output.warn(
            f"only {vote.profile.photos} photographs: too few to tell which types agree, and the selection "
            "of those that they resemble is unreliable"
        )
    elif vote.profile.photos < _FEW:
        output.warn(
            f"only {vote.profile.photos} photographs: below {_FEW} another sample may choose other types"
        )
    if adapted.finetuned is not None and not adapted.finetuned.helped:
        output.warn(
            f"the ratings were left out of the ranking: with them it agrees no better with ratings that it "
            f"has not seen ({adapted.finetuned.after:.3f}, without {adapted.finetuned.before:.3f})"
        )
    if adapted.srcc is None:
        output.note(
            "nothing here can tell whether it agrees better with people than the model before: rate some 50 "
            "photographs and run dgqa-infer evaluate with --versus, or adapt again with --labels"
        )
    where = " ".join(paths)
    output.note(f"use it with: dgqa-infer score {where} --model {adapted.bundle.path}")


def _rows(adapted: Adapted) -> list[dict[str, Any]]:
    from dgqa_infer.domains.classes import WORDS

    words, scores = list(WORDS.values()), adapted.selection.scores
    if adapted.types is None:
        why, values = "share of the votes", scores
    else:
        why, values = "agreement", (0.0, *adapted.types.values)
    rows = [
        {"": f"trained on {kind}", "what": f"{words[kind]}: {why}", "value": f"{values[kind]:.3f}"}
        for kind in adapted.bundle.card.training["types"]
    ]
    rows.append({"": "order kept", "what": "SRCC with the model before", "value": f"{adapted.kept:.3f}"})
    rows.append({"": "verified", "what": "largest difference of raw", "value": f"{adapted.drift:.1e}"})
    if adapted.srcc is not None:
        held_out = adapted.finetuned is not None and adapted.finetuned.helped
        what = "SRCC with your ratings" + (", each left out in turn" if held_out else "")
        rows.append({"": "agrees", "what": what, "value": f"{adapted.srcc:.3f}"})
    return rows
