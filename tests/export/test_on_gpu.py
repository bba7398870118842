"""On a real GPU: engines and CUDA give the CPU's scores, in every precision and batch size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dgqa_export.exporter import Source, compare, export
from dgqa_export.targets import tensorrt
from dgqa_export.targets.tensorrt import BuildOptions
from dgqa_export.verification import backend_predictor
from dgqa_infer.backends import gpu
from dgqa_infer.backends.choice import open_backend
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.backends.tensorrt import api as tensorrt_api
from dgqa_infer.backends.tensorrt.backend import open_tensorrt
from dgqa_infer.backends.tensorrt.engine_cache import EngineCache
from dgqa_infer.backends.tensorrt.engine_key import BatchProfile
from dgqa_infer.bundle.bundle import QUALITY_GRAPH, Bundle
from dgqa_infer.errors import BackendError
from dgqa_infer.images.arrays import Pixels

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def real_gpu() -> None:
    try:
        gpu.gpus()
    except BackendError as error:
        pytest.skip(f"needs an NVIDIA GPU: {error}")


@pytest.fixture(scope="module")
def exported(
    small_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Source, dict[str, Bundle]]:
    source = Source(small_bundle.card, small_bundle.graph_bytes(QUALITY_GRAPH), None, None)
    done = export(source, ["fp32", "fp16"], tmp_path_factory.mktemp("exported"), None)
    return source, {bundle.card.precision: bundle for bundle in done.bundles}


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("flavour", tensorrt_api.FLAVOURS)
def test_an_engine_gives_the_cpus_scores(
    exported: tuple[Source, dict[str, Bundle]], tmp_path: Path, flavour: str, precision: str
) -> None:
    pytest.importorskip(flavour, reason=f"{flavour} is not installed")
    pytest.importorskip("cuda.bindings", reason="cuda-python is not installed")
    source, bundles = exported
    cache = EngineCache(tmp_path / "engines")
    tensorrt.build_for_bundle(
        bundles[precision], BuildOptions(BatchProfile(1, 8, 32)), cache, flavour=flavour
    )
    with open_tensorrt(bundles[precision], QUALITY_GRAPH, flavour=flavour, cache=cache) as backend:
        candidates = {flavour: (precision, backend_predictor(backend))}
        assert compare(source, candidates, None, lambda _: None).passed


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("cuda_graphs", [False, True])
def test_cuda_gives_the_cpus_scores(
    exported: tuple[Source, dict[str, Bundle]], precision: str, cuda_graphs: bool
) -> None:
    source, bundles = exported
    try:
        backend = OnnxRuntimeBackend(
            bundles[precision].graph_bytes(QUALITY_GRAPH), "cuda", cuda_graphs=cuda_graphs
        )
    except BackendError as error:
        pytest.skip(str(error))
    with backend:
        assert backend.device == "cuda:0"
        candidates = {"cuda": (precision, backend_predictor(backend))}
        assert compare(source, candidates, None, lambda _: None).passed


def test_auto_takes_the_gpu(small_bundle: Bundle, sample_crops: list[Pixels]) -> None:
    with open_backend(small_bundle, QUALITY_GRAPH) as backend:
        if backend.device == "cpu":
            pytest.skip("no runtime for the GPU is installed")
        assert np.isfinite(backend.infer(sample_crops[0])["quality"]).all()
