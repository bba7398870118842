"""ONNX → TensorRT engine, for this GPU and this TensorRT, kept in the private cache with its sidecar.

The network is strongly typed: the graph's own types are the precision. The same code drives `tensorrt` and
`tensorrt_rtx`; the latter also builds where there is no GPU.
"""

from __future__ import annotations

import hashlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from dgqa_export.graphs.contract import INPUT, check, parse
from dgqa_export.graphs.packing import unpack
from dgqa_export.precisions.precision import precision_of
from dgqa_export.precisions.quantization import symmetric
from dgqa_infer.backends import gpu
from dgqa_infer.backends.tensorrt import api as tensorrt_api
from dgqa_infer.backends.tensorrt.engine_cache import EngineCache
from dgqa_infer.backends.tensorrt.engine_key import BatchProfile, EngineKey, EngineRecord, Environment
from dgqa_infer.bundle.bundle import QUALITY_GRAPH, Bundle
from dgqa_infer.errors import BackendError, UsageError

Report = Callable[[str], None]
"""Told what TensorRT is doing, in its words; from any thread."""

DEFAULT_PROFILE = BatchProfile(1, 8, 32)

_NO_GPU = "none"
_FLAGS = {
    "version-compatible": ("VERSION_COMPATIBLE", "EXCLUDE_LEAN_RUNTIME"),
    "stripped": ("STRIP_PLAN", "REFIT_IDENTICAL"),
}


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How an engine is built.

    Attributes:
        profile: batch sizes.
        workspace: memory of the GPU that a layer may use for scratch, in bytes.
        version_compatible: later versions of TensorRT shall run it. Slower.
        hardware_compatible: other GPUs from Ampere on shall run it. Slower.
        stripped: without the weights, which are put in at load from the graph. Small on disk.
    """

    profile: BatchProfile = DEFAULT_PROFILE
    workspace: int = 1 << 30
    version_compatible: bool = False
    hardware_compatible: bool = False
    stripped: bool = False

    def words(self) -> tuple[str, ...]:
        """The options of the engine's key."""
        chosen = {
            "hardware-compatible": self.hardware_compatible,
            "stripped": self.stripped,
            "version-compatible": self.version_compatible,
        }
        return tuple(word for word, wanted in chosen.items() if wanted)


def environment(trt: ModuleType, device: int = 0) -> Environment:
    """What an engine that is built here depends on.

    Args:
        trt: what `tensorrt_api.load` returned.
        device: index of the GPU.

    Raises:
        BackendError: there is no such GPU, which only TensorRT-RTX can do without.
    """
    flavour = tensorrt_api.flavour_of(trt)
    try:
        here = gpu.gpu(device)
    except BackendError:
        if flavour != "tensorrt_rtx":
            raise
        return Environment(flavour, trt.__version__, _NO_GPU, _NO_GPU, _NO_GPU)
    return Environment(flavour, trt.__version__, here.name, here.compute_capability, here.driver)


def build_for_bundle(
    bundle: Bundle,
    options: BuildOptions,
    cache: EngineCache,
    *,
    flavour: str | None = None,
    report: Report = lambda _: None,
) -> EngineRecord:
    """Build the engine of a bundle's quality graph, or find it built already.

    Args:
        bundle: verified.
        options: how to build.
        cache: where the engine is kept.
        flavour: "tensorrt" or "tensorrt_rtx"; None for whichever is installed.
        report: called with what TensorRT is doing.

    Raises:
        BackendError: TensorRT or the GPU is missing, or refuses; says why.
        OutputError: the cache cannot be written.
    """
    trt = tensorrt_api.load(flavour)
    graph = bundle.graph_bytes(QUALITY_GRAPH)
    key = EngineKey(
        graph=hashlib.sha256(graph).hexdigest(),
        precision=bundle.card.precision,
        preprocessing=bundle.card.preprocessing.id,
        environment=environment(trt),
        profile=options.profile,
        options=options.words(),
    )
    if (record := _reusable(cache, key, report)) is not None:
        return record
    start = time.monotonic()
    timing = cache.folder / f"{hashlib.sha256(repr(key.environment).encode()).hexdigest()[:24]}.timing"
    timings = timing.read_bytes() if timing.is_file() else b""
    plan, timings = build(trt, graph, options, timings=timings, report=report)
    record = cache.store(key, bundle.card.name, plan, time.monotonic() - start)
    if timings:
        cache.write(timing.name, timings)
    here = key.environment
    for other in list(cache.records()):
        same = other.key.graph == key.graph and other.key.environment.gpu == here.gpu
        if same and other.key.obstacle(here) is not None:
            cache.remove(other)
    return record


def _reusable(cache: EngineCache, key: EngineKey, report: Report) -> EngineRecord | None:
    """The engine of this very key, if its bytes are sound; says why another cannot be used."""
    for record in cache.records():
        obstacle = record.key.obstacle(key.environment)
        if record.key == key:
            try:
                cache.plan(record)
            except BackendError as error:
                report(f"building anew: {error}")
                return None
            return record
        if record.key.graph == key.graph and obstacle is not None:
            report(f"building anew: {obstacle}")
    return None


