"""Engines of exported bundles: built where that is possible, and compared with the original."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from dgqa_export import photographs
from dgqa_export.exporter import Report, Source, compare
from dgqa_export.targets import tensorrt
from dgqa_export.targets.tensorrt import BuildOptions
from dgqa_export.verification import Candidates, DriftReport, backend_predictor
from dgqa_infer.backends import gpu
from dgqa_infer.backends.tensorrt import api as tensorrt_api
from dgqa_infer.backends.tensorrt.backend import open_tensorrt
from dgqa_infer.backends.tensorrt.engine_cache import EngineCache
from dgqa_infer.backends.tensorrt.engine_key import EngineRecord
from dgqa_infer.bundle.bundle import QUALITY_GRAPH, Bundle
from dgqa_infer.errors import BackendError


@dataclass(frozen=True, slots=True)
class Place:
    """What engines can be built with here.

    Attributes:
        flavour: of TensorRT.
        runs: whether they can be run here too, and so be verified.
    """

    flavour: str
    runs: bool


def place(*, without_gpu: bool) -> Place:
    """Find out what engines can be built with.

    Args:
        without_gpu: take TensorRT-RTX where there is no GPU: it builds there, but nothing can be verified.

    Raises:
        BackendError: with nothing; says why.
    """
    try:
        gpu.gpus()
    except BackendError as error:
        if not without_gpu:
            raise
        try:
            return Place(tensorrt_api.flavour_of(tensorrt_api.load("tensorrt_rtx")), runs=False)
        except BackendError:
            raise error from None  # who asked for an engine lacks a GPU first of all
    return Place(tensorrt_api.flavour_of(tensorrt_api.load()), runs=True)


def build(
    where: Place, bundles: Sequence[Bundle], options: BuildOptions, cache: EngineCache, report: Report
) -> dict[str, EngineRecord]:
    """Build the engine of each bundle; by the bundle's name."""
    return {
        bundle.card.name: tensorrt.build_for_bundle(
            bundle, options, cache, flavour=where.flavour, report=report
        )
        for bundle in bundles
    }


def verify(
    where: Place,
    source: Source,
    bundles: Sequence[Bundle],
    paths: photographs.Split | None,
    cache: EngineCache,
    options: BuildOptions,
    report: Report,
) -> DriftReport:
    """Compare the engines of some bundles with what the bundles were exported from.

    Raises:
        BackendError: an engine does not run.
    """
    with ExitStack() as stack:
        candidates: Candidates = {}
        for bundle in bundles:
            engine = stack.enter_context(
                open_tensorrt(bundle, QUALITY_GRAPH, flavour=where.flavour, cache=cache)
            )
            precision = bundle.card.precision
            candidates[f"{precision}, {engine.name} {engine.device}"] = (precision, backend_predictor(engine))
        return compare(source, candidates, paths, report, largest_batch=options.profile.largest)
