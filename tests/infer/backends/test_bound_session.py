"""Bound memory on the CPU, where it works as it does on a GPU: batches are filled, cut and never mixed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from dgqa_infer.backends.bound_session import LARGEST, BoundSession
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.errors import BackendError


@pytest.fixture
def graph(tiny_bundle: Path) -> bytes:
    return Bundle.load(tiny_bundle).graph_bytes("model.onnx")


def crops(count: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def grey(stack: Any) -> Any:
    return stack.mean(axis=(1, 2, 3)) / 25.5


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 65, 130])
def test_every_batch_comes_back_whole_and_in_order(graph: bytes, count: int) -> None:
    bound = BoundSession(onnxruntime, onnxruntime.InferenceSession(graph), "cpu", 0)
    first = bound.run(crops(count))
    second = bound.run(crops(count, 1))
    assert first["quality"] == pytest.approx(grey(crops(count)), abs=1e-5)
    assert second["quality"] == pytest.approx(grey(crops(count, 1)), abs=1e-5)
    assert first["quality_map"].shape == (count, 2, 2)


def test_the_callers_crops_are_left_as_they_are(graph: bytes) -> None:
    stack = crops(4)
    stack.flags.writeable = False
    BoundSession(onnxruntime, onnxruntime.InferenceSession(graph), "cpu", 0).run(stack)


def test_batch_sizes_are_powers_of_two(graph: bytes) -> None:
    bound = BoundSession(onnxruntime, onnxruntime.InferenceSession(graph), "cpu", 0)
    for count in (1, 2, 3, 4, 5, 8, 30, LARGEST + 1):
        bound.run(crops(count))
    assert sorted(bound._slots) == [1, 2, 4, 8, 32, LARGEST]


def test_cuda_is_bound_to_the_gpu_that_was_asked_for(graph: bytes, gpu_runtime: dict[str, Any]) -> None:
    with OnnxRuntimeBackend(graph, "cuda:1") as backend:
        assert backend.infer(crops(3))["quality"] == pytest.approx(grey(crops(3)), abs=1e-5)
        assert (backend.name, backend.device) == ("onnxruntime", "cuda:1")
    assert gpu_runtime["device"] == ("cuda", 1)
    ((name, settings),) = gpu_runtime["providers"]
    assert name == "CUDAExecutionProvider"
    assert settings == {"device_id": 1, "use_tf32": 0, "cudnn_conv_algo_search": "HEURISTIC"}


def test_cuda_graphs_are_asked_for_where_they_are_wanted(graph: bytes, gpu_runtime: dict[str, Any]) -> None:
    with OnnxRuntimeBackend(graph, "cuda", cuda_graphs=True) as backend:
        backend.infer(crops(3))
        (slot,) = backend._run.__self__._slots.values()  # type: ignore[union-attr]
        assert slot.options.get_run_config_entry("gpu_graph_id") == "4"
    assert gpu_runtime["providers"][0][1]["enable_cuda_graph"] == 1


def test_the_tensorrt_provider_goes_before_cuda_and_keeps_its_engines_in_the_folder(
    graph: bytes, gpu_runtime: dict[str, Any], tmp_path: Path
) -> None:
    with OnnxRuntimeBackend(graph, "cuda", tensorrt_cache=tmp_path) as backend:
        assert (backend.name, backend.device) == ("onnxruntime-tensorrt", "cuda:0")
    (first, settings), (second, _) = gpu_runtime["providers"]
    assert (first, second) == ("TensorrtExecutionProvider", "CUDAExecutionProvider")
    assert settings["trt_engine_cache_path"] == str(tmp_path)
    assert settings["trt_profile_max_shapes"] == "crops:64x32x32x3"


def test_a_tensorrt_provider_that_gives_way_to_cuda_is_refused(
    graph: bytes, gpu_runtime: dict[str, Any], tmp_path: Path
) -> None:
    gpu_runtime["runs"] = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    with pytest.raises(BackendError, match="TensorRT provider does not start"):
        OnnxRuntimeBackend(graph, "cuda", tensorrt_cache=tmp_path)


def test_what_a_gpu_leaves_to_the_cpu_is_known(graph: bytes, gpu_runtime: dict[str, Any]) -> None:
    with OnnxRuntimeBackend(graph, "cuda") as backend:
        assert backend.cpu_operators == ()
    gpu_runtime["on_cpu"] = True
    with OnnxRuntimeBackend(graph, "cuda") as backend:
        assert set(backend.cpu_operators) == {
            node.op_type for node in onnx.load_from_string(graph).graph.node
        }
    with OnnxRuntimeBackend(graph, "cpu") as backend:
        assert backend.cpu_operators == ()


def test_a_gpu_whose_memory_is_short_is_given_what_fits_from_then_on(
    graph: bytes, gpu_runtime: dict[str, Any]
) -> None:
    with OnnxRuntimeBackend(graph, "cuda") as backend:
        bound = backend._run.__self__  # type: ignore[union-attr]
        session, sizes = bound._session, []

        class Short:
            def run_with_iobinding(self, binding: Any, options: Any) -> None:
                sizes.append(binding.get_outputs()[0].shape()[0])
                if sizes[-1] > 16:
                    raise RuntimeError("CUDA failure 2: out of memory ; GPU=0")
                session.run_with_iobinding(binding, options)

            def __getattr__(self, name: str) -> Any:
                return getattr(session, name)

        bound._session = Short()
        assert backend.infer(crops(70))["quality"] == pytest.approx(grey(crops(70)), abs=1e-5)
        assert sizes == [64, 32, 16, 16, 16, 16, 8]
        assert sorted(bound._slots) == [8, 16]
        sizes.clear()
        assert backend.infer(crops(40, 1))["quality"] == pytest.approx(grey(crops(40, 1)), abs=1e-5)
        assert sizes == [16, 16, 8]
