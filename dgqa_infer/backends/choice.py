"""From a device's name to the backend that runs there."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dgqa_infer.backends import gpu
from dgqa_infer.backends.base import Backend
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.backends.openvino import OpenVinoBackend
from dgqa_infer.backends.tensorrt.backend import open_tensorrt
from dgqa_infer.backends.tensorrt.engine_cache import EngineCache
from dgqa_infer.bundle.bundle import QUALITY_GRAPH, Bundle
from dgqa_infer.errors import BackendError, UsageError

DEVICES = ("cpu", "openvino", "cuda", "tensorrt", "tensorrt_rtx", "onnxruntime-tensorrt")
"""What a device may be called; those on a GPU may be followed by ":N", its number."""

_ON_CPU = ("cpu", "openvino")
_NAME = re.compile(r"(cpu|openvino|(cuda|tensorrt|tensorrt_rtx|onnxruntime-tensorrt)(?::(\d+))?)")


@dataclass(frozen=True, slots=True)
class Choice:
    """One place where a graph could run.

    Attributes:
        device: one of `DEVICES`, with the GPU's number where one was asked for.
        open: loads the graph there, or raises `BackendError` with the reason.
    """

    device: str
    open: Callable[[], Backend]


def choices(bundle: Bundle, graph: str, threads: int | None = None, number: str = "") -> list[Choice]:
    """Where one of a bundle's graphs could run, in the order in which "auto" tries.

    An engine that was built on purpose comes first, then CUDA, then ONNX Runtime: OpenVINO is about as fast
    in int8, but rounds differently, and scores shall not depend on what is installed.

    Args:
        bundle: verified.
        graph: "model.onnx" or "domains.onnx".
        threads: of the CPU for one batch; None for every core that this process may use.
        number: of the GPU; empty for the first.
    """
    kinds = ["tensorrt", "tensorrt_rtx", "cuda"] if graph == QUALITY_GRAPH else ["cuda"]
    names = [f"{kind}:{number}" if number else kind for kind in kinds] + [*_ON_CPU]
    return [Choice(name, partial(_open, bundle, graph, name, threads)) for name in names]


_Tell = Callable[[str], None]
_opens_on_gpu: dict[tuple[Path, str], bool] = {}


def takes_gpu(bundle: Bundle) -> bool:
    """Whether "auto" runs the quality graph on a GPU: it is opened there, once in a process.

    A GPU alone does not say so: its driver may be too old, or the runtime be one for CPUs.
    """
    if not gpu.has_gpu():
        return False
    key = bundle.path, bundle.card.files[QUALITY_GRAPH].sha256
    if key not in _opens_on_gpu:
        _opens_on_gpu[key] = any(
            _opens(choice) for choice in choices(bundle, QUALITY_GRAPH) if choice.device not in _ON_CPU
        )
    return _opens_on_gpu[key]


def _opens(choice: Choice) -> bool:
    try:
        choice.open().close()
    except BackendError:
        return False
    return True


def open_backend(
    bundle: Bundle,
    graph: str,
    device: str = "auto",
    threads: int | None = None,
    tell: _Tell = lambda _: None,
) -> Backend:
    """Load one of a bundle's graphs.

    Args:
        bundle: verified.
        graph: "model.onnx" or "domains.onnx".
        device: one of `DEVICES`; or "auto" for the fastest that works. Engines are built of "model.onnx"
            alone: where one is asked for, other graphs run on the same GPU with CUDA, or else on the CPU.
        threads: of the CPU for one batch; None for every core that this process may use.
        tell: called, where there is a GPU, with the reason why the CPU runs the graph nevertheless, or why an
            engine that was built of it is not used.

    Raises:
        BackendError: nothing runs there; says why and what to install.
        ModelError: the bundle has no such graph.
        UsageError: no device has this name.
    """
    if device != "auto" and _NAME.fullmatch(device) is None:
        raise UsageError(f"device {device!r} is neither 'auto' nor one of {', '.join(DEVICES)}")
    bundle.graph_bytes(graph)
    if device != "auto" and (graph == QUALITY_GRAPH or not device.startswith("tensorrt")):
        return _open(bundle, graph, device, threads)
    reasons: dict[str, BackendError] = {}
    for choice in choices(bundle, graph, threads, device.partition(":")[2]):
        try:
            backend = choice.open()
        except BackendError as error:
            reasons[choice.device] = error
            continue
        if gpu.has_gpu():
            _tell_what_was_passed_over(bundle, graph, reasons, tell)
        return backend
    raise BackendError(f"nothing here can run the model: {reasons['cpu']}")


def _tell_what_was_passed_over(
    bundle: Bundle, graph: str, reasons: Mapping[str, BackendError], tell: _Tell
) -> None:
    """Why no GPU, or no engine that was built of this graph, is used."""
    for device, reason in reasons.items():
        kind = device.partition(":")[0]
        if kind == "cuda":
            # Of the ways to use a GPU, it needs nothing but a package.
            tell(f"the GPU is not used: {reason}")
        elif kind in ("tensorrt", "tensorrt_rtx") and _has_engine(bundle, graph, kind):
            tell(f"the engine of {kind} is not used: {reason}")


def _has_engine(bundle: Bundle, graph: str, flavour: str) -> bool:
    sha256 = hashlib.sha256(bundle.graph_bytes(graph)).hexdigest()
    try:
        keys = [record.key for record in EngineCache().records()]
    except BackendError:
        return True  # the cache itself is the reason
    return any(key.graph == sha256 and key.environment.flavour == flavour for key in keys)


def _open(bundle: Bundle, graph: str, device: str, threads: int | None) -> Backend:
    kind, _, number = device.partition(":")
    data = bundle.graph_bytes(graph)
    if kind in ("tensorrt", "tensorrt_rtx"):
        return open_tensorrt(bundle, graph, int(number or 0), flavour=kind)
    if kind == "openvino":
        return OpenVinoBackend(data, threads)
    if kind == "onnxruntime-tensorrt":
        if bundle.card.precision == "int8":
            raise BackendError(
                "ONNX Runtime's TensorRT provider takes no int8 graph of ours; use the device tensorrt"
            )
        folder = EngineCache().subfolder(f"onnxruntime-{hashlib.sha256(data).hexdigest()[:24]}")
        return OnnxRuntimeBackend(data, f"cuda:{number or 0}", threads, tensorrt_cache=folder)
    return OnnxRuntimeBackend(data, device, threads)
