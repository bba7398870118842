"""The one command: a bundle or a checkpoint becomes verified bundles in the precisions that were asked for.

Everything is computed and verified before the first file is written.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from torch import nn

from dgqa_export import bundles, photographs
from dgqa_export.classifier import load_classifier, with_classifier
from dgqa_export.graphs.graph import OPSET
from dgqa_export.graphs.packing import pack
from dgqa_export.precisions.int8 import Trial, to_int8
from dgqa_export.precisions.precision import to_fp16
from dgqa_export.verification import (
    Candidates,
    DriftReport,
    Predict,
    backend_predictor,
    network_predictor,
    verify,
)
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.backends.openvino import OpenVinoBackend
from dgqa_infer.bundle.bundle import DOMAIN_GRAPH, QUALITY_GRAPH, Bundle, refuse_strangers, write_bundle
from dgqa_infer.bundle.card import Card, is_name
from dgqa_infer.errors import BackendError, ModelError, OutputError, UsageError
from dgqa_infer.images.arrays import Pixels
from dgqa_training.networks import checkpoints

Report: TypeAlias = Callable[[str], None]
"""Called with what is being done, in a few words."""

LARGEST_BATCH = 32


@dataclass(frozen=True, slots=True)
class Source:
    """What is exported.

    Attributes:
        card: in fp32.
        graph: quality, in fp32, described.
        domains: the domain classifier's graph, or None.
        network: the torch network that the graph was written from; None for a bundle.
    """

    card: Card
    graph: bytes
    domains: bytes | None
    network: nn.Module | None


@dataclass(frozen=True, slots=True)
class Exported:
    """The result.

    Attributes:
        drift: of every precision in every runtime.
        trials: of int8's calibrations.
        bundles: that were written; none if the drift is not allowed.
    """

    drift: DriftReport
    trials: tuple[Trial, ...]
    bundles: tuple[Bundle, ...]


def load_source(
    text: str, name: str | None = None, opset: int | None = None, plugin: str | None = None
) -> Source:
    """Read a bundle or a checkpoint.

    Args:
        text: a built-in bundle's name, a bundle's folder, or a checkpoint's file.
        name: of the bundle to be made; None keeps the bundle's, or takes the checkpoint's file name.
        opset: of the graph that a checkpoint becomes; None for the exporter's own.
        plugin: "package.module:Class" of a checkpoint's network, which may be imported; None for none.

    Raises:
        ModelError: it is missing or damaged, its card does not fit its graph, or it is not in fp32.
        UsageError: a bundle cannot have this name, or its graph not this opset.
    """
    path = Path(text)
    if name is not None:
        _refuse_name(name)
    if path.suffix == ".safetensors" or path.is_file():
        checkpoint = checkpoints.load(path)
        if name is None:
            _refuse_name(name := path.stem.lower())
        card = bundles.card_for(checkpoint, name)
        graph = bundles.graph_of(checkpoint, card, opset or OPSET, plugin)
        return Source(card, graph, None, checkpoint.network(plugin))
    bundle = Bundle.load(text)
    if bundle.card.precision != "fp32":
        raise ModelError(f"{bundle.card.name} is in {bundle.card.precision}; export from the fp32 bundle")
    graph = bundle.graph_bytes(QUALITY_GRAPH)
    bundles.refuse_mismatch(graph, bundle.card)
    if opset is not None:
        raise UsageError("a bundle's graph keeps its opset; export from the checkpoint for another")
    domains = bundle.graph_bytes(DOMAIN_GRAPH) if DOMAIN_GRAPH in bundle.card.files else None
    card = bundle.card if name is None else replace(bundle.card, name=name)
    return Source(card, bundles.describe(graph, card), domains, None)


def _refuse_name(name: str) -> None:
    if not is_name(name):
        letters = "lower-case letters, digits, '.', '_' and '-'"
        raise UsageError(f"a model cannot be called {name!r}: give it a --name of {letters}")


def with_domains(source: Source, file: Path) -> Source:
    """The source with a domain classifier, in place of any that it has; see `classifier.load_classifier`.

    Raises:
        ModelError: the file holds no classifier that fits.
    """
    card, graph = with_classifier(source.card, load_classifier(file))
    return replace(source, card=card, domains=graph)


def export(
    source: Source,
    precisions: Sequence[str],
    out: Path,
    paths: photographs.Split | None,
    *,
    packed: bool = False,
    allow_drift: bool = False,
    report: Report = lambda _: None,
) -> Exported:
    """Convert, verify, and write.

    Args:
        source: what to export.
        precisions: some of fp32, fp16 and int8.
        out: folder in which each bundle gets a folder of its name; made if need be.
        paths: photographs; None for scikit-image's samples, which do not suffice for int8.
        packed: store the fp32 graph's weights as float16.
        allow_drift: write bundles whose scores moved too far.
        report: called with what is being done.

    Raises:
        ModelError: a graph cannot be converted.
        OutputError: nothing can be written there; found out before anything is computed.
        UsageError: there are no photographs.
    """
    refuse_unwritable(out)
    for precision in precisions:
        refuse_strangers(out / bundles.in_precision(source.card, precision, []).name)
    graphs, trials = _convert(source, precisions, paths, packed, report)
    drift = _verify(source, graphs, paths, packed, report)
    if not drift.passed and not allow_drift:
        return Exported(drift, trials, ())
    written = []
    for precision, graph in graphs.items():
        names = (precision, bundles.PACKED) if precision == "fp32" else (precision,)
        rows = [row for row in drift.rows() if row["precision"] in names]
        card = bundles.in_precision(source.card, precision, rows)
        files = {QUALITY_GRAPH: bundles.describe(graph, card)}
        if source.domains is not None:
            # As it is: it runs only for explanations, and no drift of its own is allowed for.
            files[DOMAIN_GRAPH] = source.domains
        written.append(write_bundle(out / card.name, files, card))
    return Exported(drift, trials, tuple(written))


def refuse_unwritable(folder: Path) -> None:
    """Make a folder, and try whether files can be written there.

    Raises:
        OutputError: they cannot.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file: name a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=folder)
        os.close(descriptor)
        Path(name).unlink()
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror}") from error


