"""`dgqa-infer score`: photographs in, one row each out."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dgqa_infer.atomic import write_whole
from dgqa_infer.cli._explain import Explained, ExplainingCommand, ExplainOption, explain_of
from dgqa_infer.cli._files import gate_junit
from dgqa_infer.cli._options import (
    AllowPrivateOption,
    BatchSizeOption,
    DeviceOption,
    ExcludeOption,
    FastDecodeOption,
    FileSizeLimit,
    FollowLinksOption,
    GpuDecodeOption,
    IncludeOption,
    MemoryLimit,
    ModelOption,
    NullOption,
    OverwriteOption,
    PixelsLimit,
    PrecisionOption,
    Precisions,
    ProfileLimit,
    QuietOption,
    RecursiveOption,
    RetryOption,
    SideLimit,
    StrictOption,
    SummaryOption,
    TimeLimit,
    TotalMemoryLimit,
    WorkersOption,
    decode_limits,
    decoding_of,
    named,
    output_path,
    worker_limits,
)
from dgqa_infer.cli._output import Output
from dgqa_infer.cli._run import Run, Target
from dgqa_infer.errors import UsageError
from dgqa_infer.inputs.addresses import may_be_addresses
from dgqa_infer.outputs.table import Order
from dgqa_infer.pipeline.process import WorkerProcess

if TYPE_CHECKING:
    from dgqa_infer.bundle.bundle import Bundle
    from dgqa_infer.bundle.card import Calibration, Card
    from dgqa_infer.cli._summary import Summary
    from dgqa_infer.gate import Gate
    from dgqa_infer.options import Precision, ScoringOptions
    from dgqa_infer.outputs.maps import MapFolder
    from dgqa_infer.outputs.recovery import RecoveryLog
    from dgqa_infer.pipeline.pipeline import Pipeline
    from dgqa_infer.results import Score
    from dgqa_infer.scorer import Scorer

COMMAND = ExplainingCommand


def score(
    ctx: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Photographs, folders, archives, addresses; - for stdin."),
    ],
    model: ModelOption = "dgqa-lite0",
    device: DeviceOption = "auto",
    precision: PrecisionOption = Precisions.AUTO,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE|-", help="Where the rows go; - is stdout.")
    ] = "-",
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            metavar="table|jsonl|csv|parquet|html",
            help="How rows are written.",
            show_default="as FILE ends; to a terminal a table",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with FILE: score only what it has no score for."),
    ] = False,
    retry_failed: RetryOption = None,
    sort: Annotated[
        Order | None, typer.Option(help="Sort the table; it is written when all are scored.")
    ] = None,
    worst: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only the N lowest scores in the table.")
    ] = None,
    explain: ExplainOption = None,
    maps: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            parser=output_path,
            help="Also draw where in each photograph its score comes from: PNG files in DIR.",
        ),
    ] = None,
    strict: StrictOption = False,
    fast_decode: FastDecodeOption = False,
    gpu_decode: GpuDecodeOption = False,
    gate: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.toml", help="Criteria for scores and faults; exit code 1 if they are not met."
        ),
    ] = None,
    junit: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.xml", parser=output_path, help="Also write the gate's verdict as JUnit XML."
        ),
    ] = None,
    summary: SummaryOption = None,
    overwrite: OverwriteOption = False,
    recursive: RecursiveOption = True,
    follow_links: FollowLinksOption = False,
    allow_private: AllowPrivateOption = False,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    null: NullOption = False,
    batch_size: BatchSizeOption = 8,
    workers: WorkersOption = None,
    quiet: QuietOption = False,
    limit_file_size: FileSizeLimit = "200MB",
    limit_pixels: PixelsLimit = "256MP",
    limit_side: SideLimit = "32768px",
    limit_profile: ProfileLimit = "4MB",
    limit_time: TimeLimit = "30s",
    limit_memory: MemoryLimit = "4GB",
    limit_total_memory: TotalMemoryLimit = None,
) -> None:
    """Score photographs: one row for each, a score from 0 (worst) to 100, or the reason why it has none.

    The table's second column, spread, says how much quality differs from place to place in a photograph: a
    sharp face before a blurred background has a high one.

    Exit codes: 0 all scored and the gate passed, 1 gate failed, 2 usage, 3 some failed, 4 nothing scored,
    70 an internal error, 130 interrupted, 141 the pipe was closed. Rows are valid in every case.
    """
    out = Output(quiet=quiet)
    if junit is not None and gate is None:
        raise UsageError("--junit writes the verdict of a gate: name its file with --gate")
    if format is None and output == "-" and (sort is not None or worst is not None):
        format = "table"
    target = Target.choose(
        output, format, resume=resume, overwrite=overwrite, retry=retry_failed, model=model
    ).sorted(sort, worst)
    target.check(summary, junit)
    names, patterns = named(paths, null=null)
    with ExitStack() as stack:
        # Its imports and ours take longer than a photograph: they go on side by side.
        begun = ctx.obj or stack.enter_context(WorkerProcess(addresses=may_be_addresses(paths)))
        # Only now what takes time to import: a wrong option is told at once.
        from dgqa_infer.bundle.bundle import Bundle
        from dgqa_infer.cli._summary import Summary
        from dgqa_infer.inputs.finder import InputFinder
        from dgqa_infer.options import ScoringOptions
        from dgqa_infer.scorer import Scorer

        sizes = decode_limits(limit_file_size, limit_pixels, limit_side, limit_profile)
        bundle = Bundle.load(model)
        reported = target.format == "html" and bundle.card.domains is not None
        options = ScoringOptions(
            device=device,
            precision=precision.value,
            # A report says why as well.
            explain=explain_of(Explained.NAMED if explain is None and reported else explain),
            maps=maps is not None,
            strict=strict,
            decoding=decoding_of(fast=fast_decode, gpu=gpu_decode),
            batch_size=batch_size,
            limits=replace(sizes, allow_private=allow_private),
            worker_limits=worker_limits(limit_time, limit_memory, limit_total_memory),
        )
        if (criteria := _criteria(gate, bundle.card)) is not None and criteria.needs_distortions:
            options = options.changed(explain=options.explain or True)
        folder = _map_folder(maps, bundle.card.calibration)
        finder = InputFinder(include or (), exclude or (), recursive, follow_links, False, allow_private)
        target = target.under(options)
        log = _refuse_other_precision(stack.enter_context(target.open_log()), bundle, options)
        # The first photographs are decoded while it is loaded.
        scorer = stack.enter_context(Scorer.in_background(bundle, options, out.note))
        target = replace(target, classes=scorer.probability_classes)
        pipeline = stack.enter_context(_pipeline(scorer, options, workers, folder, begun, paths))
        found = Summary.of(scorer.bundle, finder.passed_over)
        run = Run(out, target, log, criteria, found, pipeline, folder)
        code = run.go(finder.find(names, patterns=patterns))
        found.backend, found.device = scorer.backend, scorer.device
    found.report(out, summary, overwrite=overwrite)
    _write_beside(out, target, found, junit, criteria)
    raise typer.Exit(code)


def _criteria(gate: str | None, card: Card) -> Gate | None:
    if gate is None:
        return None
    from dgqa_infer.gate import read_gate

    return read_gate(gate, card)


def _refuse_other_precision(
    log: RecoveryLog | None, bundle: Bundle, options: ScoringOptions
) -> RecoveryLog | None:
    """The log, unless it has rows of the same model in the other precision: each file would have two."""
    if log is None or not bundle.has_int8:
        return log
    precisions: tuple[Precision, ...] = ("fp32", "int8")
    names = {each: options.changed(precision=each).bundle_for(bundle).model_id for each in precisions}
    now = options.bundle_for(bundle).model_id
    for precision, name in names.items():
        if name != now and name in log.models:
            raise UsageError(
                f"{log.path} has rows of {name}, and these would be of {now}: continue it with"
                f" --precision {precision}, or name another file"
            )
    return log


def _map_folder(maps: Path | None, scale: Calibration) -> MapFolder | None:
    if maps is None:
        return None
    from dgqa_infer.outputs.maps import MapFolder

    return MapFolder(maps, scale)


def _pipeline(
    scorer: Scorer,
    options: ScoringOptions,
    workers: int | None,
    folder: MapFolder | None,
    begun: WorkerProcess,
    paths: list[str],
) -> Pipeline[Score]:
    from dgqa_infer.pipeline.pipeline import Pipeline

    preview = folder.side if folder is not None else 0
    return Pipeline(
        scorer,
        workers=workers,
        limits=options.worker_limits,
        preview=preview,
        begun=begun,
        addresses=may_be_addresses(paths),
    )


def _write_beside(
    out: Output, target: Target, found: Summary, junit: Path | None, criteria: Gate | None
) -> None:
    """The verdict as JUnit XML where it was asked for, and where the rows are."""
    if junit is not None and criteria is not None:
        data = gate_junit(criteria, found.model, found.seconds)
        write_whole(junit, data, overwrite=target.overwrite)
    if target.path is not None and found.unwritten is None:
        out.note(f"rows: {target.path}" if target.format != "html" else f"report: {target.path}")
