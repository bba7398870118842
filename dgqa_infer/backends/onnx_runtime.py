"""ONNX Runtime: the CPU, and NVIDIA GPUs through its CUDA and TensorRT providers."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dgqa_infer.backends.batches import crops_a_call, in_parts, runtime_threads
from dgqa_infer.backends.bound_session import LARGEST, BoundSession
from dgqa_infer.backends.provider_start import why_not_started
from dgqa_infer.bundle import onnx_file
from dgqa_infer.errors import BackendError, UsageError
from dgqa_infer.processor import multiplies_int8

_DEVICE = re.compile(r"cpu|cuda(?::\d+)?")
_CPU, _CUDA, _TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
_PROVIDERS = {"cpu": _CPU, "cuda": _CUDA}
_WORDS = {_CPU: "CPU", _CUDA: "CUDA", _TENSORRT: "TensorRT"}
_INSTALL = {"cpu": "pip install 'dgqa-infer[cpu]'", "cuda": "pip install 'dgqa-infer[gpu]'"}
_LOG_FATAL = 4
# "Failed to allocate memory for requested buffer of size 1", "CUBLAS_STATUS_ALLOC_FAILED",
# "CUBLAS_STATUS_ALLOC_FAILED", "CUDA failure 2: out of memory".
_NO_MEMORY = re.compile("alloc|out of memory", re.IGNORECASE)


class OnnxRuntimeBackend:
    """A graph loaded into ONNX Runtime on the device that was asked for, and on no other.

    Attributes:
        name: "onnxruntime"; "onnxruntime-tensorrt" where its TensorRT provider runs.
        device: "cpu" or "cuda:N".
        cpu_operators: what runs on the CPU although the device is a GPU; see `Backend`.
    """

    def __init__(
        self,
        graph: bytes,
        device: str = "cpu",
        threads: int | None = None,
        *,
        tensorrt_cache: Path | None = None,
        cuda_graphs: bool = False,
    ) -> None:
        """Load a graph.

        Args:
            graph: a serialised ONNX model, as `Bundle.graph_bytes` returns it.
            device: "cpu", "cuda" or "cuda:N".
            threads: of the CPU for one batch; None for every core that this process may use.
            tensorrt_cache: run through the TensorRT provider, which keeps its engines in this folder; it must
                be private, and of this graph alone. None: through CUDA.
            cuda_graphs: record each batch size as a CUDA graph; only on a GPU.

        Raises:
            BackendError: the runtime is not installed, or cannot run the graph on that device.
            UsageError: the device's name is none of these.
        """
        kind, index = _parsed(device)
        runtime = _import(kind)
        self.name = "onnxruntime" if kind == "cpu" or tensorrt_cache is None else "onnxruntime-tensorrt"
        self.device = "cpu" if kind == "cpu" else f"cuda:{index}"
        session = open_session(graph, device, threads, tensorrt_cache=tensorrt_cache, cuda_graphs=cuda_graphs)
        self.cpu_operators = _cpu_operators(session) if kind == "cuda" else ()
        self._most = crops_a_call(threads) if kind == "cpu" else LARGEST
        # The session and what is bound to it are one thing, which `close` forgets at once.
        self._run: Callable[[NDArray[np.uint8]], dict[str, NDArray[np.float32]]] | None = (
            partial(_run, session)
            if kind == "cpu"
            else BoundSession(runtime, session, "cuda", index, cuda_graphs=cuda_graphs).run
        )

    def infer(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Run the graph; see `Backend.infer`.

        A batch that is too large for the device's memory is cut, and so are all that follow.
        """
        # Another thread may close this backend meanwhile: the batch then ends with what it began with.
        if (run := self._run) is None:
            raise BackendError("this backend is closed")
        if len(crops) <= self._most:
            try:
                return run(crops)
            except Exception as error:
                if len(crops) == 1 or not _NO_MEMORY.search(str(error)):
                    raise BackendError(
                        f"ONNX Runtime failed on {self.device}: {_first_line(error)}"
                    ) from error
            # The next smaller power of two: a GPU is given no other sizes.
            self._most = 1 << ((len(crops) - 1).bit_length() - 1)
        return in_parts(self.infer, crops, self._most)

    def close(self) -> None:
        """Free the device; see `Backend.close`."""
        self._run = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_session(
    graph: bytes,
    device: str,
    threads: int | None = None,
    *,
    tensorrt_cache: Path | None = None,
    cuda_graphs: bool = False,
    every_node: bool = False,
) -> Any:
    """A session of any graph; raises and takes what `OnnxRuntimeBackend` does.

    Args:
        graph: a serialised ONNX model.
        device: "cpu", "cuda" or "cuda:N".
        threads: of the CPU; None for every core that this process may use.
        tensorrt_cache: folder of the TensorRT provider's engines; None for CUDA.
        cuda_graphs: whether to record them.
        every_node: refuse the graph if a single node of it would run on the CPU instead.
    """
    kind, index = _parsed(device)
    runtime = _import(kind)
    options = runtime.SessionOptions()
    options.log_severity_level = _LOG_FATAL
    if (threads := runtime_threads(threads)) is not None:
        options.intra_op_num_threads = threads
    # Waiting threads that spin would take the cores from the workers that decode the next photographs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not multiplies_int8():
        # Its int8 kernels for such processors would add up products in 16 bits; these are slower, and exact.
        options.add_session_config_entry("session.x64quantprecision", "1")
    if kind == "cuda":
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if every_node and kind == "cuda":
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    providers: list[tuple[str, dict[str, Any]]] = [(_PROVIDERS[kind], {})]
    if kind == "cuda":
        providers = [(_CUDA, _cuda_settings(index, cuda_graphs))]
    if kind == "cuda" and tensorrt_cache is not None:
        providers.insert(0, (_TENSORRT, _tensorrt_settings(graph, index, tensorrt_cache)))
    return _open(runtime, graph, options, kind, providers)


