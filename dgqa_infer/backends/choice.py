"""From a device's name to the backend that runs there."""

from __future__ import annotations

from dgqa_infer.backends.base import Backend
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.bundle import Bundle
from dgqa_infer.errors import BackendError


def open_backend(bundle: Bundle, graph: str, device: str = "auto", threads: int | None = None) -> Backend:
    """Load one of a bundle's graphs.

    Args:
        bundle: verified.
        graph: "model.onnx" or "domains.onnx".
        device: "cpu", "cuda", "cuda:N"; or "auto" for a GPU that works, else the CPU.
        threads: of the CPU for one batch; None for every core.

    Raises:
        BackendError: nothing runs there; says why and what to install.
        ModelError: the bundle has no such graph.
        UsageError: no device has this name.
    """
    data = bundle.graph_bytes(graph)
    if device != "auto":
        return OnnxRuntimeBackend(data, device, threads)
    try:
        return OnnxRuntimeBackend(data, "cuda")
    except BackendError:
        return OnnxRuntimeBackend(data, "cpu", threads)
