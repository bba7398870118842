"""`dgqa-infer score-cluster`: the rows of `score` from many machines, in many files."""

from __future__ import annotations

from typing import Annotated

import typer

from dgqa_infer.cli._cluster import ClusterTarget
from dgqa_infer.cli._explain import ExplainingCommand, ExplainOption, explain_of
from dgqa_infer.cli._files import check_outputs
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
    decode_limits,
    decoding_of,
    finite,
    named,
    worker_limits,
)
from dgqa_infer.cli._output import Output

COMMAND = ExplainingCommand


def score_cluster(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Photographs, folders, archives, addresses; - for stdin."),
    ],
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="DIR", help="Where the rows go: a folder, or an address."),
    ],
    address: Annotated[
        str,
        typer.Option(
            metavar="local|auto|HOST:PORT",
            help="Start a Ray on this machine, use the one that runs here, or the cluster with this head.",
        ),
    ] = "local",
    model: ModelOption = "dgqa-lite0",
    device: DeviceOption = "auto",
    precision: PrecisionOption = Precisions.AUTO,
    format: Annotated[
        str, typer.Option("--format", "-f", metavar="parquet|jsonl", help="How rows are written.")
    ] = "parquet",
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with an earlier run: skip the files of rows that it has written."
        ),
    ] = False,
    retry_failed: RetryOption = None,
    explain: ExplainOption = None,
    strict: StrictOption = False,
    fast_decode: FastDecodeOption = False,
    gpu_decode: GpuDecodeOption = False,
    summary: SummaryOption = None,
    overwrite: OverwriteOption = False,
    recursive: RecursiveOption = True,
    follow_links: FollowLinksOption = False,
    allow_private: AllowPrivateOption = False,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    null: NullOption = False,
    batch_size: BatchSizeOption = 8,
    cores: Annotated[
        int | None,
        typer.Option(
            min=1, help="Cores of each scoring process (Ray actor).", show_default="as the nodes divide best"
        ),
    ] = None,
    gpus: Annotated[
        float | None,
        typer.Option(
            min=0,
            callback=finite,
            help="GPUs of each scoring process (Ray actor), such as 0.5.",
            show_default="1, if there are any",
        ),
    ] = None,
    partition: Annotated[int, typer.Option(min=1, help="Photographs in each file of rows, at most.")] = 5000,
    quiet: QuietOption = False,
    limit_file_size: FileSizeLimit = "200MB",
    limit_pixels: PixelsLimit = "256MP",
    limit_side: SideLimit = "32768px",
    limit_profile: ProfileLimit = "4MB",
    limit_time: TimeLimit = "30s",
    limit_memory: MemoryLimit = "4GB",
    limit_total_memory: TotalMemoryLimit = None,
) -> None:
    """Score photographs on a Ray cluster: the rows that `score` gives, in a folder of Parquet or JSONL files.

    Exit codes: 0 all scored, 2 usage, 3 some failed, 4 nothing scored, 70 an internal error
    (please report it). The files that are there are valid in every case.
    """
    out = Output(quiet=quiet)
    target = ClusterTarget.choose(
        address,
        output,
        format,
        resume=resume,
        retry=retry_failed,
        cores=cores,
        gpus=gpus,
        largest=partition,
    )
    check_outputs(summary, overwrite=overwrite)
    names, patterns = named(paths, null=null)
    from dgqa_infer.bundle.bundle import Bundle
    from dgqa_infer.cli import _cluster_run
    from dgqa_infer.inputs.finder import InputFinder
    from dgqa_infer.options import ScoringOptions

    options = ScoringOptions(
        device=device,
        precision=precision.value,
        explain=explain_of(explain),
        strict=strict,
        decoding=decoding_of(fast=fast_decode, gpu=gpu_decode),
        batch_size=batch_size,
        limits=decode_limits(
            limit_file_size, limit_pixels, limit_side, limit_profile, allow_private=allow_private
        ),
        worker_limits=worker_limits(limit_time, limit_memory, limit_total_memory),
    )
    finder = InputFinder(include or (), exclude or (), recursive, follow_links, allow_private=allow_private)
    found = _cluster_run.run(target, names, patterns, finder, Bundle.load(model), options, out)
    found.report(out, summary, overwrite=overwrite)
    raise typer.Exit(found.exit_code())
