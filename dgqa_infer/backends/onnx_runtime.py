"""ONNX Runtime: the CPU, and NVIDIA GPUs through its CUDA provider."""

from __future__ import annotations

import re
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dgqa_infer.errors import BackendError, UsageError

_DEVICE = re.compile(r"cpu|cuda(?::(\d+))?")
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_INSTALL = {"cpu": "pip install 'dgqa-infer[cpu]'", "cuda": "pip install 'dgqa-infer[gpu]'"}
_LOG_FATAL = 4


class OnnxRuntimeBackend:
    """A graph loaded into ONNX Runtime on the device that was asked for, and on no other.

    Attributes:
        name: "onnxruntime".
        device: "cpu" or "cuda:N".
    """

    name = "onnxruntime"

    def __init__(self, graph: bytes, device: str = "cpu", threads: int | None = None) -> None:
        """Load a graph.

        Args:
            graph: a serialised ONNX model, as `Bundle.graph_bytes` returns it.
            device: "cpu", "cuda" or "cuda:N".
            threads: of the CPU for one batch; None leaves it to the runtime, which takes every core.

        Raises:
            BackendError: the runtime is not installed, or cannot run the graph on that device.
            UsageError: the device's name is none of these.
        """
        if (match := _DEVICE.fullmatch(device)) is None:
            raise UsageError(f"device {device!r} is neither 'cpu' nor 'cuda' nor 'cuda:N'")
        kind, _, number = device.partition(":")
        runtime = _import(kind)
        options = runtime.SessionOptions()
        options.log_severity_level = _LOG_FATAL
        if threads is not None:
            options.intra_op_num_threads = threads
        # Waiting threads that spin would take the cores from the workers that decode the next photographs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        settings: dict[str, Any] = {}
        if kind == "cuda":
            # TF32 would round inside convolutions; the fixed search keeps the first call of each shape short.
            settings = {"device_id": int(number or 0), "use_tf32": 0, "cudnn_conv_algo_search": "HEURISTIC"}
        self.device = "cpu" if match.group(0) == "cpu" else f"cuda:{int(number or 0)}"
        self._session: Any = _open(runtime, graph, options, kind, settings)
        self._input: str = self._session.get_inputs()[0].name
        self._outputs: list[str] = [output.name for output in self._session.get_outputs()]

    def infer(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Run the graph; see `Backend.infer`. A batch too large for the device's memory is halved."""
        if self._session is None:
            raise BackendError("this backend is closed")
        try:
            values = self._session.run(self._outputs, {self._input: crops})
        except Exception as error:
            if len(crops) > 1 and "alloc" in str(error).lower():
                half = len(crops) // 2
                first, second = self.infer(crops[:half]), self.infer(crops[half:])
                return {name: np.concatenate([first[name], second[name]]) for name in first}
            raise BackendError(f"ONNX Runtime failed on {self.device}: {_first_line(error)}") from error
        return dict(zip(self._outputs, values, strict=True))

    def close(self) -> None:
        """Free the device."""
        self._session = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _import(kind: str) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendError(f"ONNX Runtime is not installed: {_INSTALL[kind]}") from error
    if kind == "cuda" and _PROVIDERS[kind] not in onnxruntime.get_available_providers():
        raise BackendError(
            f"this ONNX Runtime ({onnxruntime.__version__}) has no CUDA: "
            f"pip uninstall onnxruntime && {_INSTALL[kind]}"
        )
    if kind == "cuda" and hasattr(onnxruntime, "preload_dlls"):
        # CUDA and cuDNN may come from pip packages, which the loader does not search by itself.
        onnxruntime.preload_dlls(directory="")
    return onnxruntime


def _open(runtime: Any, graph: bytes, options: Any, kind: str, settings: dict[str, Any]) -> Any:
    wanted = _PROVIDERS[kind]
    try:
        session = runtime.InferenceSession(graph, options, providers=[(wanted, settings)])
    except Exception as error:
        raise BackendError(f"ONNX Runtime cannot load the graph on {kind}: {_first_line(error)}") from error
    if session.get_providers()[0] != wanted:
        # Measured: where CUDA cannot start, the runtime takes the CPU and says nothing.
        raise BackendError(
            f"{kind} was asked for, but ONNX Runtime would run on the CPU: is there an NVIDIA GPU with a "
            f"driver for CUDA 13, and are its libraries installed ({_INSTALL[kind]})?"
        )
    return session


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
