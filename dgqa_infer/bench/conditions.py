"""What a figure was measured under: processor, its abilities, clock, load, versions and settings."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dgqa_infer import system
from dgqa_infer.errors import BackendError

_ABILITIES = (
    *("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_int8", "amx_bf16", "neon", "asimd", "asimddp", "i8mm", "bf16", "sve"),
)
_SETTINGS = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_PACKAGES = (
    *("dgqa-infer", "numpy", "pillow", "simplejpeg", "onnxruntime", "onnxruntime-gpu", "openvino"),
    *("tensorrt", "tensorrt_rtx"),
)
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def conditions() -> dict[str, Any]:
    """All of it, ready for JSON. What this system does not tell is None."""
    described = _cpuinfo()
    able = set((described.get("flags") or described.get("Features") or "").split())
    return {
        "processor": described.get("model name") or platform.processor() or platform.machine(),
        "abilities": [name for name in _ABILITIES if name in able],
        "cores": system.cores(),
        "governor": _GOVERNOR.read_text().strip() if _GOVERNOR.exists() else None,
        "gpus": _gpus(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "settings": {name: os.environ[name] for name in _SETTINGS if name in os.environ},
    }


def _cpuinfo() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    first = path.read_text(encoding="utf-8").split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _gpus() -> list[str]:
    from dgqa_infer.backends.gpu import gpus

    try:
        return [f"{found.name}, driver {found.driver}" for found in gpus()]
    except BackendError:
        return []


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
