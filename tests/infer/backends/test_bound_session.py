"""Bound memory on the CPU, where it works as it does on a GPU: batches are filled, cut and never mixed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from dgqa_infer.backends.bound_session import LARGEST, BoundSession
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.errors import BackendError


@pytest.fixture
def graph(tiny_bundle: Path) -> bytes:
    return Bundle.load(tiny_bundle).graph_bytes("model.onnx")


def crops(count: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def grey(stack: Any) -> Any:
    return stack.mean(axis=(1, 2, 3)) / 25.5


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 65, 130])
def test_every_batch_comes_back_whole_and_in_order(graph: bytes, count: int) -> None:
    bound = BoundSession(onnxruntime, onnxruntime.InferenceSession(graph), "cpu", 0)
    first = bound.run(crops(count))
    second = bound.run(crops(count, 1))
    assert first["quality"] == pytest.approx(grey(crops(count)), abs=1e-5)
    assert second["quality"] == pytest.approx(grey(crops(count, 1)), abs=1e-5)
    assert first["quality_map"].shape == (count, 2, 2)


def test_the_callers_crops_are_left_as_they_are(graph: bytes) -> None:
    stack = crops(4)
    stack.flags.writeable = False
    BoundSession(onnxruntime, onnxruntime.InferenceSession(graph), "cpu", 0).run(stack)


def test_batch_sizes_are_powers_of_two(graph: bytes) -> None:
    bound = BoundSession(onnxruntime, onnxruntime.InferenceSession(graph), "cpu", 0)
    for count in (1, 2, 3, 4, 5, 8, 30, LARGEST + 1):
        bound.run(crops(count))
    assert sorted(bound._slots) == [1, 2, 4, 8, 32, LARGEST]


@pytest.fixture
def gpu_runtime(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """ONNX Runtime that takes the CPU for a GPU and remembers what it was asked for."""
    asked: dict[str, Any] = {}
    session_class, value_class = onnxruntime.InferenceSession, onnxruntime.OrtValue

    class Session:
        def __init__(self, graph: bytes, options: Any, providers: list[tuple[str, dict[str, Any]]]) -> None:
            asked["providers"] = providers
            self.inner = session_class(graph, options, providers=["CPUExecutionProvider"])

        def get_providers(self) -> list[str]:
            return asked.get("runs", [name for name, _ in asked["providers"]])

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

    class Values:
        @staticmethod
        def ortvalue_from_shape_and_type(shape: list[int], kind: Any, device: str, index: int) -> Any:
            asked["device"] = (device, index)
            return value_class.ortvalue_from_shape_and_type(shape, kind, "cpu", 0)

    names = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: names)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda **_: None)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(onnxruntime, "OrtValue", Values)
    return asked


def test_cuda_is_bound_to_the_gpu_that_was_asked_for(graph: bytes, gpu_runtime: dict[str, Any]) -> None:
    with OnnxRuntimeBackend(graph, "cuda:1") as backend:
        assert backend.infer(crops(3))["quality"] == pytest.approx(grey(crops(3)), abs=1e-5)
        assert (backend.name, backend.device) == ("onnxruntime", "cuda:1")
    assert gpu_runtime["device"] == ("cuda", 1)
    ((name, settings),) = gpu_runtime["providers"]
    assert name == "CUDAExecutionProvider"
    assert settings == {"device_id": 1, "use_tf32": 0, "cudnn_conv_algo_search": "HEURISTIC"}


def test_cuda_graphs_are_asked_for_where_they_are_wanted(graph: bytes, gpu_runtime: dict[str, Any]) -> None:
    with OnnxRuntimeBackend(graph, "cuda", cuda_graphs=True) as backend:
        backend.infer(crops(3))
        (slot,) = backend._bound._slots.values()  # type: ignore[union-attr]
        assert slot.options.get_run_config_entry("gpu_graph_id") == "4"
    assert gpu_runtime["providers"][0][1]["enable_cuda_graph"] == 1


def test_the_tensorrt_provider_goes_before_cuda_and_keeps_its_engines_in_the_folder(
    graph: bytes, gpu_runtime: dict[str, Any], tmp_path: Path
) -> None:
    with OnnxRuntimeBackend(graph, "cuda", tensorrt_cache=tmp_path) as backend:
        assert (backend.name, backend.device) == ("onnxruntime-tensorrt", "cuda:0")
    (first, settings), (second, _) = gpu_runtime["providers"]
    assert (first, second) == ("TensorrtExecutionProvider", "CUDAExecutionProvider")
    assert settings["trt_engine_cache_path"] == str(tmp_path)
    assert settings["trt_profile_max_shapes"] == "crops:64x32x32x3"


def test_a_tensorrt_provider_that_gives_way_to_cuda_is_refused(
    graph: bytes, gpu_runtime: dict[str, Any], tmp_path: Path
) -> None:
    gpu_runtime["runs"] = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    with pytest.raises(BackendError, match="needs TensorRT 10 beside it, not 11"):
        OnnxRuntimeBackend(graph, "cuda", tensorrt_cache=tmp_path)
