"""GPUs, as a driver of our own tells of them; calls and attribute numbers are those of NVIDIA's cuda.h."""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path
from typing import Any

import pytest

from dgqa_infer.backends import gpu
from dgqa_infer.errors import BackendError


class Driver:
    """libcuda with two GPUs."""

    init = 0
    names = (b"NVIDIA H100 80GB HBM3", b"NVIDIA L4")
    capabilities = ((9, 0), (8, 9))
    memories = (80 << 30, 24 << 30)
    broken: tuple[str, ...] = ()
    waited = 0
    status = 0
    current = 0
    retained = 0

    def cuInit(self, flags: int) -> int:
        return self.init

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = len(self.names)
        return 0

    def cuDeviceGet(self, device: Any, index: int) -> int:
        device._obj.value = index
        return 999 if "cuDeviceGet" in self.broken else 0

    def cuDeviceGetName(self, buffer: Any, size: int, device: Any) -> int:
        buffer.value = self.names[device.value]
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: Any) -> int:
        value._obj.value = self.capabilities[device.value][{75: 0, 76: 1}[attribute]]
        return 0

    def cuDeviceTotalMem_v2(self, memory: Any, device: Any) -> int:
        memory._obj.value = self.memories[device.value]
        return 0

    def cuDevicePrimaryCtxRetain(self, context: Any, device: Any) -> int:
        context._obj.value = 1000 + device.value
        self.retained += 1
        return 0

    def cuDevicePrimaryCtxRelease_v2(self, device: Any) -> int:
        assert device.value in range(len(self.names))
        self.retained -= 1
        return 0

    def cuCtxSetCurrent(self, context: Any) -> int:
        self.current = context.value
        return 0

    def cuCtxSynchronize(self) -> int:
        self.waited += 1
        return self.status

    def cuDriverGetVersion(self, version: Any) -> int:
        version._obj.value = 13020
        return 0


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Driver:
    fake = Driver()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: fake)
    monkeypatch.setattr(gpu, "_DRIVER_FILE", tmp_path / "none")
    return fake


def test_every_gpu_is_described(driver: Driver) -> None:
    first, second = gpu.gpus()
    assert first == gpu.Gpu(0, "NVIDIA H100 80GB HBM3", "9.0", 80 << 30, "CUDA 13.2")
    assert (second.index, second.name, second.compute_capability) == (1, "NVIDIA L4", "8.9")
    assert gpu.gpu(1) == second


@pytest.mark.parametrize(
    "line",
    [
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.82.07  Release Build  (dvs@U22)",
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.82.07  Wed Aug 27 18:32:50 UTC 2025",
    ],
)
def test_the_kernels_driver_version_is_read_where_it_is_told(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str
) -> None:
    (tmp_path / "version").write_text(
        f"{line}\nGCC version:  gcc version 11.4.0 (Ubuntu 11.4.0-1ubuntu1~22.04)\n"
    )
    monkeypatch.setattr(gpu, "_DRIVER_FILE", tmp_path / "version")
    assert gpu.gpu(0).driver == "580.82.07"


def test_without_a_driver_its_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(
        BackendError, match=r"no NVIDIA driver here \((libcuda\.so\.1|nvcuda\.dll) is not found"
    ):
        gpu.gpus()


def test_a_driver_without_gpus_is_told_from_no_driver(driver: Driver) -> None:
    driver.init = 100
    with pytest.raises(BackendError, match="shows no GPU to this process"):
        gpu.gpus()
    driver.init = 0
    driver.names = ()  # type: ignore[assignment]
    with pytest.raises(BackendError, match="shows no GPU to this process"):
        gpu.gpus()


def test_a_driver_that_does_not_start_gives_its_number(driver: Driver) -> None:
    driver.init = 803
    with pytest.raises(BackendError, match=r"does not start \(CUDA error 803\)"):
        gpu.gpus()


def test_a_gpu_that_cannot_be_described_is_named(driver: Driver) -> None:
    driver.broken = ("cuDeviceGet",)
    with pytest.raises(BackendError, match=r"cannot describe cuda:0 \(CUDA error 999\)"):
        gpu.gpus()


def test_a_number_beyond_the_last_gpu_is_refused(driver: Driver) -> None:
    with pytest.raises(BackendError, match=r"no cuda:2; the driver shows 2 GPU"):
        gpu.gpu(2)


def test_what_a_gpu_was_given_can_be_waited_for(driver: Driver) -> None:
    wait = gpu.synchronizer(1)
    driver.current = 0  # another library has made its own context current since
    wait()
    assert (driver.current, driver.waited) == (1001, 1)


def test_a_gpus_context_is_given_back_with_what_waits_for_it(driver: Driver) -> None:
    waits = [gpu.synchronizer(0), gpu.synchronizer(1)]
    assert driver.retained == 2
    del waits
    gc.collect()
    assert driver.retained == 0


def test_a_gpu_that_fails_while_it_is_waited_for_is_named(driver: Driver) -> None:
    wait = gpu.synchronizer(0)
    driver.status = 700  # cuda.h: CUDA_ERROR_ILLEGAL_ADDRESS
    with pytest.raises(BackendError, match="cuda:0 has failed \\(CUDA error 700\\)"):
        wait()


def test_a_gpu_that_is_not_there_is_not_waited_for(driver: Driver) -> None:
    with pytest.raises(BackendError, match="no cuda:2; the driver shows 2"):
        gpu.synchronizer(2)
