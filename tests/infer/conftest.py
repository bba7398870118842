"""ONNX Runtime for GPUs on machines without one: this side of it, with the CPU's results."""

from __future__ import annotations

from typing import Any

import onnxruntime
import pytest

from dgqa_infer.backends import choice, gpu


@pytest.fixture
def a_gpu(monkeypatch: pytest.MonkeyPatch) -> gpu.Gpu:
    """A GPU that the driver shows; no runtime here can use it."""
    found = gpu.Gpu(0, "NVIDIA Test 1", "9.0", 80 << 30, "580.1")
    monkeypatch.setattr(gpu, "gpus", lambda: (found,))
    monkeypatch.setattr(choice, "_opens_on_gpu", {})
    return found


@pytest.fixture
def gpu_runtime(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """ONNX Runtime that takes the CPU for a GPU and remembers what it was asked for."""
    asked: dict[str, Any] = {}
    session_class, value_class = onnxruntime.InferenceSession, onnxruntime.OrtValue

    class Session:
        def __init__(
            self,
            graph: bytes,
            options: Any,
            providers: list[tuple[str, dict[str, Any]]],
            enable_fallback: int = 1,
        ) -> None:
            asked["providers"] = providers
            asked["fallback"] = enable_fallback
            if "fails" in asked and providers[0][0] != "CPUExecutionProvider":
                raise RuntimeError(asked["fails"])
            self.inner = session_class(graph, options, providers=["CPUExecutionProvider"])

        def get_providers(self) -> list[str]:
            return asked.get("runs", [name for name, _ in asked["providers"]])

        def get_provider_graph_assignment_info(self) -> list[Any]:
            parts = self.inner.get_provider_graph_assignment_info()
            return parts if asked.get("on_cpu") else []

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