def _convert(
    source: Source,
    precisions: Sequence[str],
    paths: photographs.Split | None,
    packed: bool,
    report: Report,
) -> tuple[dict[str, bytes], tuple[Trial, ...]]:
    graphs: dict[str, bytes] = {}
    trials: tuple[Trial, ...] = ()
    for precision in precisions:
        report(f"converting to {precision}")
        if precision == "fp32":
            graphs[precision] = pack(source.graph) if packed else source.graph
        elif precision == "fp16":
            graphs[precision] = to_fp16(source.graph)
        else:
            preprocessing = source.card.preprocessing
            split = paths or photographs.Split()
            calibration = list(split.read(split.calibration, preprocessing))
            choosing = list(split.read(split.choosing, preprocessing))
            tolerance = bundles.tolerance(source.card, precision)
            found = to_int8(source.graph, calibration, choosing, tolerance, report)
            graphs[precision], trials = found.graph, found.trials
    return graphs, trials


def _verify(
    source: Source,
    graphs: Mapping[str, bytes],
    paths: photographs.Split | None,
    packed: bool,
    report: Report,
) -> DriftReport:
    judged = dict(graphs)
    if packed and "fp32" in graphs:
        # The graph must be right to begin with; what packing does to it is another question.
        judged |= {"fp32": source.graph, bundles.PACKED: graphs["fp32"]}
    with ExitStack() as stack:
        candidates: Candidates = {}
        not_compared: dict[str, str] = {}
        for precision, graph in judged.items():
            runs = stack.enter_context(OnnxRuntimeBackend(graph))
            candidates[f"{precision}, onnxruntime cpu"] = (precision, backend_predictor(runs))
            name = f"{precision}, openvino cpu"
            try:
                other = stack.enter_context(OpenVinoBackend(graph))
            except BackendError as error:
                not_compared[name] = str(error)  # it need not be installed
                continue
            candidates[name] = (precision, backend_predictor(other))
        return replace(compare(source, candidates, paths, report), not_compared=not_compared)


def compare(
    source: Source,
    candidates: Candidates,
    paths: photographs.Split | None,
    report: Report,
    largest_batch: int = LARGEST_BATCH,
) -> DriftReport:
    """Compare candidates with what is exported: the torch network, or a bundle's graph in ONNX Runtime.

    Args:
        source: what is exported.
        candidates: by name.
        paths: photographs; None for scikit-image's samples.
        report: called with the progress.
        largest_batch: of the batch sizes that are compared.
    """
    precisions = {precision for precision, _ in candidates.values()}
    tolerances = {precision: bundles.tolerance(source.card, precision) for precision in precisions}
    with ExitStack() as stack:
        reference, name = _reference(source, stack)
        return verify(
            reference,
            candidates,
            _reported(_photographs(source.card, paths), report),
            tolerances,
            reference_name=name,
            largest_batch=largest_batch,
        )


def _reference(source: Source, stack: ExitStack) -> tuple[Predict, str]:
    if source.network is not None:
        return network_predictor(source.network), "torch"
    backend = stack.enter_context(OnnxRuntimeBackend(source.graph))
    return backend_predictor(backend), "fp32 bundle, onnxruntime cpu"


def _photographs(card: Card, paths: photographs.Split | None) -> Iterator[Pixels]:
    if paths is None:
        return photographs.samples(card.preprocessing)
    return paths.read(paths.verification, card.preprocessing)


def _reported(seen: Iterator[Pixels], report: Report) -> Iterator[Pixels]:
    for number, crops in enumerate(seen, 1):
        report(f"verifying: photograph {number}")
        yield crops
