"""`dgqa-infer export`: a model in other precisions, as an engine, for Triton; each verified."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dgqa_infer.backends.tensorrt.engine_key import BatchProfile
from dgqa_infer.cli._errors import ExitCode, extra
from dgqa_infer.cli._false_alarms import warn_of_false_alarms
from dgqa_infer.cli._options import JsonOption, QuietOption, WorkersOption, bytes_of, output_path
from dgqa_infer.cli._output import Output, Ticker
from dgqa_infer.errors import BackendError, UsageError

if TYPE_CHECKING:
    from dgqa_export.exporter import Exported, Source
    from dgqa_export.photographs import Split
    from dgqa_export.targets.tensorrt import BuildOptions
    from dgqa_export.verification import DriftReport
    from dgqa_infer.backends.tensorrt.engine_key import EngineRecord
    from dgqa_infer.bundle.bundle import Bundle
    from dgqa_infer.results import Failure

_OPSETS = (18, 23)
_MOST_TOLD = 5  # photographs that did nothing


def export(
    source: Annotated[
        str,
        typer.Argument(
            metavar="[NAME|DIR|CHECKPOINT]",
            help="A model, as in `score`, or a checkpoint that `train` wrote.",
        ),
    ] = "dgqa-lite0",
    fp32: Annotated[bool, typer.Option("--fp32", help="Write it in fp32, as it is by default.")] = False,
    fp16: Annotated[bool, typer.Option("--fp16", help="Write it with its backbone in float16.")] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="Write it in int8; needs --photos to calibrate on.")
    ] = False,
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            parser=output_path,
            help="Folder in which each model gets its folder; a model that is there is replaced.",
        ),
    ] = Path("exported"),
    name: Annotated[
        str | None, typer.Option(help="Name of the model.", show_default="its own, or the checkpoint's")
    ] = None,
    photos: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Photographs to verify on; --int8 calibrates on half of them.",
            show_default="20 samples",
        ),
    ] = None,
    calibrate_on: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Other photographs for int8's calibration.")
    ] = None,
    domains: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also put in this domain classifier; the authors' .pth.tar too."),
    ] = None,
    allow_drift: Annotated[
        bool, typer.Option("--allow-drift", help="Write it even if scores move beyond the tolerance.")
    ] = False,
    packed: Annotated[
        bool, typer.Option("--packed", help="Store the fp32 graph's weights as float16: half the size.")
    ] = False,
    opset: Annotated[
        int | None,
        typer.Option(
            min=_OPSETS[0], max=_OPSETS[1], help="ONNX opset of a checkpoint's graph.", show_default="20"
        ),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:CLASS",
            help="The plug-in that a checkpoint names as its network. It is imported: its code runs.",
        ),
    ] = None,
    engine: Annotated[
        bool | None,
        typer.Option("--engine/--no-engine", help="Build a TensorRT engine.", show_default="where a GPU is"),
    ] = None,
    batch: Annotated[
        str,
        typer.Option(metavar="MIN:OPT:MAX", help="Crops that an engine takes at once; a photograph has 5."),
    ] = "1:8:32",
    workspace: Annotated[
        str, typer.Option(metavar="SIZE", help="Memory of the GPU while an engine is built.")
    ] = "1GiB",
    version_compatible: Annotated[
        bool, typer.Option("--version-compatible", help="An engine for later TensorRT too; slower.")
    ] = False,
    hardware_compatible: Annotated[
        bool, typer.Option("--hardware-compatible", help="An engine for all GPUs since Ampere; slower.")
    ] = False,
    strip_weights: Annotated[
        bool,
        typer.Option(
            "--strip-weights", help="An engine without weights, which are put in when it is loaded."
        ),
    ] = False,
    triton: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            parser=output_path,
            help="Also write a Triton model repository; a model of the same name is replaced.",
        ),
    ] = None,
    workers: WorkersOption = None,
    json: JsonOption = None,
    quiet: QuietOption = False,
) -> None:
    """Write a model as ONNX in fp32, fp16 or int8, as TensorRT engine and for Triton, and verify every one.

    Each is compared with the original on photographs: the differences of the raw scores are printed, and if
    they are beyond the tolerances of the model's card, nothing is written.

    Exit codes: 0 all is written, 1 scores moved beyond the tolerance, 2 usage.
    """
    output = Output(json=json, quiet=quiet)
    profile = BatchProfile.parse(batch)
    precisions = [word for word, wanted in (("fp32", fp32), ("fp16", fp16), ("int8", int8)) if wanted] or [
        "fp32"
    ]
    with extra("export"):
        from dgqa_export import exporter
        from dgqa_export.targets.tensorrt import BuildOptions
    options = BuildOptions(
        profile, bytes_of("--workspace", workspace), version_compatible, hardware_compatible, strip_weights
    )
    left_out: dict[str, Failure] = {}
    if packed and "fp32" not in precisions:
        raise UsageError("--packed is for the fp32 graph: give --fp32 too, or leave it out")
    paths = _paths(photos, calibrate_on, "int8" in precisions, workers, left_out)
    if engine:
        from dgqa_export.targets import engines

        # Verifying takes minutes: what would keep the engine from being built is told before.
        engines.place(without_gpu=True)
    with output.progress("exporting") as bar:
        model = exporter.load_source(source, name, opset, network)
        _refuse_unwritable(model, precisions, out, triton)
        if domains is not None:
            model = exporter.with_domains(model, domains)
            warn_of_false_alarms(model.card.training["classifier"].get("report", {}), output)
        try:
            done = exporter.export(
                model, precisions, out, paths, packed=packed, allow_drift=allow_drift, report=_teller(bar)
            )
        finally:
            _tell(output, list(left_out.values()))
    if not done.bundles:
        _print(output, done, done.drift, {}, [])
        output.warn("the scores moved too far; nothing was written (--allow-drift writes it all the same)")
        raise typer.Exit(ExitCode.GATE_FAILED)
    records, drift = _engines(output, model, done, paths, engine, options, allow_drift)
    repositories = _repositories(done, records, profile, triton)
    _print(output, done, drift, records, repositories)
    if not drift.passed and not allow_drift:
        output.warn("an engine's scores moved too far; engines were removed (--allow-drift keeps them)")
        raise typer.Exit(ExitCode.GATE_FAILED)


def _refuse_unwritable(model: Source, precisions: list[str], out: Path, triton: Path | None) -> None:
    """Before minutes of verifying, find out what would keep models from being written at its end."""
    from dgqa_export import bundles, exporter
    from dgqa_export.targets.triton import refuse_strangers

    for folder in (out, triton):
        if folder is not None:
            exporter.refuse_unwritable(folder)
    if triton is not None:
        for precision in precisions:
            refuse_strangers(triton, bundles.in_precision(model.card, precision, []).name)


def _paths(
    photos: Path | None,
    calibrate_on: Path | None,
    int8: bool,
    workers: int | None,
    left_out: dict[str, Failure],
) -> Split | None:
    """Which photographs do what; those that cannot be decoded are put into `left_out`, by their paths."""
    from dgqa_export import photographs

    if int8 and photos is None:
        raise UsageError("int8 is calibrated and verified on photographs of your kind: --photos DIR")
    if calibrate_on is not None and not int8:
        raise UsageError("--calibrate-on goes with --int8")
    if photos is None:
        return None
    calibrating = None if calibrate_on is None else photographs.files(calibrate_on)
    return photographs.split(
        photographs.files(photos),
        calibrating,
        int8=int8,
        workers=workers,
        left_out=lambda failure: left_out.update({failure.path or "": failure}),
    )


def _tell(output: Output, left_out: list[Failure]) -> None:
    """Which photographs did nothing, and why."""
    for failure in left_out[:_MOST_TOLD]:
        output.note(f"left out: {failure.path}: {failure.message}")
    if len(left_out) > _MOST_TOLD:
        output.note(f"left out: {len(left_out) - _MOST_TOLD:,} more")


def _teller(bar: Ticker) -> Any:
    return lambda note: bar.advance(1, note)


def _engines(
    output: Output,
    model: Source,
    done: Exported,
    paths: Split | None,
    wanted: bool | None,
    options: BuildOptions,
    allow_drift: bool,
) -> tuple[dict[str, EngineRecord], DriftReport]:
    """Engines by bundle, and the drift, theirs included."""
    from dgqa_export.targets import engines
    from dgqa_infer.backends.tensorrt.engine_cache import EngineCache

    if wanted is False:
        return {}, done.drift
    try:
        where = engines.place(without_gpu=bool(wanted))
    except BackendError as error:
        if wanted:
            raise
        output.note(f"no engine: {error}")
        return {}, done.drift
    cache = EngineCache()
    with output.progress("building the engine") as bar:
        records = engines.build(where, done.bundles, options, cache, _teller(bar))
    if not where.runs:
        output.note("there is no GPU here: the engine was built, but not verified")
        return records, done.drift
    with output.progress("verifying the engine") as bar:
        drift = engines.verify(where, model, done.bundles, paths, cache, options, _teller(bar))
    if not drift.passed and not allow_drift:
        for record in records.values():
            cache.remove(record)
        records = {}
    return records, replace(done.drift, drifts=(*done.drift.drifts, *drift.drifts))


def _repositories(
    done: Exported, records: dict[str, EngineRecord], profile: BatchProfile, folder: Path | None
) -> list[Path]:
    from dgqa_export.targets.triton import write_repository
    from dgqa_infer.backends.tensorrt.engine_cache import EngineCache

    if folder is None:
        return []
    written = []
    for bundle in done.bundles:
        record = records.get(bundle.card.name)
        # Triton runs the full TensorRT, and puts no weights into stripped engines.
        fits = (
            record and record.key.environment.flavour == "tensorrt" and "stripped" not in record.key.options
        )
        plan = EngineCache().plan(record) if record and fits else None
        written += write_repository(folder, bundle, profile, plan)
    return written


def _print(
    output: Output,
    done: Exported,
    drift: DriftReport,
    records: dict[str, EngineRecord],
    repositories: list[Path],
) -> None:
    files = [row for bundle in done.bundles for row in _files(bundle)]
    engines = [
        {"engine": name, "profile": str(record.key.profile), "bytes": record.bytes, "sha256": record.sha256}
        for name, record in records.items()
    ]
    trials = [trial.row() for trial in done.trials]
    for name, reason in drift.not_compared.items():
        output.note(f"not compared: {name}: {reason}")
    if output.json:
        output.document(
            {
                "files": files,
                "drift": drift.rows(),
                "not_compared": dict(drift.not_compared),
                "calibration": trials,
                "engines": engines,
                "triton": [str(folder) for folder in repositories],
            }
        )
        return
    if trials:
        output.table(trials, title="int8: calibrations tried")
    photographs = drift.drifts[0].photographs
    output.table(
        [_in_words(row) for row in drift.rows()],
        title=f"Raw score against {drift.drifts[0].reference}, {photographs} photographs",
    )
    written: list[tuple[str, list[dict[str, Any]]]] = [("Written", files), ("Engines", engines)]
    for title, rows in written:
        if rows:
            output.table([row | {"sha256": row["sha256"][:12]} for row in rows], title=title)
    for folder in repositories:
        output.text(f"Triton model: {folder}")


def _in_words(row: dict[str, Any]) -> dict[str, Any]:
    """A line of the drift table for people; programs get all of it."""
    return {
        "graph": row["candidate"],
        "max |Δ|": row["max_abs"],
        "mean |Δ|": row["mean_abs"],
        "SRCC": row["srcc"],
        "across batches": row["batches"],
        "allowed": row["tolerance"],
        "": "passed" if row["passed"] else "FAILED",
    }


def _files(bundle: Bundle) -> list[dict[str, Any]]:
    rows = [
        {"file": str(bundle.path / name), "bytes": record.bytes, "sha256": record.sha256}
        for name, record in bundle.card.files.items()
    ]
    card = (bundle.path / "card.json").read_bytes()
    digest = hashlib.sha256(card).hexdigest()
    return [*rows, {"file": str(bundle.path / "card.json"), "bytes": len(card), "sha256": digest}]
