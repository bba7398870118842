"""`dgqa-infer score`: photographs in, one row each out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dgqa_infer.cli._cluster import ClusterTarget, ScoreCommand
from dgqa_infer.cli._options import (
    BatchSizeOption,
    DeviceOption,
    ModelOption,
    QuietOption,
    WorkersOption,
    bytes_of,
    pixels_of,
    seconds_of,
)
from dgqa_infer.cli._output import Output
from dgqa_infer.cli._run import Run, Target
from dgqa_infer.errors import OutputError, UsageError
from dgqa_infer.pipeline.process import WorkerProcess

if TYPE_CHECKING:
    from dgqa_infer.cli._summary import Summary

COMMAND = ScoreCommand

_STDIN = 0


def _limit(name: str, help: str) -> Any:
    return typer.Option(name, metavar="AMOUNT", help=help)


def score(
    ctx: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Photographs, folders, archives, addresses; - for stdin."),
    ],
    model: ModelOption = "dgqa-lite0",
    device: DeviceOption = "auto",
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE|-", help="Where the rows go; - is stdout.")
    ] = "-",
    format: Annotated[
        str | None,
        typer.Option(
            "--format", "-f", help="How rows are written.", show_default="as FILE ends; to a terminal a table"
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue FILE; skip what it has and what has not changed.")
    ] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Also say what is wrong with each.")] = False,
    maps: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Also draw where in each its score comes from: a PNG each, in here."
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse a JPEG with damaged data, even if it can be shown.")
    ] = False,
    fast_decode: Annotated[
        bool,
        typer.Option("--fast-decode", help="Decode large JPEGs at less than full size; moves scores."),
    ] = False,
    gpu_decode: Annotated[
        bool,
        typer.Option("--gpu-decode", help="Decode JPEGs on the model's NVIDIA GPU; moves scores a little."),
    ] = False,
    gate: Annotated[
        str | None, typer.Option(metavar="FILE.toml", help="Criteria; exit code 1 if they are not met.")
    ] = None,
    summary: Annotated[
        str | None, typer.Option(metavar="FILE.json", help="Write the run's numbers here.")
    ] = None,
    recursive: Annotated[bool, typer.Option(help="Look into folders within folders.")] = True,
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Only files that fit, and whatever they are. May be repeated."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Leave out files and folders that fit. May be repeated."),
    ] = None,
    null: Annotated[bool, typer.Option("--null", "-0", help="Names on stdin end in a zero byte.")] = False,
    batch_size: BatchSizeOption = 8,
    workers: WorkersOption = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="[ADDRESS]",
            help="Score on a Ray cluster (auto, or HOST:PORT), or on a local one; FILE is then a folder.",
        ),
    ] = None,
    gpu_share: Annotated[
        float | None,
        typer.Option(min=0, help="GPUs of each actor of a cluster, such as 0.5.", show_default="1, if any"),
    ] = None,
    partition: Annotated[
        int, typer.Option(min=1, help="Photographs in each file that a cluster writes, at most.")
    ] = 5000,
    quiet: QuietOption = False,
    limit_file_size: Annotated[str, _limit("--limit-file-size", "Size of a file.")] = "200MB",
    limit_pixels: Annotated[str, _limit("--limit-pixels", "Width × height.")] = "256MP",
    limit_side: Annotated[str, _limit("--limit-side", "Width or height.")] = "32768px",
    limit_profile: Annotated[str, _limit("--limit-profile", "Embedded colour profile.")] = "4MB",
    limit_time: Annotated[str, _limit("--limit-time", "Time to decode one file.")] = "30s",
    limit_memory: Annotated[str, _limit("--limit-memory", "Memory of one decoding process.")] = "4GB",
    limit_in_flight: Annotated[
        str, _limit("--limit-in-flight", "Pixels decoded at the same time, by all processes.")
    ] = "600MP",
) -> None:
    """Score photographs: one row for each, a score from 0 (worst) to 100, or the reason why it has none.

    Exit codes: 0 all scored and the gate passed, 1 gate failed, 2 usage, 3 some failed, 4 nothing scored,
    70 a bug of ours, 130 interrupted, 141 the reader of stdout has left. The rows are valid in every case.
    """
    out = Output(quiet=quiet)
    many = None
    if cluster is not None:
        if gate is not None or maps is not None:
            raise UsageError("--gate and --maps are for one machine: a cluster writes rows and nothing else")
        many = ClusterTarget.choose(
            cluster, output, format, resume=resume, cores=workers, gpus=gpu_share, largest=partition
        )
    else:
        target = Target.choose(output, format, resume=resume, model=model)
    names, patterns = _names(paths, null=null)
    with ExitStack() as stack:
        # Its imports and ours take longer than a photograph: they go on side by side.
        begun: WorkerProcess | None = ctx.obj
        if begun is None and many is None:
            begun = stack.enter_context(WorkerProcess())
        # Only now what takes time to import: a wrong option is told at once.
        from dgqa_infer.bundle.bundle import Bundle
        from dgqa_infer.cli._summary import Summary
        from dgqa_infer.domains.profile import DomainProfile
        from dgqa_infer.images.decode import DecodeLimits
        from dgqa_infer.inputs.finder import InputFinder
        from dgqa_infer.options import WorkerLimits
        from dgqa_infer.pipeline.pipeline import Pipeline
        from dgqa_infer.scorer import Scorer

        decode_limits = DecodeLimits(
            file_bytes=bytes_of("--limit-file-size", limit_file_size),
            pixels=pixels_of("--limit-pixels", limit_pixels),
            side=pixels_of("--limit-side", limit_side),
            profile_bytes=bytes_of("--limit-profile", limit_profile),
        )
        worker_limits = WorkerLimits(
            seconds=seconds_of("--limit-time", limit_time),
            memory_bytes=bytes_of("--limit-memory", limit_memory),
            pixels_in_flight=pixels_of("--limit-in-flight", limit_in_flight),
        )
        bundle = Bundle.load(model)
        criteria = None
        if gate is not None:
            from dgqa_infer.gate import read_gate

            criteria = read_gate(gate, bundle.card)
        selection = InputFinder(include or (), exclude or (), recursive)
        if many is not None:
            from dgqa_infer.cli import _cluster_run
            from dgqa_infer.ray.settings import Settings

            settings = Settings.of(
                bundle,
                device=device,
                explain=explain,
                strict=strict,
                fast_decode=fast_decode,
                gpu_decode=gpu_decode,
                batch_size=batch_size,
                limits=decode_limits,
                worker_limits=worker_limits,
            )
            as_scored = bundle.with_scaled_decoding() if fast_decode else bundle
            as_scored = as_scored.with_gpu_decoding() if gpu_decode else as_scored
            came = _cluster_run.run(many, names, patterns, selection, as_scored, settings, out)
            _tell(out, came, summary)
            raise typer.Exit(came.exit_code())
        folder = None
        if maps is not None:
            from dgqa_infer.outputs.maps import MapFolder

            folder = MapFolder(maps, bundle.card.raw_range)
        log = stack.enter_context(target.open_log())
        scorer = stack.enter_context(
            Scorer(
                bundle,
                device=device,
                explain=explain or (criteria is not None and criteria.needs_distortions),
                maps=maps is not None,
                strict=strict,
                fast_decode=fast_decode,
                gpu_decode=gpu_decode,
                batch_size=batch_size,
                limits=decode_limits,
                # The first photographs are decoded meanwhile.
                background=True,
            )
        )
        bundle = scorer.bundle
        preview = folder.side if folder is not None else 0
        pipeline = stack.enter_context(
            Pipeline(scorer, workers=workers, limits=worker_limits, preview=preview, begun=begun)
        )
        told = Summary(bundle.model_id, passed_over=selection.passed_over)
        if (domains := bundle.card.domains) is not None:
            told.target = DomainProfile.from_card(domains.profile)
        run = Run(out, target, log, criteria, told, pipeline, folder)
        code = run.go(selection.find(names, patterns=patterns))
        told.backend, told.device = scorer.backend, scorer.device
    _tell(out, told, summary)
    if target.path is not None:
        out.note(f"rows: {target.path}" if target.format != "html" else f"report: {target.path}")
    raise typer.Exit(code)


def _names(paths: list[str], *, null: bool) -> tuple[Iterable[str], bool]:
    """What is named, and whether a name may be a pattern."""
    if "-" not in paths:
        if null:
            raise UsageError("-0 is for a list of names on stdin: say - instead of PATH")
        return paths, True
    if len(paths) > 1:
        raise UsageError("- is the list of names on stdin, and must be the only PATH")
    from dgqa_infer.inputs.finder import read_names

    return read_names(_STDIN, b"\0" if null else b"\n"), False


def _tell(out: Output, told: Summary, path: str | None) -> None:
    """Tell a person what a run came to, and write it where it was asked for."""
    for line in told.sentences():
        out.note(line)
    if path is None:
        return
    from dgqa_infer.outputs.files import whole_file

    try:
        with whole_file(Path(path)) as file:
            file.write(json.dumps(told.as_json(), indent=2).encode() + b"\n")
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error
