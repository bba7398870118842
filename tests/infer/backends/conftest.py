"""A CUDA runtime and a TensorRT of our own, for machines without a GPU.

They keep to the interface of NVIDIA's (names, argument order, results as tuples, None for an answer that
failed), and do the work on the CPU: memory is the process's own, an engine is an ONNX file that ONNX
Runtime runs. What is tested with them is this side of the interface: buffers, batch sizes, recording,
errors, and that everything is freed.
"""

from __future__ import annotations

import ctypes
import enum
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from dgqa_infer.backends import gpu
from dgqa_infer.backends.tensorrt.engine_cache import EngineCache
from dgqa_infer.backends.tensorrt.engine_key import BatchProfile, EngineKey, EngineRecord, Environment
from dgqa_infer.bundle.bundle import Bundle

VERSION = "11.4.0.106"
HERE = Environment("tensorrt", VERSION, "NVIDIA Test 1", "9.0", "580.1")
PLAN = b"PLAN"


class Error(enum.IntEnum):
    cudaSuccess = 0
    cudaErrorMemoryAllocation = 2
    cudaErrorStreamCaptureUnsupported = 900


class FakeCuda(ModuleType):
    """cuda.bindings.runtime, with the calls that the backend makes."""

    cudaError_t = Error
    cudaStreamNonBlocking = 1
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)

    def __init__(self) -> None:
        super().__init__("cuda.bindings.runtime")
        self.live: dict[Any, Any] = {}
        self.capturing: list[Callable[[], None]] | None = None
        self.recorded = 0
        self.launched = 0
        self.records = True
        self.room = 1 << 30

    def _keep(self, thing: Any) -> int:
        address = ctypes.addressof(thing) if isinstance(thing, ctypes.Array) else id(thing)
        self.live[address] = thing
        return address

    def queue(self, work: Callable[[], None]) -> None:
        """Do it now, or remember it while a graph is recorded."""
        if self.capturing is None:
            work()
        else:
            self.capturing.append(work)

    def cudaSetDevice(self, device: int) -> tuple[Error]:
        return (Error.cudaSuccess,)

    def cudaGetErrorString(self, error: Error) -> tuple[Error, bytes]:
        return Error.cudaSuccess, b"out of memory" if error == 2 else error.name.encode()

    def cudaMemGetInfo(self) -> tuple[Error, int, int]:
        return Error.cudaSuccess, self.room, 80 << 30

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[Error, int]:
        return Error.cudaSuccess, self._keep(SimpleNamespace(kind="stream"))

    def _allocate(self, size: int) -> tuple[Error, int | None]:
        if size > self.room:
            return Error.cudaErrorMemoryAllocation, None
        return Error.cudaSuccess, self._keep((ctypes.c_char * size)())

    cudaMalloc = cudaMallocHost = _allocate

    def _free(self, thing: Any) -> tuple[Error]:
        del self.live[thing if isinstance(thing, int) else id(thing)]
        return (Error.cudaSuccess,)

    cudaFree = cudaFreeHost = cudaStreamDestroy = cudaGraphDestroy = cudaGraphExecDestroy = _free

    def cudaMemcpyAsync(self, target: int, source: int, size: int, kind: int, stream: int) -> tuple[Error]:
        assert stream in self.live
        self.queue(lambda: ctypes.memmove(target, source, size) and None)
        return (Error.cudaSuccess,)

    def cudaStreamSynchronize(self, stream: int) -> tuple[Error]:
        assert self.capturing is None
        return (Error.cudaSuccess,)

    def cudaStreamBeginCapture(self, stream: int, mode: int) -> tuple[Error]:
        self.capturing = []
        return (Error.cudaSuccess,)

    def cudaStreamEndCapture(self, stream: int) -> tuple[Error, Any]:
        work, self.capturing = self.capturing, None
        if not self.records:
            return Error.cudaErrorStreamCaptureUnsupported, None
        graph = SimpleNamespace(work=work)
        self._keep(graph)
        return Error.cudaSuccess, graph

    def cudaGraphInstantiate(self, graph: Any, flags: int) -> tuple[Error, Any]:
        self.recorded += 1
        ready = SimpleNamespace(work=graph.work)
        self._keep(ready)
        return Error.cudaSuccess, ready

    def cudaGraphLaunch(self, ready: Any, stream: int) -> tuple[Error]:
        self.launched += 1
        for work in ready.work:
            work()
        return (Error.cudaSuccess,)


