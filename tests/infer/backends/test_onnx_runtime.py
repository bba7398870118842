from __future__ import annotations

import sys
import threading
from typing import Any

import numpy as np
import onnxruntime
import pytest

from dgqa_infer.backends import gpu
from dgqa_infer.backends.base import Backend
from dgqa_infer.backends.choice import open_backend
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend, open_session
from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.errors import BackendError, UsageError


@pytest.fixture
def graph(tiny_bundle: Any) -> bytes:
    return Bundle.load(tiny_bundle).graph_bytes("model.onnx")


def crops(count: int) -> Any:
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_any_batch_gives_one_quality_a_crop(graph: bytes, count: int) -> None:
    with OnnxRuntimeBackend(graph, threads=1) as backend:
        assert isinstance(backend, Backend)
        outputs = backend.infer(crops(count))
    assert outputs["quality"] == pytest.approx(crops(count).mean(axis=(1, 2, 3)) / 25.5, abs=1e-5)
    assert outputs["quality_map"].mean(axis=(1, 2)) == pytest.approx(outputs["quality"], abs=1e-5)
    assert outputs["quality"].dtype == np.float32


def test_on_a_cpu_a_large_batch_goes_through_in_parts(graph: bytes) -> None:
    with OnnxRuntimeBackend(graph, threads=1) as backend:
        whole, sizes = backend._run, []

        def run(stack: Any) -> Any:
            sizes.append(len(stack))
            return whole(stack)  # type: ignore[misc]

        backend._run = run
        outputs = backend.infer(crops(23))
    assert sizes == [10, 10, 3]
    assert outputs["quality"] == pytest.approx(crops(23).mean(axis=(1, 2, 3)) / 25.5, abs=1e-5)
    assert outputs["quality_map"].shape == (23, 2, 2)


def test_a_closed_backend_is_an_error(graph: bytes) -> None:
    backend = OnnxRuntimeBackend(graph)
    backend.close()
    with pytest.raises(BackendError, match="closed"):
        backend.infer(crops(1))


class Closing(np.ndarray):
    """Crops during whose inference another thread closes the backend."""

    backend: Backend

    def __len__(self) -> int:
        thread = threading.Thread(target=self.backend.close)
        thread.start()
        thread.join()
        return super().__len__()


def test_a_backend_that_is_closed_while_it_infers_ends_its_batch(graph: bytes) -> None:
    backend = OnnxRuntimeBackend(graph)
    batch = crops(2).view(Closing)
    batch.backend = backend
    assert backend.infer(batch)["quality"] == pytest.approx(crops(2).mean(axis=(1, 2, 3)) / 25.5, abs=1e-5)
    with pytest.raises(BackendError, match="closed"):
        backend.infer(crops(1))


def test_of_a_containers_share_of_the_cores_no_more_threads_are_started(
    graph: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dgqa_infer.system.visible_cores", lambda: 64)
    monkeypatch.setattr("dgqa_infer.system.cores", lambda: 3)
    assert open_session(graph, "cpu").get_session_options().intra_op_num_threads == 3
    assert open_session(graph, "cpu", 2).get_session_options().intra_op_num_threads == 2
    # ONNX Runtime counts the cores itself where it is told 0.
    monkeypatch.setattr("dgqa_infer.system.cores", lambda: 64)
    assert open_session(graph, "cpu").get_session_options().intra_op_num_threads == 0


@pytest.mark.parametrize("device", ["tpu", "cuda:", "cuda:x", "CPU", "cpu:0", ""])
def test_a_device_that_is_none_is_a_usage_error(graph: bytes, device: str) -> None:
    with pytest.raises(UsageError, match="neither"):
        OnnxRuntimeBackend(graph, device)


def test_crops_of_another_size_are_a_backend_error(graph: bytes) -> None:
    with OnnxRuntimeBackend(graph) as backend, pytest.raises(BackendError, match="failed on cpu"):
        backend.infer(np.zeros((1, 16, 16, 3), np.uint8))


def test_a_graph_that_cannot_be_loaded_is_a_backend_error() -> None:
    with pytest.raises(BackendError, match="cannot load the graph on cpu"):
        OnnxRuntimeBackend(b"nonsense")


@pytest.mark.parametrize(("device", "extra"), [("cpu", "cpu"), ("cuda", "gpu")])
def test_a_missing_runtime_names_the_command_that_installs_it(
    graph: bytes, monkeypatch: pytest.MonkeyPatch, device: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BackendError) as error:
        OnnxRuntimeBackend(graph, device)
    assert str(error.value) == f"ONNX Runtime is not installed: pip install 'dgqa-infer[{extra}]'"


def test_cuda_without_a_runtime_for_it_is_refused(graph: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(BackendError, match=r"no CUDA: .*dgqa-infer\[gpu\]"):
        OnnxRuntimeBackend(graph, "cuda:1")


def test_a_silent_fall_back_to_the_cpu_is_refused(
    graph: bytes, monkeypatch: pytest.MonkeyPatch, a_gpu: gpu.Gpu
) -> None:
    """What onnxruntime-gpu does without a GPU: CUDA is listed, and the session runs on the CPU."""
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda **_: None)
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda data, options, **_: real(data, options, providers=["CPUExecutionProvider"]),
    )
    with pytest.raises(
        BackendError, match="CUDA provider does not start: it gives no reason; has the GPU a dr"
    ):
        OnnxRuntimeBackend(graph, "cuda")


def test_auto_takes_the_cpu_where_no_gpu_works(tiny_bundle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with open_backend(Bundle.load(tiny_bundle), "model.onnx", "auto") as backend:
        assert backend.device == "cpu"


def test_a_batch_that_does_not_fit_is_halved_until_it_does(graph: bytes) -> None:
    short_of_memory = "Failed to allocate memory for requested buffer of size 12345"
    backend, sizes = limited(graph, 2, short_of_memory)
    quality = backend.infer(crops(5))["quality"]
    assert quality == pytest.approx(crops(5).mean(axis=(1, 2, 3)) / 25.5, abs=1e-5)
    assert sizes == [5, 4, 2, 2, 1]


@pytest.mark.parametrize(
    "message",
    [
        "Failed to allocate memory for requested buffer of size 12345",
        "CUDA failure 2: out of memory ; GPU=0 ; file=cuda_stream_handle.cc ; line=175",
        "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; expr=cublasCreate(&cublas_handle_)",
    ],
)
def test_what_fits_is_remembered_for_the_next_batches(graph: bytes, message: str) -> None:
    """Messages are those that people have reported of ONNX Runtime."""
    backend, sizes = limited(graph, 2, message)
    backend.infer(crops(4))
    sizes.clear()
    quality = backend.infer(crops(5))["quality"]
    assert quality == pytest.approx(crops(5).mean(axis=(1, 2, 3)) / 25.5, abs=1e-5)
    assert sizes == [2, 2, 1]


def limited(graph: bytes, most: int, message: str) -> tuple[OnnxRuntimeBackend, list[int]]:
    """A backend whose session fails for more crops, and the sizes that it was given."""
    backend = OnnxRuntimeBackend(graph)
    whole, sizes = backend._run, []

    def run(stack: Any) -> Any:
        sizes.append(len(stack))
        if len(stack) > most:
            raise RuntimeError(message)
        return whole(stack)  # type: ignore[misc]

    backend._run = run
    return backend, sizes


def test_a_single_crop_that_does_not_fit_is_an_error(graph: bytes) -> None:
    backend, _ = limited(graph, 0, "Failed to allocate memory\nand more")
    with pytest.raises(BackendError, match=r"failed on cpu: Failed to allocate memory$"):
        backend.infer(crops(2))
