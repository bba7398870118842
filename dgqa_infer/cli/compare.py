"""`dgqa-infer compare`: the same scenes through another camera, codec or firmware."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dgqa_infer.atomic import write_whole
from dgqa_infer.cli._errors import ExitCode
from dgqa_infer.cli._files import check_outputs
from dgqa_infer.cli._options import (
    DeviceOption,
    JsonOption,
    ModelOption,
    OverwriteOption,
    PrecisionOption,
    Precisions,
    QuietOption,
    WorkersOption,
    finite,
    output_path,
)
from dgqa_infer.cli._output import Output
from dgqa_infer.comparison.pairing import PairBy
from dgqa_infer.errors import UsageError
from dgqa_infer.outputs.reader import STDIN

if TYPE_CHECKING:
    from dgqa_infer.comparison.compare import Comparison
    from dgqa_infer.results import Row

_NAMED = 10


def compare(
    old: Annotated[
        str, typer.Argument(metavar="OLD", help="A folder, or the rows of one (.jsonl, .csv, .parquet).")
    ],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The same scenes: a folder, or rows.")],
    pair_by: Annotated[
        PairBy,
        typer.Option(
            help="What pairs have in common: the path within the folder, or the name without ending."
        ),
    ] = PairBy.PATH,
    pairs: Annotated[
        Path | None, typer.Option(metavar="CSV", help="A table of pairs, with the columns old and new.")
    ] = None,
    max_drop: Annotated[
        float | None,
        typer.Option(
            min=0,
            callback=finite,
            metavar="POINTS",
            help="Exit code 1 if the mean score surely drops by more: its whole 95 % interval does.",
        ),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(
            "--page", metavar="FILE.html", parser=output_path, help="Also write a page with the worst pairs."
        ),
    ] = None,
    junit: Annotated[
        Path | None,
        typer.Option(metavar="FILE.xml", parser=output_path, help="Also write the verdict as JUnit XML."),
    ] = None,
    overwrite: OverwriteOption = False,
    model: ModelOption = "dgqa-lite0",
    device: DeviceOption = "auto",
    precision: PrecisionOption = Precisions.AUTO,
    workers: WorkersOption = None,
    json: JsonOption = None,
    quiet: QuietOption = False,
) -> None:
    """Compare two sets of photographs of the same scenes: did the new one get better or worse?

    Prints by how many points the scores changed, mean and median, new minus old, each with the range in which
    it lies with 95 % confidence; how often the new photograph scores higher; the same by folder; which faults
    came and went; and the greatest drops. Folders are scored first; rows must be of the same model.

    Exit codes: 0 compared (and passed), 1 the drop is surely larger than --max-drop, 2 usage, 3 some
    photographs of NEW have no score though those of OLD have.
    """
    began = time.monotonic()
    out = Output(json=json, quiet=quiet)
    if old == new == STDIN:
        raise UsageError("OLD and NEW are both stdin, which can be read once: name a file for one of them")
    check_outputs(page, junit, overwrite=overwrite, read=[old, new])
    from dgqa_infer.comparison.compare import FEW
    from dgqa_infer.comparison.compare import compare as compared
    from dgqa_infer.comparison.pairing import pair, read_pairs

    by = pair_by if pairs is None else read_pairs(pairs)
    before, after = (_rows(name, model, device, precision, workers, out) for name in (old, new))
    first, second = (name if Path(name).is_dir() else None for name in (old, new))
    found = compared(pair(before, after, by, (first, second)), max_drop)
    if out.json:
        out.document(found.as_json())
    else:
        _print(found, out)
    if page is not None:
        from dgqa_infer.comparison.page import page as drawn

        write_whole(page, drawn(found, old, new), overwrite=overwrite)
        out.note(f"page: {page}")
    if junit is not None:
        from dgqa_infer.comparison.verdicts import as_junit

        verdict = as_junit(found, old, new, time.monotonic() - began)
        write_whole(junit, verdict, overwrite=overwrite)
    if found.all.pairs < FEW and max_drop is not None:
        out.warn(f"only {found.all.pairs} pairs: only a large drop can fail, and intervals are rough")
    for count, which, there in (
        (len(found.pairs.only_old), "OLD", "NEW"),
        (len(found.pairs.only_new), "NEW", "OLD"),
    ):
        if count:
            out.warn(f"{count:,} photographs of {which} have no pair in {there}; they are not compared")
    for each in found.new_failures[:_NAMED]:
        out.warn(f"{each.new['path']}: {each.new['error']['message']} ({each.new['error']['code']})")
    if found.verdict is not None:
        (out.note if found.verdict.passed else out.warn)(
            f"{'passed' if found.verdict.passed else 'FAILED'}: {found.verdict.sentence}"
        )
        if not found.verdict.passed:
            raise typer.Exit(ExitCode.GATE_FAILED)
    raise typer.Exit(ExitCode.SOME_FAILED if found.new_failures else ExitCode.OK)


def _rows(
    name: str, model: str, device: str, precision: Precisions, workers: int | None, out: Output
) -> list[Row]:
    from dgqa_infer.cli._rows import rows_in, score_folder

    if not Path(name).is_dir():
        return rows_in(name, out)
    from dgqa_infer.bundle.bundle import Bundle
    from dgqa_infer.options import ScoringOptions

    bundle = Bundle.load(model)
    options = ScoringOptions(
        device=device, precision=precision.value, explain=bundle.card.domains is not None
    )
    return score_folder(Path(name), bundle, out, options, workers=workers)


def _print(found: Comparison, out: Output) -> None:
    names = {"all": found.all} | dict(sorted(found.folders.items(), key=lambda each: each[1].mean.value))
    out.table(
        [
            {
                "folder": name,
                "pairs": each.pairs,
                "mean": each.mean.signed(),
                "median": each.median.signed(),
                "new is better": each.win_rate.percent(),
            }
            for name, each in names.items()
        ],
        title=f"New minus old, in points of the score [95 % interval], {found.model}",
    )
    if faults := found.faults_changed():
        out.table(
            [{"fault": each, "gained": found.gained[each], "lost": found.lost[each]} for each in faults],
            title=f"Faults, of {found.explained:,} pairs",
        )
    if worst := found.worst():
        out.table([_line(each) for each in worst], title="The greatest drops")


def _line(pair: Any) -> dict[str, Any]:
    from dgqa_infer.outputs.faults import faults_of

    return {
        "photograph": pair.name,
        "old": f"{pair.old['score']:.1f}",
        "new": f"{pair.new['score']:.1f}",
        "what is wrong now": ", ".join(faults_of(pair.new) or ()),
    }
