"""`dgqa-infer doctor`: what is installed, which devices there are, and where a model would run."""

from __future__ import annotations

import importlib
import os
import platform
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dgqa_infer import system
from dgqa_infer.cli._options import JsonOption, ModelOption
from dgqa_infer.cli._output import Output
from dgqa_infer.cli.models import engine_rows, shortened
from dgqa_infer.errors import BackendError, DgqaError, UsageError

if TYPE_CHECKING:
    from dgqa_infer.backends.base import Backend
    from dgqa_infer.bundle.bundle import Bundle

_PACKAGES = {
    "dgqa-infer": None,
    "numpy": None,
    "pillow": None,
    "onnxruntime": "cpu",
    "onnxruntime-gpu": "gpu",
    "openvino": "openvino",
    "tensorrt": "tensorrt",
    "tensorrt_rtx": None,
    "cuda-python": "tensorrt",
    "simplejpeg": None,
    "cykooz.resizer": None,
    "nvidia-nvimgcodec-cu13": "gpu-decode",
    "nvidia-nvjpeg": "gpu-decode",
    "torch": "train",
    "onnx": "export",
}
"""Package → the extra that brings it."""


def doctor(model: ModelOption = "dgqa-lite0", json: JsonOption = None) -> None:
    """Show runtimes, devices and versions, and what `--device auto` takes for a model, in which precision.

    Every runtime that is here is tried: the model is loaded and scores one grey crop. Also says what a file
    could not do that takes over the process that decodes it. The exit code is 0 if the model runs somewhere.
    """
    output = Output(json=json)
    packages = [_package(name, extra) for name, extra in _PACKAGES.items()]
    places = _tried(lambda: _places(model))
    gpus = _tried(_gpus)
    decoders = _tried(lambda: _decoders(model))
    engines = _tried(_engines)
    protections = _protections()
    if output.json:
        output.document(
            {
                "machine": _machine(),
                "packages": packages,
                "gpus": gpus,
                "devices": places,
                "jpeg_decoders": decoders,
                "engines": engines,
                "protections": protections,
            }
        )
    else:
        output.table([_machine()], title="Machine")
        output.table(packages, title="Packages")
        output.table(gpus, title="NVIDIA GPUs")
        output.table(places, title=f"Devices for {model}; auto takes the first that works")
        output.table(decoders, title="GPUs that decode JPEGs, for --gpu-decode")
        output.table(shortened(engines), title="TensorRT engines")
        output.table(protections, title="If a file takes over the process that decodes it")
    for place in places:
        if reason := place.get("none"):
            raise UsageError(reason)
    if not any(place.get("works") for place in places):
        raise BackendError("no runtime here can run the model: pip install 'dgqa-infer[cpu]'")


def _tried(look: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What there is, or the reason why there is nothing."""
    try:
        return look()
    except DgqaError as error:
        return [{"none": str(error)}]


def _machine() -> dict[str, Any]:
    return {
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "cores": system.cores(),
    }


def _package(name: str, extra: str | None) -> dict[str, Any]:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return {"package": name, "version": version(name), "note": _note(name)}
    except PackageNotFoundError:
        return {
            "package": name,
            "version": None,
            "note": f"pip install 'dgqa-infer[{extra}]'" if extra else "",
        }


def _note(name: str) -> str:
    """What a package says of itself that its version does not."""
    if name.startswith("onnxruntime"):
        try:
            return ", ".join(importlib.import_module("onnxruntime").get_available_providers())
        except (ImportError, OSError) as error:
            return f"it cannot be imported: {error}"
    if name in ("tensorrt", "tensorrt_rtx"):
        from dgqa_infer.backends.tensorrt import api as tensorrt_api

        try:
            tensorrt_api.load(name)
        except BackendError as error:
            return str(error)
    return ""


def _gpus() -> list[dict[str, Any]]:
    from dgqa_infer.backends.gpu import gpus

    return [
        {
            "device": f"cuda:{found.index}",
            "name": found.name,
            "compute capability": found.compute_capability,
            "memory (MB)": found.memory >> 20,
            "driver": found.driver,
        }
        for found in gpus()
    ]


def _decoders(model: str) -> list[dict[str, Any]]:
    from dgqa_infer.backends.gpu import gpus
    from dgqa_infer.bundle.bundle import Bundle
    from dgqa_infer.images.decoders.nvjpeg import DeviceDecoder, device_beside

    device_beside("cuda")
    way = Bundle.load(model).card.preprocessing
    rows: list[dict[str, Any]] = []
    for found in gpus():
        device = f"cuda:{found.index}"
        try:
            DeviceDecoder(device, way)
        except BackendError as error:
            rows.append({"device": device, "works": False, "note": str(error)})
        else:
            rows.append({"device": device, "works": True, "note": "it gives the CPU's pixels, or nearly so"})
    return rows


def _places(model: str) -> list[dict[str, Any]]:
    from dgqa_infer.backends.choice import choices
    from dgqa_infer.bundle.bundle import QUALITY_GRAPH, Bundle
    from dgqa_infer.options import ScoringOptions

    bundle = ScoringOptions().in_precision(Bundle.load(model))
    rows: list[dict[str, Any]] = []
    for choice in choices(bundle, QUALITY_GRAPH):
        works, note = _try(bundle, choice.open)
        if works and not any(row["works"] for row in rows):
            note = "; ".join(filter(None, (f"auto takes it, in {bundle.card.precision}", note)))
        rows.append({"device": choice.device, "works": works, "note": note})
    return rows


def _try(bundle: Bundle, opened: Callable[[], Backend]) -> tuple[bool, str]:
    """Whether a backend scores, and why not, or what of the graph it leaves to the CPU."""
    import numpy as np

    from dgqa_infer.backends.base import cpu_share

    side = bundle.card.preprocessing.crop
    grey = np.full((1, side, side, 3), 128, np.uint8)
    try:
        with opened() as backend:
            quality = float(backend.infer(grey)["quality"][0])
            on_cpu = cpu_share(backend) or ""
    except DgqaError as error:
        return False, str(error)
    return (True, on_cpu) if np.isfinite(quality) else (False, f"it gives {quality}")


def _protections() -> list[dict[str, Any]]:
    from dgqa_infer.confinement import PROTECTIONS, confine_another

    memory = system.memory_file("dgqa-doctor")
    sealed = system.keep_size(memory)
    os.close(memory)
    held = confine_another() | {"sealed_memory": sealed}
    meaning = PROTECTIONS | {"sealed_memory": "it cannot cut off the memory that it shares with the scorer"}
    return [
        {
            "protection": name,
            "holds": held[name],
            # CUDA's driver needs all that a process gives up otherwise.
            "with_gpu_decode": held[name] and name not in PROTECTIONS,
            "note": words,
        }
        for name, words in meaning.items()
    ]


def _engines() -> list[dict[str, Any]]:
    return engine_rows() or [{"none": "no engines were built here"}]
