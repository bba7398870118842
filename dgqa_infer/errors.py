"""Everything that this library raises on purpose.

    DgqaError
    ├── ImageError     one input cannot be scored; carries .code and .path
    ├── ModelError     a bundle or checkpoint is missing, damaged or does not fit
    ├── BackendError   a runtime or device is missing or fails
    ├── OutputError    a result cannot be written
    └── UsageError     the request itself makes no sense

Any other exception that leaves this library is a bug of ours.
"""

from __future__ import annotations

from typing import Literal, get_args

ErrorCode = Literal[
    "not_found",
    "unreadable",
    "empty",
    "unsupported",
    "corrupt",
    "truncated",
    "too_large",
    "timed_out",
    "crashed",
    "not_finite",
]
"""Why one input has no score. Stable: programs may depend on these words."""

ERROR_CODES: tuple[ErrorCode, ...] = get_args(ErrorCode)

PASSING_CODES: frozenset[str] = frozenset({"unreadable", "timed_out", "crashed"})
"""Reasons that may be gone when the same file is tried again: a store out of reach, a busy machine."""


class DgqaError(Exception):
    """Root of all errors raised on purpose; its text is one sentence for the user."""


class ImageError(DgqaError):
    """One input cannot be scored.

    Attributes:
        code: why, one of `ERROR_CODES`.
        message: what happened, in words, without the path.
        path: the input as it was named; None for an input from memory.
    """

    def __init__(self, code: ErrorCode, message: str, path: str | None = None) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.code: ErrorCode = code
        self.message = message
        self.path = path

    def __reduce__(self) -> tuple[type[ImageError], tuple[ErrorCode, str, str | None]]:
        # Exceptions pickle their `args`, which are not our constructor's; worker processes send these home.
        return type(self), (self.code, self.message, self.path)


class ModelError(DgqaError):
    """A bundle or checkpoint is missing, damaged, or does not fit what is asked of it."""


class BackendError(DgqaError):
    """A runtime or a device is missing, or it failed."""


class OutputError(DgqaError):
    """A result cannot be written; what was written before it is valid."""


class UsageError(DgqaError):
    """The request itself makes no sense."""
