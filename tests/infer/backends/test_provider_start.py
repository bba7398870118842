"""ONNX Runtime takes another provider and says nothing, or says only which package to install."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from dgqa_infer.backends import gpu
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.errors import BackendError


@pytest.fixture
def graph(tiny_bundle: Path) -> bytes:
    return Bundle.load(tiny_bundle).graph_bytes("model.onnx")


@pytest.fixture
def one_gpu(a_gpu: gpu.Gpu, gpu_runtime: dict[str, Any]) -> None:
    gpu_runtime["runs"] = ["CPUExecutionProvider"]


def message(graph: bytes, device: str, cache: Path | None) -> str:
    with pytest.raises(BackendError) as error:
        OnnxRuntimeBackend(graph, device, tensorrt_cache=cache)
    return str(error.value)


@pytest.mark.parametrize("tensorrt", [False, True])
def test_a_missing_driver(
    graph: bytes, gpu_runtime: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tensorrt: bool
) -> None:
    monkeypatch.setattr(gpu, "_LIBRARY", "libcuda-of-none.so.1")
    gpu_runtime["runs"] = ["CPUExecutionProvider"]
    said = message(graph, "cuda", tmp_path if tensorrt else None)
    assert said.endswith("does not start: there is no NVIDIA driver here (libcuda-of-none.so.1 is not found)")


@pytest.mark.usefixtures("one_gpu")
@pytest.mark.parametrize("tensorrt", [False, True])
def test_another_gpu_than_there_is(graph: bytes, tmp_path: Path, tensorrt: bool) -> None:
    said = message(graph, "cuda:1", tmp_path if tensorrt else None)
    assert said.endswith("does not start: there is no cuda:1; the driver shows 1 GPU(s)")


@pytest.mark.usefixtures("one_gpu")
@pytest.mark.parametrize("raises", [False, True])
@pytest.mark.parametrize(
    ("provider", "needed", "words"),
    [
        (
            "tensorrt",
            "libnvinfer.so.10",
            "needs the TensorRT that has this library: libnvinfer.so.10: cannot open",
        ),
        ("tensorrt", "libcublas.so.13", "a library cannot be loaded: libcublas.so.13: cannot open"),
        ("cuda", "libcudnn.so.9", "a library cannot be loaded: libcudnn.so.9: cannot open"),
    ],
)
def test_a_missing_library(
    graph: bytes,
    gpu_runtime: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    provider: str,
    needed: str,
    words: str,
    raises: bool,
) -> None:
    if (compiler := shutil.which("cc")) is None or sys.platform != "linux":
        pytest.skip("a C compiler for Linux makes the library that needs another")
    capi = tmp_path / "capi"
    capi.mkdir()
    compile_it = [compiler, "-shared", "-x", "c", "/dev/null", "-x", "none", "-Wl,--no-as-needed"]
    subprocess.run([*compile_it, "-o", tmp_path / needed, f"-Wl,-soname,{needed}"], check=True)
    library = capi / f"libonnxruntime_providers_{provider}.so"
    subprocess.run([*compile_it, tmp_path / needed, "-o", library], check=True)
    (tmp_path / needed).unlink()
    monkeypatch.setattr(onnxruntime, "__file__", str(tmp_path / "__init__.py"))
    if raises:
        gpu_runtime["fails"] = "Please install TensorRT libraries as mentioned in the GPU requirements page"
    said = message(graph, "cuda", tmp_path if provider == "tensorrt" else None)
    assert words in said
    # ONNX Runtime's own way out would write to stdout, among the rows.
    assert gpu_runtime["fallback"] == 0