class FakeTensorRt(ModuleType):
    """tensorrt, as far as running an engine goes."""

    TensorIOMode = enum.Enum("TensorIOMode", ["NONE", "INPUT", "OUTPUT"])
    DataType = enum.Enum("DataType", ["FLOAT", "HALF", "UINT8"])

    class ILogger:
        INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

        def __init__(self) -> None: ...

    def __init__(self, cuda: FakeCuda) -> None:
        super().__init__("tensorrt")
        self.__version__ = VERSION
        self.refitted: list[bytes] = []
        self.runtimes: list[Any] = []
        self.input_type = self.DataType.UINT8
        outer = self

        class Runtime:
            def __init__(self, logger: Any) -> None:
                self.logger = logger
                self.engine_host_code_allowed = True
                outer.runtimes.append(self)

            def deserialize_cuda_engine(self, plan: bytes) -> Any:
                if not plan.startswith(PLAN):
                    self.logger.log(outer.ILogger.ERROR, "Serialization assertion magicTagRead == kMAGIC_TAG")
                    return None
                return _Engine(outer, cuda, plan.removeprefix(PLAN))

        class Refitter:
            def __init__(self, engine: Any, logger: Any) -> None: ...

            def refit_cuda_engine(self) -> bool:
                return True

        class OnnxParserRefitter:
            def __init__(self, refitter: Any, logger: Any) -> None: ...

            def refit_from_bytes(self, graph: bytes) -> bool:
                outer.refitted.append(graph)
                return True

        self.Runtime, self.Refitter, self.OnnxParserRefitter = Runtime, Refitter, OnnxParserRefitter


class _Engine:
    def __init__(self, trt: FakeTensorRt, cuda: FakeCuda, graph: bytes) -> None:
        self.trt, self.cuda = trt, cuda
        self.session = onnxruntime.InferenceSession(graph)
        self.names = [port.name for port in (*self.session.get_inputs(), *self.session.get_outputs())]
        self.num_io_tensors = len(self.names)
        self.contexts = 0

    def get_tensor_name(self, number: int) -> str:
        return self.names[number]

    def get_tensor_mode(self, name: str) -> Any:
        return self.trt.TensorIOMode.INPUT if name == "crops" else self.trt.TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> Any:
        return self.trt.input_type if name == "crops" else self.trt.DataType.FLOAT

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        ports = (*self.session.get_inputs(), *self.session.get_outputs())
        (shape,) = [port.shape for port in ports if port.name == name]
        return (-1, *shape[1:])

    def create_execution_context(self) -> Any:
        self.contexts += 1
        return _Context(self)


class _Context:
    def __init__(self, engine: _Engine) -> None:
        self.engine = engine
        self.addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shape = shape
        return True

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        self.engine.cuda.queue(self._run)
        return True

    def _run(self) -> None:
        size = int(np.prod(self.shape))
        pixels = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(self.addresses["crops"]))
        session = self.engine.session
        names = [port.name for port in session.get_outputs()]
        for name, values in zip(
            names, session.run(names, {"crops": pixels.reshape(self.shape)}), strict=True
        ):
            ctypes.memmove(self.addresses[name], values.tobytes(), values.nbytes)


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    """A GPU with its driver and its runtime."""
    fake = FakeCuda()
    for name in ("cuda", "cuda.bindings"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", fake)
    found = gpu.Gpu(0, HERE.gpu, HERE.compute_capability, 80 << 30, HERE.driver)
    monkeypatch.setattr(gpu, "gpus", lambda: (found,))
    return fake


@pytest.fixture
def trt(cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> FakeTensorRt:
    fake = FakeTensorRt(cuda)
    monkeypatch.setitem(sys.modules, "tensorrt", fake)
    return fake


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EngineCache:
    """The user's own cache, elsewhere."""
    monkeypatch.setenv("DGQA_CACHE", str(tmp_path / "cache"))
    return EngineCache()


@pytest.fixture
def store(cache: EngineCache, tiny_bundle: Path) -> Callable[..., EngineRecord]:
    """Put an engine of the tiny bundle into the cache; changes to its key by name."""

    def put(plan: bytes | None = None, **changes: Any) -> EngineRecord:
        graph = Bundle.load(tiny_bundle).graph_bytes("model.onnx")
        fields: dict[str, Any] = {
            "graph": hashlib.sha256(graph).hexdigest(),
            "precision": "fp32",
            "preprocessing": Bundle.load(tiny_bundle).card.preprocessing.id,
            "environment": HERE,
            "profile": BatchProfile(1, 4, 16),
        }
        return cache.store(EngineKey(**fields | changes), "tiny", PLAN + graph if plan is None else plan, 1.5)

    return put
