"""TensorRT: engines that were built on this machine, run with pinned buffers, one stream and CUDA graphs."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dgqa_infer.backends import gpu
from dgqa_infer.backends.tensorrt import api as tensorrt_api
from dgqa_infer.backends.tensorrt.cuda import Cuda
from dgqa_infer.backends.tensorrt.engine_cache import EngineCache
from dgqa_infer.backends.tensorrt.engine_key import EngineRecord, Environment
from dgqa_infer.bundle.bundle import QUALITY_GRAPH, Bundle
from dgqa_infer.errors import BackendError

_INPUT = "crops"


@dataclass(slots=True)
class _Slot:
    """One batch size: a context with its shapes set, its outputs, and its recorded graph."""

    context: Any
    outputs: dict[str, NDArray[np.float32]]
    recorded: Any | None = None


class TensorRtBackend:
    """An engine loaded onto one GPU.

    A batch is filled up to one of three sizes (the profile's smallest, usual and largest): each has
    kernels, buffers and a CUDA graph of its own, and a score does not depend on how many photographs came
    along.

    Attributes:
        name: "tensorrt" or "tensorrt_rtx".
        device: "cuda:N".
        cpu_operators: none: an engine runs whole on its GPU.
        record: what the engine was built from.
        cuda_graphs: whether every batch size that has run was recorded as a CUDA graph.
    """

    cpu_operators: tuple[str, ...] = ()

    def __init__(
        self, trt: ModuleType, plan: bytes, record: EngineRecord, graph: bytes, device: int = 0
    ) -> None:
        """Load an engine.

        Args:
            trt: what `tensorrt_api.load` returned.
            plan: the engine's verified bytes.
            record: its sidecar.
            graph: the ONNX file that it was built from; its weights are put into a stripped engine.
            device: index of the GPU.

        Raises:
            BackendError: the GPU cannot be used, or the engine cannot be loaded.
        """
        self.name = tensorrt_api.flavour_of(trt)
        self.device = f"cuda:{device}"
        self.record = record
        self.cuda_graphs = True
        self._slots: dict[int, _Slot] = {}
        # A batch runs through memory that `close` frees, and through the same buffers as every other.
        self._one_at_a_time = threading.Lock()
        self._engine: Any = None
        self._runtime: Any = None
        self._cuda: Cuda | None = Cuda(device)
        try:
            self._log = tensorrt_api.Log(trt)
            self._runtime = trt.Runtime(self._log.logger)
            # An engine with code for the host could run anything; ours have none.
            self._runtime.engine_host_code_allowed = False
            self._engine = self._runtime.deserialize_cuda_engine(plan)
            if self._engine is None:
                raise self._log.failure("cannot load its engine")
            if "stripped" in record.key.options:
                self._refit(trt, graph)
            self._allocate(trt, self._cuda)
        except BaseException:
            self.close()
            raise

    def infer(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Run the engine; see `Backend.infer`. Larger batches than the engine takes are cut."""
        with self._one_at_a_time:
            if self._cuda is None:
                raise BackendError("this backend is closed")
            return self._infer(self._cuda.use(), crops)

    def _infer(self, cuda: Cuda, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        if crops.shape[1:] != self._pixels.shape[1:] or crops.dtype != np.uint8:
            raise BackendError(
                f"the engine takes uint8 [batch, {', '.join(map(str, self._pixels.shape[1:]))}]"
            )
        largest = self.record.key.profile.largest
        parts = [self._run(cuda, crops[start : start + largest]) for start in range(0, len(crops), largest)]
        return {name: np.concatenate([part[name] for part in parts]) for name in self._addresses}

    def close(self) -> None:
        """Free the device when the batch that runs has ended; see `Backend.close`."""
        with self._one_at_a_time:
            if self._cuda is not None:
                self._slots.clear()
                self._engine = self._runtime = None
                self._cuda.close()
                self._cuda = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _refit(self, trt: ModuleType, graph: bytes) -> None:
        refitter = trt.Refitter(self._engine, self._log.logger)
        parser = trt.OnnxParserRefitter(refitter, self._log.logger)
        if not parser.refit_from_bytes(graph) or not refitter.refit_cuda_engine():
            raise self._log.failure("cannot put the weights into its stripped engine")

    def _allocate(self, trt: ModuleType, cuda: Cuda) -> None:
        engine = self._engine
        names = [engine.get_tensor_name(number) for number in range(engine.num_io_tensors)]
        inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
        if inputs != [_INPUT] or engine.get_tensor_dtype(_INPUT) != trt.DataType.UINT8:
            raise BackendError(f"the engine's inputs are {inputs}, not uint8 [{_INPUT!r}]")
        largest = self.record.key.profile.largest
        self._pixels = cuda.pinned((largest, *tuple(engine.get_tensor_shape(_INPUT))[1:]), np.uint8)
        self._input_address = cuda.device(self._pixels.nbytes)
        self._addresses: dict[str, int] = {}
        self._host: dict[str, NDArray[np.float32]] = {}
        for name in names:
            if name == _INPUT:
                continue
            if engine.get_tensor_dtype(name) != trt.DataType.FLOAT:
                raise BackendError(f"the engine's output {name!r} is not float32")
            self._host[name] = cuda.pinned((largest, *tuple(engine.get_tensor_shape(name))[1:]), np.float32)
            self._addresses[name] = cuda.device(self._host[name].nbytes)

    def _run(self, cuda: Cuda, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        profile = self.record.key.profile
        size = next(n for n in (profile.smallest, profile.usual, profile.largest) if n >= len(crops))
        self._pixels[: len(crops)] = crops
        self._pixels[len(crops) : size] = 0
        if (slot := self._slots.get(size)) is None:
            slot = self._slots[size] = self._open(cuda, size)
        if slot.recorded is not None:
            cuda.launch(slot.recorded)
        else:
            self._queue(cuda, slot, size)
        cuda.synchronize()
        return {name: values[: len(crops)].copy() for name, values in slot.outputs.items()}

    def _open(self, cuda: Cuda, size: int) -> _Slot:
        """A context of its own for each size: a recorded graph is bound to its context's shapes."""
        context = self._engine.create_execution_context()
        if context is None:
            raise self._log.failure("cannot make room for a batch on the GPU")
        ready = context.set_input_shape(_INPUT, (size, *self._pixels.shape[1:]))
        ready = ready and context.set_tensor_address(_INPUT, self._input_address)
        for name, address in self._addresses.items():
            ready = ready and context.set_tensor_address(name, address)
        if not ready:
            raise self._log.failure(f"refuses a batch of {size}")
        slot = _Slot(context, {name: values[:size] for name, values in self._host.items()})
        # The first run may allocate and choose kernels, which a recording must not.
        self._queue(cuda, slot, size)
        cuda.synchronize()
        slot.recorded = cuda.record(lambda: self._queue(cuda, slot, size))
        self.cuda_graphs = self.cuda_graphs and slot.recorded is not None
        return slot

    def _queue(self, cuda: Cuda, slot: _Slot, size: int) -> None:
        cuda.upload(self._input_address, self._pixels[:size])
        if not slot.context.execute_async_v3(cuda.stream):
            raise self._log.failure("cannot run its engine")
        for name, values in slot.outputs.items():
            cuda.download(values, self._addresses[name])


def open_tensorrt(
    bundle: Bundle,
    graph: str,
    device: int = 0,
    *,
    flavour: str | None = None,
    cache: EngineCache | None = None,
) -> TensorRtBackend:
    """Load the engine of one of a bundle's graphs from the cache.

    Args:
        bundle: verified.
        graph: "model.onnx"; other graphs have no engines.
        device: index of the GPU.
        flavour: "tensorrt" or "tensorrt_rtx"; None for whichever is installed.
        cache: where engines are kept; None for the user's own.

    Raises:
        BackendError: TensorRT or the GPU is missing, there is no engine, or it is stale, damaged or
            foreign; says which, and how to build one.
    """
    if graph != QUALITY_GRAPH:
        raise BackendError(f"TensorRT engines are built of {QUALITY_GRAPH} alone, not of {graph}")
    found = gpu.gpu(device)  # first: it is quick to say no, and TensorRT is slow to import
    trt = tensorrt_api.load(flavour)
    here = Environment(
        tensorrt_api.flavour_of(trt), trt.__version__, found.name, found.compute_capability, found.driver
    )
    data = bundle.graph_bytes(graph)
    cache = cache or EngineCache()
    try:
        record = cache.find(hashlib.sha256(data).hexdigest(), bundle.card.preprocessing.id, here)
        plan = cache.plan(record)
    except BackendError as error:
        raise BackendError(f"{error}; build it: dgqa-infer export {bundle.path} --engine") from error
    return TensorRtBackend(trt, plan, record, data, device)
