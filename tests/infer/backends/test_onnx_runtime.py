from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from dgqa_infer.backends.base import Backend
from dgqa_infer.backends.choice import open_backend
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.errors import BackendError, UsageError


@pytest.fixture
def graph(tiny_bundle: Any) -> bytes:
    return Bundle.load(tiny_bundle).graph_bytes("model.onnx")


def crops(count: int) -> Any:
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_any_batch_gives_one_quality_a_crop(graph: bytes, count: int) -> None:
    with OnnxRuntimeBackend(graph, threads=1) as backend:
        assert isinstance(backend, Backend)
        outputs = backend.infer(crops(count))
    assert outputs["quality"] == pytest.approx(crops(count).mean(axis=(1, 2, 3)) / 25.5, abs=1e-5)
    assert outputs["quality_map"].mean(axis=(1, 2)) == pytest.approx(outputs["quality"], abs=1e-5)
    assert outputs["quality"].dtype == np.float32


def test_on_a_cpu_a_large_batch_goes_through_in_parts(graph: bytes) -> None:
    with OnnxRuntimeBackend(graph, threads=1) as backend:
        session, sizes = backend._session, []

        def run(names: list[str], feed: dict[str, Any]) -> Any:
            sizes.append(len(feed["crops"]))
            return session.run(names, feed)

        backend._session = SimpleNamespace(run=run)
        outputs = backend.infer(crops(23))
    assert sizes == [10, 10, 3]
    assert outputs["quality"] == pytest.approx(crops(23).mean(axis=(1, 2, 3)) / 25.5, abs=1e-5)
    assert outputs["quality_map"].shape == (23, 2, 2)


def test_a_closed_backend_is_an_error(graph: bytes) -> None:
    backend = OnnxRuntimeBackend(graph)
    backend.close()
    with pytest.raises(BackendError, match="closed"):
        backend.infer(crops(1))


@pytest.mark.parametrize("device", ["tpu", "cuda:", "cuda:x", "CPU", "cpu:0", ""])
def test_a_device_that_is_none_is_a_usage_error(graph: bytes, device: str) -> None:
    with pytest.raises(UsageError, match="neither"):
        OnnxRuntimeBackend(graph, device)


def test_crops_of_another_size_are_a_backend_error(graph: bytes) -> None:
    with OnnxRuntimeBackend(graph) as backend, pytest.raises(BackendError, match="failed on cpu"):
        backend.infer(np.zeros((1, 16, 16, 3), np.uint8))


def test_a_graph_that_cannot_be_loaded_is_a_backend_error() -> None:
    with pytest.raises(BackendError, match="cannot load the graph on cpu"):
        OnnxRuntimeBackend(b"nonsense")


@pytest.mark.parametrize(("device", "extra"), [("cpu", "cpu"), ("cuda", "gpu")])
def test_a_missing_runtime_names_the_command_that_installs_it(
    graph: bytes, monkeypatch: pytest.MonkeyPatch, device: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BackendError) as error:
        OnnxRuntimeBackend(graph, device)
    assert str(error.value) == f"ONNX Runtime is not installed: pip install 'dgqa-infer[{extra}]'"


def test_cuda_without_a_runtime_for_it_is_refused(graph: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(BackendError, match=r"no CUDA: .*dgqa-infer\[gpu\]"):
        OnnxRuntimeBackend(graph, "cuda:1")


def test_a_silent_fall_back_to_the_cpu_is_refused(graph: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """What onnxruntime-gpu does without a GPU: CUDA is listed, and the session runs on the CPU."""
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda **_: None)
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda data, options, **_: real(data, options, providers=["CPUExecutionProvider"]),
    )
    with pytest.raises(BackendError, match="would run on the CPU"):
        OnnxRuntimeBackend(graph, "cuda")


def test_auto_takes_the_cpu_where_no_gpu_works(tiny_bundle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with open_backend(Bundle.load(tiny_bundle), "model.onnx", "auto") as backend:
        assert backend.device == "cpu"


def test_a_batch_that_does_not_fit_is_halved_until_it_does(graph: bytes) -> None:
    backend = OnnxRuntimeBackend(graph)
    session = backend._session
    sizes = []

    def run(outputs: list[str], feed: dict[str, Any]) -> Any:
        sizes.append(len(feed["crops"]))
        if sizes[-1] > 2:
            raise RuntimeError("Failed to allocate memory for requested buffer of size 12345")
        return session.run(outputs, feed)

    backend._session = SimpleNamespace(run=run)
    quality = backend.infer(crops(5))["quality"]
    assert quality == pytest.approx(crops(5).mean(axis=(1, 2, 3)) / 25.5, abs=1e-5)
    assert sizes == [5, 3, 2, 1, 2]


def test_a_single_crop_that_does_not_fit_is_an_error(graph: bytes) -> None:
    backend = OnnxRuntimeBackend(graph)

    def run(*_: Any) -> Any:
        raise RuntimeError("Failed to allocate memory\nand more")

    backend._session = SimpleNamespace(run=run)
    with pytest.raises(BackendError, match=r"failed on cpu: Failed to allocate memory$"):
        backend.infer(crops(2))
