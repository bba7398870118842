"""Why a provider of ONNX Runtime does not start on a GPU: the runtime itself says so in its log alone."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dgqa_infer.backends import gpu
from dgqa_infer.errors import BackendError

_LIBRARIES = {"CUDAExecutionProvider": "cuda", "TensorrtExecutionProvider": "tensorrt"}


def why_not_started(runtime: Any, provider: str, settings: Mapping[str, Any]) -> str | None:
    """Look for the cause: the driver, the GPU of this number, and the libraries that the provider needs.

    Args:
        runtime: the module onnxruntime, which has tried to start the provider.
        provider: its name, such as "CUDAExecutionProvider".
        settings: what it was given.

    Returns:
        The cause; None if all of these are in place.
    """
    try:
        gpu.gpu(settings["device_id"])
    except BackendError as error:
        return str(error)
    folder = Path(runtime.__file__).parent / "capi"
    # The first holds what the second takes from the runtime.
    for name in ("shared", _LIBRARIES[provider]):
        for file in folder.glob(f"*onnxruntime_providers_{name}.*"):
            try:
                ctypes.CDLL(str(file), mode=ctypes.RTLD_GLOBAL)
            except OSError as error:
                return _in_words(str(error), runtime.__version__)
    return None


def _in_words(error: str, version: str) -> str:
    if "nvinfer" in error or "nvonnxparser" in error:
        return f"ONNX Runtime {version} needs the TensorRT that has this library: {error}"
    return f"a library cannot be loaded: {error}; pip install 'dgqa-infer[gpu]'"
