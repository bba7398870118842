"""Which backend a device's name means, and which one "auto" takes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dgqa_infer.backends import choice, gpu
from dgqa_infer.backends.choice import choices, open_backend, takes_gpu
from dgqa_infer.backends.tensorrt.engine_key import Environment
from dgqa_infer.bundle.bundle import Bundle, write_bundle
from dgqa_infer.errors import BackendError, UsageError


@pytest.fixture
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle.load(tiny_bundle)


def test_auto_takes_an_engine_where_there_is_one(bundle: Bundle, trt: Any, store: Callable[..., Any]) -> None:
    store()
    with open_backend(bundle, "model.onnx") as backend:
        assert (backend.name, backend.device) == ("tensorrt", "cuda:0")


def test_auto_passes_over_a_stale_engine(bundle: Bundle, trt: Any, store: Callable[..., Any]) -> None:
    store(preprocessing="other")
    with open_backend(bundle, "model.onnx") as backend:
        assert (backend.name, backend.device) == ("onnxruntime", "cpu")


def test_an_engine_scores_and_the_domains_run_elsewhere(
    bundle: Bundle, trt: Any, store: Callable[..., Any]
) -> None:
    store()
    with open_backend(bundle, "domains.onnx", "tensorrt") as backend:
        assert backend.name == "onnxruntime"


def test_on_another_gpu_than_the_first_all_graphs_run_there(
    bundle: Bundle, gpu_runtime: dict[str, Any]
) -> None:
    """The engine's GPU is the domains' too, although TensorRT has no engine of them."""
    for device in ("tensorrt:1", "tensorrt_rtx:1", "cuda:1"):
        with open_backend(bundle, "domains.onnx", device) as backend:
            assert backend.device == "cuda:1"
    with open_backend(bundle, "domains.onnx", "tensorrt") as backend:
        assert backend.device == "cuda:0"
    names = [found.device for found in choices(bundle, "model.onnx", number="1")]
    assert names == ["tensorrt:1", "tensorrt_rtx:1", "cuda:1", "cpu", "openvino"]


def test_where_the_cpu_runs_it_beside_a_gpu_the_reason_is_told(
    bundle: Bundle, a_gpu: gpu.Gpu, gpu_runtime: dict[str, Any]
) -> None:
    told: list[str] = []
    for device in ("auto", "cpu", "cuda"):
        open_backend(bundle, "model.onnx", device, tell=told.append).close()
    assert told == []
    gpu_runtime["fails"] = "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version"
    for graph, device in (("model.onnx", "auto"), ("domains.onnx", "tensorrt:0")):
        with open_backend(bundle, graph, device, tell=told.append) as backend:
            assert backend.device == "cpu"
    reason = f"the GPU is not used: ONNX Runtime cannot load the graph on cuda: {gpu_runtime['fails']}"
    assert told == [reason, reason]


def test_an_engine_that_was_built_and_is_not_used_is_told(
    bundle: Bundle, trt: Any, store: Callable[..., Any], gpu_runtime: dict[str, Any]
) -> None:
    told: list[str] = []
    with open_backend(bundle, "model.onnx", tell=told.append) as backend:
        assert backend.device == "cuda:0"
    assert told == []  # CUDA is what there is without an engine
    store(environment=Environment("tensorrt", "11.4.0.106", "NVIDIA Test 2", "9.0", "580.1"))
    with open_backend(bundle, "model.onnx", tell=told.append) as backend:
        assert backend.device == "cuda:0"
    (sentence,) = told
    assert sentence.startswith(
        "the engine of tensorrt is not used: the TensorRT engine of this model is stale: "
    )
    assert "NVIDIA Test 2" in sentence


def test_without_a_gpu_there_is_nothing_to_tell(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "has_gpu", lambda: False)
    told: list[str] = []
    open_backend(bundle, "model.onnx", tell=told.append).close()
    assert told == []


def test_auto_takes_a_gpu_only_where_the_model_can_be_opened_on_it(
    bundle: Bundle, a_gpu: gpu.Gpu, gpu_runtime: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert takes_gpu(bundle)
    gpu_runtime["fails"] = "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version"
    assert takes_gpu(bundle)  # it has been opened once, and is not again
    monkeypatch.setattr(choice, "_opens_on_gpu", {})
    assert not takes_gpu(bundle)


def test_the_order_of_auto(bundle: Bundle) -> None:
    names = [found.device for found in choices(bundle, "model.onnx")]
    assert names == ["tensorrt", "tensorrt_rtx", "cuda", "cpu", "openvino"]
    assert [found.device for found in choices(bundle, "domains.onnx")] == ["cuda", "cpu", "openvino"]


def test_for_int8_as_for_fp32_onnx_runtime_goes_before_openvino(bundle: Bundle, tmp_path: Path) -> None:
    graphs = {name: bundle.graph_bytes(name) for name in bundle.card.files}
    int8 = write_bundle(tmp_path / "int8", graphs, replace(bundle.card, precision="int8"))
    assert [found.device for found in choices(int8, "model.onnx")][-2:] == ["cpu", "openvino"]


def test_cpu_is_onnx_runtime_and_openvino_is_itself(bundle: Bundle) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    with (
        open_backend(bundle, "model.onnx", "cpu") as one,
        open_backend(bundle, "model.onnx", "openvino") as other,
    ):
        assert (one.name, other.name) == ("onnxruntime", "openvino")


def test_auto_goes_on_to_openvino_where_onnx_runtime_is_missing(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with open_backend(bundle, "model.onnx") as backend:
        assert backend.name == "openvino"


def test_where_nothing_runs_the_simplest_remedy_is_named(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("onnxruntime", "openvino"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        BackendError, match=r"nothing here can run the model: .*pip install 'dgqa-infer\[cpu\]'"
    ):
        open_backend(bundle, "model.onnx")


@pytest.mark.parametrize("device", ["gpu", "CPU", "cpu:1", "tensorrt:", "cuda:x", "openvino:0", "", "auto:1"])
def test_another_name_is_a_usage_error_that_lists_the_names(bundle: Bundle, device: str) -> None:
    with pytest.raises(UsageError, match="neither 'auto' nor one of cpu, openvino, cuda, tensorrt"):
        open_backend(bundle, "model.onnx", device)


def test_onnx_runtimes_tensorrt_has_a_private_folder_for_each_graph(
    bundle: Bundle, cache: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(choice, "OnnxRuntimeBackend", lambda *args, **named: asked.update(named, args=args))
    open_backend(bundle, "model.onnx", "onnxruntime-tensorrt:1")
    one = asked["tensorrt_cache"]
    open_backend(bundle, "domains.onnx", "onnxruntime-tensorrt:1")
    assert asked["args"][1] == "cuda:1"
    assert one.is_dir()
    assert one.parent == cache.folder
    assert one != asked["tensorrt_cache"]
