"""The few calls of the CUDA runtime that a backend needs, by NVIDIA's own bindings and without torch."""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable
from contextlib import ExitStack, suppress
from types import ModuleType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dgqa_infer.errors import BackendError

_INSTALL = "pip install 'dgqa-infer[tensorrt]'"


def load() -> ModuleType:
    """Import the bindings.

    Raises:
        BackendError: they are not installed, or do not find CUDA; says which.
    """
    try:
        return importlib.import_module("cuda.bindings.runtime")
    except ModuleNotFoundError as error:
        raise BackendError(f"the package cuda-python is not installed: {_INSTALL}") from error
    except (ImportError, OSError, RuntimeError) as error:
        raise BackendError(f"the package cuda-python does not find CUDA ({error}): {_INSTALL}") from error


class Cuda:
    """One stream on one GPU, and all that was allocated with it; `close` frees everything.

    Attributes:
        stream: the stream's handle, a number.
    """

    def __init__(self, device: int) -> None:
        """Choose a GPU and open a stream.

        Raises:
            BackendError: the bindings are missing, or the GPU cannot be used.
        """
        self._runtime: Any = load()
        self._device = device
        self._cleanup = ExitStack()
        self.call("cudaSetDevice", device)
        stream = self.call("cudaStreamCreateWithFlags", self._runtime.cudaStreamNonBlocking)
        self._cleanup.callback(self._quietly, "cudaStreamDestroy", stream)
        self.stream = int(stream)

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a function of the runtime; returns its result, if it has one.

        Raises:
            BackendError: it reports an error; in CUDA's words, and with what is free where memory is short.
        """
        status, *results = getattr(self._runtime, name)(*arguments)
        if status != self._runtime.cudaError_t.cudaSuccess:
            _, text = self._runtime.cudaGetErrorString(status)
            words = text.decode() if isinstance(text, bytes) else str(text)
            if status == self._runtime.cudaError_t.cudaErrorMemoryAllocation:
                words += self._free_memory()
            raise BackendError(f"CUDA cannot {name.removeprefix('cuda')} on cuda:{self._device}: {words}")
        return results[0] if results else None

    def pinned(self, shape: tuple[int, ...], kind: type[np.generic]) -> NDArray[Any]:
        """An array in memory that the GPU copies from and to without a detour."""
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        address = int(self.call("cudaMallocHost", size))
        self._cleanup.callback(self._quietly, "cudaFreeHost", address)
        buffer = (ctypes.c_char * size).from_address(address)
        return np.ndarray(shape, np.dtype(kind), buffer=buffer)  # type: ignore[arg-type]

    def device(self, size: int) -> int:
        """Memory on the GPU; its address."""
        address = int(self.call("cudaMalloc", size))
        self._cleanup.callback(self._quietly, "cudaFree", address)
        return address

    def upload(self, target: int, source: NDArray[Any]) -> None:
        """Queue a copy from pinned memory to the GPU."""
        self._copy(target, source.ctypes.data, source.nbytes, "cudaMemcpyHostToDevice")

    def download(self, target: NDArray[Any], source: int) -> None:
        """Queue a copy from the GPU to pinned memory."""
        self._copy(target.ctypes.data, source, target.nbytes, "cudaMemcpyDeviceToHost")

    def synchronize(self) -> None:
        """Wait until all that was queued is done."""
        self.call("cudaStreamSynchronize", self.stream)

    def record(self, work: Callable[[], None]) -> Any | None:
        """Record what `work` queues as a CUDA graph that `launch` repeats; None if it cannot be recorded.

        The work must have run once before, so that nothing is allocated while it is recorded.
        """
        mode = self._runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self.call("cudaStreamBeginCapture", self.stream, mode)
        try:
            work()
        except BackendError:
            with suppress(BackendError):
                self.call("cudaStreamEndCapture", self.stream)
            return None
        try:
            recorded = self.call("cudaStreamEndCapture", self.stream)
            self._cleanup.callback(self._quietly, "cudaGraphDestroy", recorded)
            ready = self.call("cudaGraphInstantiate", recorded, 0)
        except BackendError:
            return None
        self._cleanup.callback(self._quietly, "cudaGraphExecDestroy", ready)
        return ready

    def launch(self, recorded: Any) -> None:
        """Queue a recorded graph."""
        self.call("cudaGraphLaunch", recorded, self.stream)

    def use(self) -> Self:
        """Make this GPU the calling thread's; another thread may have opened it."""
        self.call("cudaSetDevice", self._device)
        return self

    def close(self) -> None:
        """Free everything, in reverse order."""
        self._cleanup.close()

    def _copy(self, target: int, source: int, size: int, kind: str) -> None:
        direction = getattr(self._runtime.cudaMemcpyKind, kind)
        self.call("cudaMemcpyAsync", target, source, size, direction, self.stream)

    def _quietly(self, name: str, *arguments: Any) -> None:
        # At the end: an earlier error of the GPU comes back from every call, and was reported then.
        with suppress(BackendError):
            self.call(name, *arguments)

    def _free_memory(self) -> str:
        status, free, total = self._runtime.cudaMemGetInfo()
        if status != self._runtime.cudaError_t.cudaSuccess:
            return ""
        return f" ({free >> 20} of {total >> 20} MB are free; other programs may hold the rest)"
