"""TensorRT: found, missing, half installed, too old; and its reasons in words."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from dgqa_infer.backends.tensorrt import api as tensorrt_api
from dgqa_infer.errors import BackendError

INSTALL = r"pip install 'dgqa-infer\[tensorrt\]'"


def module(name: str, version: str) -> ModuleType:
    made = ModuleType(name)
    made.__version__ = version
    return made


@pytest.fixture
def nothing(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Neither flavour is installed."""

    class Nothing:
        def find_spec(self, name: str, *_: Any) -> None:
            if name.partition(".")[0] in tensorrt_api.FLAVOURS:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    for name in [name for name in sys.modules if name.startswith("tensorrt")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Nothing(), *sys.meta_path])
    return monkeypatch


def test_without_tensorrt_the_extra_is_named(nothing: Any) -> None:
    with pytest.raises(BackendError, match=f"^TensorRT is not installed: {INSTALL}$"):
        tensorrt_api.load()
    with pytest.raises(BackendError, match=r"^tensorrt_rtx is not installed"):
        tensorrt_api.load("tensorrt_rtx")


def test_the_full_tensorrt_goes_first(nothing: pytest.MonkeyPatch) -> None:
    rtx, full = module("tensorrt_rtx", "1.7.1"), module("tensorrt", "11.4.0")
    nothing.setitem(sys.modules, "tensorrt_rtx", rtx)
    assert tensorrt_api.load() is rtx
    nothing.setitem(sys.modules, "tensorrt", full)
    assert tensorrt_api.load() is full
    assert tensorrt_api.load("tensorrt_rtx") is rtx


@pytest.mark.parametrize(
    ("name", "version"), [("tensorrt", "8.6.0"), ("tensorrt", "10.12.0.1"), ("tensorrt_rtx", "1.3.0")]
)
def test_a_version_with_another_interface_is_refused(
    nothing: pytest.MonkeyPatch, name: str, version: str
) -> None:
    nothing.setitem(sys.modules, name, module(name, version))
    with pytest.raises(BackendError, match=rf"{name} is {version}; \d+\.\d+ or later is needed"):
        tensorrt_api.load(name)


def test_bindings_without_libraries_are_told_from_nothing(nothing: pytest.MonkeyPatch) -> None:
    # What the bindings of 11.4 say on their own, measured.
    said = "libnvonnxparser.so.11: cannot open shared object file: No such file or directory"

    def incomplete(name: str) -> ModuleType:
        raise ImportError(said)

    nothing.setattr(tensorrt_api.importlib, "import_module", incomplete)
    with pytest.raises(BackendError, match=rf"without its libraries \({said}\): {INSTALL}"):
        tensorrt_api.load("tensorrt")


class Logging(ModuleType):
    class ILogger:
        INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

        def __init__(self) -> None: ...


def test_the_last_error_of_the_log_is_the_reason() -> None:
    log = tensorrt_api.Log(Logging("tensorrt"))
    log.logger.log(Logging.ILogger.ERROR, "first")
    log.logger.log(Logging.ILogger.INTERNAL_ERROR, "second\n  in two lines ")
    log.logger.log(Logging.ILogger.WARNING, "a warning")
    assert str(log.failure("cannot build")) == "TensorRT cannot build: second in two lines"


def test_without_a_log_that_is_said() -> None:
    assert (
        str(tensorrt_api.Log(Logging("t")).failure("cannot build"))
        == "TensorRT cannot build: it gave no reason"
    )


@pytest.mark.parametrize(
    "logged",
    [
        # TensorRT 8.6 and TensorRT-RTX 1.7.1 without a driver, measured.
        "CUDA initialization failure with error: 35. Please check your CUDA installation",
        "IRuntime::deserializeCudaEngine: Error Code 1: Cuda Runtime (In getDevice: cudaError 35)",
    ],
)
def test_a_missing_driver_is_said_in_words(logged: str) -> None:
    log = tensorrt_api.Log(Logging("tensorrt"))
    log.logger.log(Logging.ILogger.ERROR, logged)
    assert str(log.failure("cannot start")).endswith("there is no NVIDIA driver here, or it is too old")