def build(
    trt: ModuleType,
    graph: bytes,
    options: BuildOptions,
    *,
    timings: bytes = b"",
    report: Report = lambda _: None,
) -> tuple[bytes, bytes]:
    """Build an engine.

    Args:
        trt: what `tensorrt_api.load` returned.
        graph: an ONNX model that keeps `dgqa_export.graphs.contract`, in any precision.
        options: how to build.
        timings: what an earlier build measured on the same GPU with the same version; empty for none.
        report: called with what TensorRT is doing.

    Returns:
        The plan, and what was measured; empty for TensorRT-RTX, which measures when it runs.

    Raises:
        BackendError: TensorRT cannot start or refuses the graph; in its own words.
        KeyboardInterrupt: the user stopped it; nothing is left behind.
        ModelError: the graph breaks the contract.
        UsageError: the options do not go with the graph.
    """
    side = check(graph).side
    plain = unpack(graph)
    is_int8 = precision_of(parse(plain)) == "int8"
    if options.stripped and (is_int8 or len(parse(plain).graph.node) < len(parse(graph).graph.node)):
        word = "int8" if is_int8 else "packed"
        raise UsageError(f"the engine of a graph that is {word} cannot be stripped: its weights are others")
    graph = symmetric(plain) if is_int8 else plain
    log = tensorrt_api.Log(trt)
    builder = _builder(trt, log)
    network, parser = _parse(trt, builder, graph, log)
    config = _config(trt, builder, options)
    profile = builder.create_optimization_profile()
    sizes = options.profile
    profile.set_shape(INPUT, *((n, side, side, 3) for n in (sizes.smallest, sizes.usual, sizes.largest)))
    if config.add_optimization_profile(profile) < 0:
        raise log.failure(f"refuses the batch sizes {sizes}")
    measures = tensorrt_api.flavour_of(trt) == "tensorrt"
    if measures:
        _use_timings(config, timings)
    with _stoppable() as stopped:
        monitor = _monitor(trt, report, stopped)
        config.progress_monitor = monitor
        plan = builder.build_serialized_network(network, config)
    del parser  # it holds weights that the network reads
    if stopped.is_set():
        raise KeyboardInterrupt
    if plan is None:
        raise _with_advice(log.failure("cannot build the engine"), options)
    return bytes(plan), bytes(config.get_timing_cache().serialize()) if measures else b""


def _parse(trt: ModuleType, builder: Any, graph: bytes, log: tensorrt_api.Log) -> tuple[Any, Any]:
    """The network, and the parser, which holds its weights and must outlive the build."""
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log.logger)
    if not parser.parse(graph):
        errors = [parser.get_error(number) for number in range(parser.num_errors)]
        words = "; ".join(
            f"node {error.node_name()!r} ({error.node_operator()}): {error.desc()}" for error in errors
        )
        raise BackendError(f"TensorRT cannot read the graph: {words or log.failure('says').args[0]}")
    return network, parser


def _builder(trt: ModuleType, log: tensorrt_api.Log) -> Any:
    try:
        return trt.Builder(log.logger)
    except TypeError as error:
        # What TensorRT answers where no GPU can be used: "factory function returned nullptr".
        raise log.failure("cannot start its builder") from error


def _config(trt: ModuleType, builder: Any, options: BuildOptions) -> Any:
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace)
    # TF32 would round inside fp32 convolutions, beyond the tolerance of fp32.
    config.clear_flag(trt.BuilderFlag.TF32)
    for word in options.words():
        for name in _FLAGS.get(word, ()):
            if (flag := getattr(trt.BuilderFlag, name, None)) is None:
                raise BackendError(f"{trt.__name__} {trt.__version__} makes no {word} engines")
            config.set_flag(flag)
    if options.hardware_compatible:
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
    return config


def _use_timings(config: Any, timings: bytes) -> None:
    """Give the builder what was measured before; start anew if it is of another version, or damaged."""
    for data in (timings, b""):
        cache = config.create_timing_cache(data)
        if cache is not None and config.set_timing_cache(cache, ignore_mismatch=False):
            return


def _with_advice(error: BackendError, options: BuildOptions) -> BackendError:
    if "memory" in str(error).lower():
        largest, workspace = options.profile.largest, options.workspace >> 20
        return BackendError(
            f"{error}; try a largest batch below {largest}, or less workspace than {workspace} MB"
        )
    return error


def _monitor(trt: ModuleType, report: Report, stopped: threading.Event) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, _parent_phase: str | None, num_steps: int) -> None:
            self.steps[phase_name] = num_steps

        def step_complete(self, phase_name: str, step: int) -> bool:
            report(f"{phase_name}: {step + 1} of {self.steps.get(phase_name, step + 1)}")
            return not stopped.is_set()

        def phase_finish(self, phase_name: str) -> None:
            self.steps.pop(phase_name, None)

    return Monitor()


@contextmanager
def _stoppable() -> Iterator[threading.Event]:
    """While TensorRT builds, Ctrl-C only sets a flag: an exception must not cross its C++ frames."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = signal.signal(signal.SIGINT, lambda *_: stopped.set())
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)
