"""TensorRT in its two flavours, and its way of failing: None for an answer, and the reason in the log.

`tensorrt` is NVIDIA's full TensorRT, `tensorrt_rtx` the one for RTX cards, which also builds without a GPU.
Both have the same Python interface.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from dgqa_infer.errors import BackendError

FLAVOURS = ("tensorrt", "tensorrt_rtx")
OLDEST = {"tensorrt": (10, 13), "tensorrt_rtx": (1, 4)}
"""The first versions whose interface is the one that is used here."""

INSTALL = "pip install 'dgqa-infer[tensorrt]'"


def load(flavour: str | None = None) -> ModuleType:
    """Import TensorRT.

    Args:
        flavour: one of `FLAVOURS`; None takes the first that is installed.

    Raises:
        BackendError: it is not installed, incomplete or too old.
    """
    for name in (flavour,) if flavour else FLAVOURS:
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise BackendError(f"{name} is not complete ({error}): {INSTALL}") from error
            continue
        except (ImportError, OSError) as error:
            # Its libraries are separate packages, which only NVIDIA's own package index has.
            raise BackendError(
                f"{name} is installed without its libraries ({_line(error)}): {INSTALL}"
            ) from error
        _refuse_old(module, name)
        return module
    raise BackendError(f"{flavour or 'TensorRT'} is not installed: {INSTALL}")


def flavour_of(trt: ModuleType) -> str:
    """The flavour of a module that `load` returned."""
    return trt.__name__


class Log:
    """The last errors that TensorRT has logged, to say why it gave no answer.

    Attributes:
        logger: for TensorRT's constructors; must live as long as what they make.
        errors: texts, oldest first.
    """

    def __init__(self, trt: ModuleType) -> None:
        errors: list[str] = []

        class Logger(trt.ILogger):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(self, severity: Any, message: str) -> None:
                if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR):
                    errors.append(message)

        self.logger = Logger()
        self.errors = errors

    def failure(self, what: str) -> BackendError:
        """An error that says what failed and what TensorRT logged about it."""
        reason = _line(self.errors[-1]) if self.errors else "it gave no reason"
        if "cudaError 35" in reason or "error: 35" in reason:
            reason = "there is no NVIDIA driver here, or it is too old"
        return BackendError(f"TensorRT {what}: {reason}")


def _refuse_old(module: ModuleType, name: str) -> None:
    version = tuple(int(part) for part in module.__version__.split(".")[:2])
    if version < OLDEST[name]:
        oldest = ".".join(map(str, OLDEST[name]))
        raise BackendError(f"{name} is {module.__version__}; {oldest} or later is needed: {INSTALL}")


def _line(reason: object) -> str:
    return " ".join(str(reason).split())[:300]
