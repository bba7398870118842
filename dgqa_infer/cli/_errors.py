"""Errors become a sentence, a hint and an exit code; `main` is the only place that catches them."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum

from dgqa_infer.errors import BackendError, DgqaError, ImageError, ModelError, OutputError, UsageError
from dgqa_infer.text import printable

DEBUG = "DGQA_DEBUG"
"""Set this environment variable to 1 to see where an error came from."""

_HINTS: dict[type[DgqaError], str] = {
    ModelError: "`dgqa-infer models` lists the bundles that are built in",
    BackendError: "`dgqa-infer doctor` shows which runtimes and devices work here",
}


class ExitCode(IntEnum):
    """What a command's end means."""

    OK = 0
    GATE_FAILED = 1
    USAGE = 2
    SOME_FAILED = 3
    NOTHING_SCORED = 4
    BUG = 70
    INTERRUPTED = 130
    CLOSED_PIPE = 141


def report(error: BaseException) -> ExitCode:
    """Tell the user on stderr what went wrong; return the exit code for it."""
    if isinstance(error, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    if isinstance(error, BrokenPipeError | OutputError):
        _mute_stdout()
    if isinstance(error, BrokenPipeError):
        return ExitCode.CLOSED_PIPE
    if not isinstance(error, DgqaError):
        traceback.print_exception(error)
        print("this is a bug in dgqa-infer; please report it with the lines above", file=sys.stderr)
        return ExitCode.BUG
    if os.environ.get(DEBUG) == "1":
        traceback.print_exception(error)
    print(f"error: {printable(str(error))}", file=sys.stderr)
    for kind, hint in _HINTS.items():
        if isinstance(error, kind):
            print(f"hint: {hint}", file=sys.stderr)
    return ExitCode.SOME_FAILED if isinstance(error, ImageError) else ExitCode.USAGE


def _mute_stdout() -> None:
    """Whoever reads stdout has left, or its disk is full; what is still in its buffer would fail at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Around the imports that an extra brings: say which one is missing.

    Args:
        name: of the extra, such as "train".

    Raises:
        UsageError: a package is not installed; names the command that installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("dgqa_"):
            raise
        raise UsageError(
            f"this needs the package {error.name}, which is not installed: pip install 'dgqa-infer[{name}]'"
        ) from error
