"""Which NVIDIA GPUs this machine has, asked of the driver itself: no package is needed for the question."""

from __future__ import annotations

import ctypes
import re
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dgqa_infer import system
from dgqa_infer.errors import BackendError

_LIBRARY = system.cuda_driver()
_DRIVER_FILE = Path("/proc/driver/nvidia/version")
# cuda.h: CUDA_ERROR_NO_DEVICE and CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR.
_NO_DEVICE, _MAJOR, _MINOR = 100, 75, 76


@dataclass(frozen=True, slots=True)
class Gpu:
    """One NVIDIA GPU.

    Attributes:
        index: as in "cuda:0".
        name: such as "NVIDIA H100 80GB HBM3".
        compute_capability: such as "9.0".
        memory: in bytes.
        driver: version of the kernel driver, such as "580.82.07"; of its CUDA where unknown.
    """

    index: int
    name: str
    compute_capability: str
    memory: int
    driver: str


def gpus() -> tuple[Gpu, ...]:
    """All GPUs that the driver shows to this process.

    Raises:
        BackendError: there is none, or no driver; says which.
    """
    try:
        driver = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise BackendError(f"there is no NVIDIA driver here ({_LIBRARY} is not found)") from error
    status = driver.cuInit(0)
    count = ctypes.c_int()
    if status == 0:
        status = driver.cuDeviceGetCount(ctypes.byref(count))
    if status == _NO_DEVICE or (status == 0 and count.value == 0):
        raise BackendError("the NVIDIA driver is here, but shows no GPU to this process")
    if status != 0:
        raise BackendError(f"the NVIDIA driver does not start (CUDA error {status})")
    return tuple(_gpu(driver, index) for index in range(count.value))


def has_gpu() -> bool:
    """Whether the driver shows a GPU to this process."""
    try:
        return bool(gpus())
    except BackendError:
        return False


def gpu(index: int) -> Gpu:
    """One GPU.

    Raises:
        BackendError: there is none of this number.
    """
    found = gpus()
    if index >= len(found):
        raise BackendError(f"there is no cuda:{index}; the driver shows {len(found)} GPU(s)")
    return found[index]


def synchronizer(index: int) -> Callable[[], None]:
    """What waits until a GPU has done all that this process gave it, in whichever stream.

    Args:
        index: of the GPU.

    Returns:
        A function; it makes the GPU's primary context that of the thread that calls it, and raises a
        `BackendError` where the GPU has failed. The context is released with the function.

    Raises:
        BackendError: there is no such GPU, or it cannot be used.
    """
    gpu(index)
    driver = ctypes.CDLL(_LIBRARY)
    device, context = ctypes.c_int(), ctypes.c_void_p()

    def check(status: int) -> None:
        if status != 0:
            raise BackendError(f"cuda:{index} has failed (CUDA error {status})")

    check(driver.cuDeviceGet(ctypes.byref(device), index))
    check(driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device))

    def wait() -> None:
        check(driver.cuCtxSetCurrent(context))
        check(driver.cuCtxSynchronize())

    release = weakref.finalize(wait, driver.cuDevicePrimaryCtxRelease_v2, device)
    # When the process ends, others may still use the context, and the driver frees it anyway.
    release.atexit = False
    return wait


def _gpu(driver: Any, index: int) -> Gpu:
    device = ctypes.c_int()
    name = ctypes.create_string_buffer(256)
    major, minor = ctypes.c_int(), ctypes.c_int()
    memory = ctypes.c_size_t()
    for status in (
        driver.cuDeviceGet(ctypes.byref(device), index),
        driver.cuDeviceGetName(name, len(name), device),
        driver.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device),
        driver.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device),
        driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device),
    ):
        if status != 0:
            raise BackendError(f"the NVIDIA driver cannot describe cuda:{index} (CUDA error {status})")
    capability = f"{major.value}.{minor.value}"
    return Gpu(index, name.value.decode(errors="replace"), capability, memory.value, _driver_version(driver))


def _driver_version(driver: Any) -> str:
    try:
        if match := re.search(r"\b(\d{3,}\.\d+(?:\.\d+)?)\b", _DRIVER_FILE.read_text()):
            return match.group(1)
    except OSError:
        pass
    version = ctypes.c_int()
    driver.cuDriverGetVersion(ctypes.byref(version))
    return f"CUDA {version.value // 1000}.{version.value % 1000 // 10}"
