"""`dgqa-infer bench`: how fast this machine scores, and what holds it back."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dgqa_infer import system
from dgqa_infer.cli._options import (
    JsonOption,
    PrecisionOption,
    Precisions,
    QuietOption,
    WorkersOption,
    finite,
)
from dgqa_infer.cli._output import Output

if TYPE_CHECKING:
    from dgqa_infer.bench.figures import Figure
    from dgqa_infer.bench.photographs import Sample
    from dgqa_infer.bench.rounds import Effort
    from dgqa_infer.bundle.bundle import Bundle
    from dgqa_infer.options import ScoringOptions

_SIZES = (1, 2, 4, 8, 16)
_SIZES_GPU = (*_SIZES, 32, 64)
_STARTS = 5


def bench(
    photos: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PHOTOS]", help="Photographs, folders; none for generated ones of 12 MP."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME|DIR",
            help="A model, as in `score`; repeat it to compare.",
            show_default="dgqa-lite0",
        ),
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="As in `score`; repeat it.", show_default="all that work"),
    ] = None,
    precision: PrecisionOption = Precisions.AUTO,
    batch_size: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Photographs inferred at once; repeat it.", show_default="1 to 16, GPU 64"),
    ] = None,
    workers: WorkersOption = None,
    fast_decode: Annotated[bool, typer.Option("--fast-decode", help="As in `score`.", hidden=True)] = False,
    rounds: Annotated[int, typer.Option(min=1, help="How often everything is measured, in turns.")] = 6,
    seconds: Annotated[
        float, typer.Option(min=0.0, callback=finite, help="How long a turn lasts at least.")
    ] = 0.5,
    compare: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="An earlier run's --json: say of each figure if it is better or worse."
        ),
    ] = None,
    json: JsonOption = None,
    quiet: QuietOption = False,
) -> None:
    """Measure latency, throughput, the parts of the way from file to score, start-up and memory.

    Figures are medians of rounds in which all that is compared takes turns, in brackets the 95 % interval.
    The first --model on the first --device, or on the one that `score` would take, is measured from files to
    scores.
    """
    output = Output(json=json, quiet=quiet)
    from dgqa_infer.bench import figures
    from dgqa_infer.bench.conditions import conditions
    from dgqa_infer.bench.rounds import Effort
    from dgqa_infer.bundle.bundle import Bundle
    from dgqa_infer.options import ScoringOptions

    effort = Effort(rounds, seconds)
    before = figures.read(compare) if compare is not None else None
    options = ScoringOptions(
        device=device[0] if device else "auto",
        precision=precision.value,
        decoding="scaled" if fast_decode else "model",
    )
    bundles = [options.in_precision(Bundle.load(name)) for name in model or ["dgqa-lite0"]]
    found: list[Figure] = []
    missing: dict[str, str] = {}
    around = conditions()
    around |= {"load at the start": round(system.load(), 2), "rounds": rounds, "seconds": seconds}
    around |= {"models": [bundle.model_id for bundle in bundles], "workers": workers or around["cores"]}
    around |= {"fast_decode": fast_decode}
    with ExitStack() as stack:
        sample = _sample(photos, bundles[0], workers, stack)
        around["photographs"] = {
            "source": sample.source,
            "count": len(sample.paths),
            "megapixels": sample.megapixels,
            "megabytes": sample.megabytes,
        }
        ticker = stack.enter_context(output.progress("measuring"))
        for figure in _measured(bundles, device or [], batch_size, workers, options, sample, effort, missing):
            found.append(figure)
            ticker.advance(note=f"{figure.group}: {figure.subject}")
    for name, reason in missing.items():
        output.note(f"not measured on {name}: {reason}")
    if around["load at the start"] > 0.5:
        output.warn(
            f"other programs were at work (load {around['load at the start']}): "
            "this machine may be faster than the figures say"
        )
    if output.json:
        output.document(figures.as_document(around, found, before))
    else:
        _print(output, found, before[1] if before else (), around)
    if before is not None and (changed := figures.differences(around, before[0])):
        output.note("the conditions were not the same: " + "; ".join(changed))


def _sample(photos: Sequence[str] | None, bundle: Bundle, workers: int | None, stack: ExitStack) -> Sample:
    from dgqa_infer.bench import photographs

    if photos:
        return photographs.chosen(photos, bundle.card.preprocessing, workers)
    return photographs.generated(Path(stack.enter_context(tempfile.TemporaryDirectory())))


def _measured(
    bundles: Sequence[Bundle],
    devices: Sequence[str],
    sizes: Sequence[int] | None,
    workers: int | None,
    options: ScoringOptions,
    sample: Sample,
    effort: Effort,
    missing: dict[str, str],
) -> Iterator[Figure]:
    from dgqa_infer.bench import inference, startup, whole
    from dgqa_infer.scorer import Scorer

    with inference.places(bundles, devices, missing) as found:
        yield from inference.latency(found, effort)
        on_gpu = any(place.backend.device != "cpu" for place in found)
        yield from inference.throughput(found, sizes or (_SIZES_GPU if on_gpu else _SIZES), effort)
    with Scorer(bundles[0], options) as scorer:
        yield from whole.parts(sample.paths, scorer, effort)
        yield from whole.end_to_end(sample.paths, scorer, workers, effort)
    scoring = ["--quiet", "--model", str(bundles[0].path), "--device", options.device]
    scoring += ["--precision", options.precision]
    scoring += ["--fast-decode"] if options.decoding == "scaled" else []
    scoring += ["--workers", str(workers)] if workers else []
    yield from startup.starts(scoring, sample.paths[0], min(effort.rounds, _STARTS))
    yield from startup.memory(scoring, sample.paths)


def _print(
    output: Output,
    found: Sequence[Figure],
    earlier: Sequence[Figure],
    around: dict[str, Any],
) -> None:
    from dgqa_infer.bench import figures

    rows = [{"condition": name, "": _words(value)} for name, value in around.items()]
    output.table(rows, title="Conditions")
    for group, table in figures.tables(found, earlier).items():
        output.table(table, title=group)


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {each}" for name, each in value.items() if each is not None)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "unknown" if value is None else str(value)