def _run(session: Any, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    (source,) = session.get_inputs()
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {source.name: crops}), strict=True))


def _cpu_operators(session: Any) -> tuple[str, ...]:
    """The operators of the nodes that the runtime has put on the CPU."""
    parts = session.get_provider_graph_assignment_info()
    return tuple(node.op_type for part in parts if part.ep_name == _CPU for node in part.get_nodes())


def _parsed(device: str) -> tuple[str, int]:
    """The kind of device, "cpu" or "cuda", and its number."""
    if _DEVICE.fullmatch(device) is None:
        raise UsageError(f"device {device!r} is neither 'cpu' nor 'cuda' nor 'cuda:N'")
    kind, _, number = device.partition(":")
    return kind, int(number or 0)


def _import(kind: str) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendError(f"ONNX Runtime is not installed: {_INSTALL[kind]}") from error
    return onnxruntime


def _cuda_settings(index: int, cuda_graphs: bool) -> dict[str, Any]:
    # TF32 would round inside convolutions; the fixed search keeps the first call of each shape short.
    settings = {"device_id": index, "use_tf32": 0, "cudnn_conv_algo_search": "HEURISTIC"}
    return settings | ({"enable_cuda_graph": 1} if cuda_graphs else {})


def _tensorrt_settings(graph: bytes, index: int, cache: Path) -> dict[str, Any]:
    crop = "x".join(str(size) for size in _crop_shape(graph))
    return {
        "device_id": index,
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(cache),
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": str(cache),
        "trt_profile_min_shapes": f"crops:1x{crop}",
        "trt_profile_opt_shapes": f"crops:8x{crop}",
        "trt_profile_max_shapes": f"crops:{LARGEST}x{crop}",
    }


def _crop_shape(graph: bytes) -> tuple[object, ...]:
    (source,) = onnx_file.read(graph).inputs
    return (source.shape or ())[1:]


def _open(
    runtime: Any, graph: bytes, options: Any, kind: str, providers: list[tuple[str, dict[str, Any]]]
) -> Any:
    wanted = providers[0][0]
    if wanted not in runtime.get_available_providers():
        raise BackendError(
            f"this ONNX Runtime ({runtime.__version__}) has no {_WORDS[wanted]}: "
            f"pip uninstall onnxruntime && {_INSTALL[kind]}"
        )
    if kind == "cuda" and hasattr(runtime, "preload_dlls"):
        # CUDA and cuDNN may come from pip packages, which the loader does not search by itself.
        runtime.preload_dlls(directory="")
    try:
        # By itself it would write to stdout what failed, and go on with another provider.
        session = runtime.InferenceSession(graph, options, providers=providers, enable_fallback=0)
    except Exception as error:
        message = f"ONNX Runtime cannot load the graph on {kind}: {_first_line(error)}"
        if kind == "cuda" and (reason := why_not_started(runtime, *providers[0])):
            message = f"ONNX Runtime's {_WORDS[wanted]} provider does not start: {reason}"
        raise BackendError(message) from error
    if session.get_providers()[0] != wanted:
        # Measured: where CUDA cannot start, the runtime takes the CPU and says nothing.
        reason = why_not_started(runtime, *providers[0]) or (
            f"it gives no reason; has the GPU a driver for CUDA 13, and are its libraries those of "
            f"{_INSTALL[kind]}?"
        )
        raise BackendError(f"ONNX Runtime's {_WORDS[wanted]} provider does not start: {reason}")
    return session


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
