"""Engines from graphs: real ones by TensorRT-RTX, which builds without a GPU; and every way to fail."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from dgqa_export.graphs.packing import pack
from dgqa_export.precisions.calibration import calibrate
from dgqa_export.precisions.precision import to_fp16
from dgqa_export.precisions.quantization import quantizable, quantize
from dgqa_export.targets import tensorrt
from dgqa_export.targets.tensorrt import BuildOptions, build, build_for_bundle, environment
from dgqa_infer.backends import gpu
from dgqa_infer.backends.tensorrt import api as tensorrt_api
from dgqa_infer.backends.tensorrt.engine_cache import EngineCache
from dgqa_infer.backends.tensorrt.engine_key import BatchProfile
from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.errors import BackendError, ModelError, UsageError
from dgqa_infer.images.arrays import Pixels


@pytest.fixture(scope="module")
def rtx() -> ModuleType:
    return pytest.importorskip(
        "tensorrt_rtx", reason="TensorRT-RTX is a package for Linux and Windows on x86-64"
    )


@pytest.fixture(scope="module")
def int8_graph(small_graph: bytes, sample_crops: list[Pixels]) -> bytes:
    ranges = calibrate(small_graph, np.concatenate(sample_crops)[:8], "minmax")
    return quantize(small_graph, ranges, quantizable(small_graph))


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Any:
        raise BackendError("there is no NVIDIA driver here (libcuda.so.1 is not found)")

    monkeypatch.setattr(gpu, "gpus", none)


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "engines")


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8", "packed"])
def test_every_precision_builds(
    rtx: ModuleType, small_graph: bytes, int8_graph: bytes, precision: str
) -> None:
    graph = {
        "fp32": small_graph,
        "fp16": to_fp16(small_graph),
        "int8": int8_graph,
        "packed": pack(small_graph),
    }
    plan, timings = build(rtx, graph[precision], BuildOptions(BatchProfile(1, 2, 4)))
    assert len(plan) > 10_000
    assert timings == b""


def test_what_was_built_is_an_engine_of_this_tensorrt(rtx: ModuleType, small_graph: bytes) -> None:
    plan, _ = build(rtx, small_graph, BuildOptions())
    # Without a GPU it cannot be opened; the header can be read, and is TensorRT-RTX's own.
    log = tensorrt_api.Log(rtx)
    runtime = rtx.Runtime(log.logger)
    assert runtime.engine_header_size > 0
    assert plan[:4] != small_graph[:4]
    assert runtime.engine_host_code_allowed is False


def test_progress_is_told_in_steps(rtx: ModuleType, small_graph: bytes) -> None:
    said: list[str] = []
    build(rtx, small_graph, BuildOptions(), report=said.append)
    assert len(said) > 10
    assert all(" of " in line for line in said)


@pytest.mark.parametrize("option", ["version_compatible", "hardware_compatible"])
def test_compatible_engines_build(rtx: ModuleType, small_graph: bytes, option: str) -> None:
    plan, _ = build(rtx, small_graph, BuildOptions(**{option: True}))
    assert plan


@pytest.mark.parametrize("word", ["int8", "packed"])
def test_an_engine_whose_weights_are_not_the_graphs_cannot_be_stripped(
    rtx: ModuleType, small_graph: bytes, int8_graph: bytes, word: str
) -> None:
    graph = {"int8": int8_graph, "packed": pack(small_graph)}[word]
    with pytest.raises(UsageError, match=f"a graph that is {word} cannot be stripped"):
        build(rtx, graph, BuildOptions(stripped=True))


def test_too_little_workspace_is_said_with_advice(rtx: ModuleType, small_graph: bytes) -> None:
    with pytest.raises(BackendError, match=r"TensorRT cannot build the engine: .*workspace"):
        build(rtx, small_graph, BuildOptions(workspace=1))


def test_what_is_no_graph_is_refused_before_tensorrt_sees_it(rtx: ModuleType) -> None:
    with pytest.raises(ModelError, match="not an ONNX file"):
        build(rtx, b"nonsense", BuildOptions())


def test_a_graph_that_the_parser_refuses_names_the_node(
    rtx: ModuleType, grey_model: Callable[..., Any]
) -> None:
    model = grey_model()
    last = model.graph.node[3]
    last.op_type, last.name = "Det", "the_culprit"
    del last.input[1], last.attribute[:]
    with pytest.raises(BackendError, match=r"TensorRT cannot read the graph: node 'the_culprit' \(Det\): "):
        build(rtx, model.SerializeToString(), BuildOptions())


def test_an_interrupt_stops_the_build_and_leaves_nothing(
    rtx: ModuleType, small_bundle: Bundle, cache: EngineCache, no_gpu: None
) -> None:
    def interrupt(note: str) -> None:
        if "of" in note:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        build_for_bundle(small_bundle, BuildOptions(), cache, flavour="tensorrt_rtx", report=interrupt)
    assert signal.getsignal(signal.SIGINT) is before
    assert not cache.folder.exists() or not list(cache.folder.iterdir())


def test_builds_work_in_other_threads_too(rtx: ModuleType, small_graph: bytes) -> None:
    plans: list[bytes] = []
    thread = threading.Thread(target=lambda: plans.append(build(rtx, small_graph, BuildOptions())[0]))
    thread.start()
    thread.join()
    assert plans


def test_the_engine_of_a_bundle_is_kept_and_found_again(
    rtx: ModuleType, small_bundle: Bundle, cache: EngineCache, no_gpu: None
) -> None:
    first = build_for_bundle(small_bundle, BuildOptions(), cache, flavour="tensorrt_rtx")
    assert first.key.graph == small_bundle.card.files["model.onnx"].sha256
    assert first.key.preprocessing == "test-short128-grid5-64"
    assert first.key.environment == environment(rtx)
    assert first.key.environment.gpu == "none"
    said: list[str] = []
    assert (
        build_for_bundle(small_bundle, BuildOptions(), cache, flavour="tensorrt_rtx", report=said.append)
        == first
    )
    assert said == []
    other = build_for_bundle(small_bundle, BuildOptions(BatchProfile(1, 2, 2)), cache, flavour="tensorrt_rtx")
    assert other.key.digest != first.key.digest
    assert len(list(cache.records())) == 2


def test_a_damaged_engine_is_built_anew_and_said_so(
    rtx: ModuleType, small_bundle: Bundle, cache: EngineCache, no_gpu: None
) -> None:
    record = build_for_bundle(small_bundle, BuildOptions(), cache, flavour="tensorrt_rtx")
    (cache.folder / f"{record.key.digest}.engine").write_bytes(b"cut")
    said: list[str] = []
    again = build_for_bundle(small_bundle, BuildOptions(), cache, flavour="tensorrt_rtx", report=said.append)
    assert said[0].startswith("building anew: ")
    assert "is truncated" in said[0]
    assert cache.plan(again)


def test_a_stale_engine_is_replaced_and_said_so(
    rtx: ModuleType, small_bundle: Bundle, cache: EngineCache, no_gpu: None
) -> None:
    here = environment(rtx)
    key = build_for_bundle(small_bundle, BuildOptions(), cache, flavour="tensorrt_rtx").key
    stale = replace(key, environment=replace(here, version="1.4.0.1"))
    cache.remove(next(cache.records()))
    cache.store(stale, "small", b"old", 1)
    said: list[str] = []
    build_for_bundle(small_bundle, BuildOptions(), cache, flavour="tensorrt_rtx", report=said.append)
    assert said[0] == f"building anew: it was built with tensorrt_rtx 1.4.0.1, this is {here.version}"
    assert [record.key for record in cache.records()] == [key]


class _Refusing(ModuleType):
    """TensorRT 11 as it behaves without a GPU, and with one that it cannot use."""

    class ILogger:
        INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

        def __init__(self) -> None: ...

    def __init__(self) -> None:
        super().__init__("tensorrt")
        self.__version__ = "11.4.0.106"

    def Builder(self, logger: Any) -> Any:
        logger.log(1, "CUDA initialization failure with error: 35. Please check your CUDA installation")
        raise TypeError("pybind11::init(): factory function returned nullptr")


def test_a_builder_that_cannot_start_says_that_there_is_no_driver(small_graph: bytes) -> None:
    with pytest.raises(BackendError) as error:
        build(_Refusing(), small_graph, BuildOptions())
    said = "TensorRT cannot start its builder: there is no NVIDIA driver here, or it is too old"
    assert str(error.value) == said


def test_the_full_tensorrt_needs_a_gpu(no_gpu: None) -> None:
    with pytest.raises(BackendError, match="no NVIDIA driver"):
        environment(_Refusing())


def test_too_little_memory_comes_with_advice() -> None:
    error = BackendError(
        "TensorRT cannot build the engine: Requested amount of GPU memory (5 GB) could not be allocated"
    )
    advised = tensorrt._with_advice(error, BuildOptions(BatchProfile(1, 8, 64), workspace=1 << 30))
    assert str(advised).endswith("try a largest batch below 64, or less workspace than 1024 MB")


class _Config:
    """A builder's configuration that takes only timings of its own version, as TensorRT's does."""

    def __init__(self) -> None:
        self.used: bytes | None = None

    def create_timing_cache(self, data: bytes) -> bytes | None:
        return None if data == b"damaged" else data

    def set_timing_cache(self, cache: bytes, ignore_mismatch: bool) -> bool:
        assert ignore_mismatch is False
        if cache == b"of another version":
            return False
        self.used = cache
        return True


@pytest.mark.parametrize(
    ("timings", "used"), [(b"good", b"good"), (b"", b""), (b"damaged", b""), (b"of another version", b"")]
)
def test_timings_that_do_not_fit_are_measured_anew(timings: bytes, used: bytes) -> None:
    config = _Config()
    tensorrt._use_timings(config, timings)
    assert config.used == used
