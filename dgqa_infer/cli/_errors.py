"""Errors become a sentence, a hint and an exit code; `main` is the only place that catches them."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path

from dgqa_infer.cli._streams import mute, say
from dgqa_infer.errors import BackendError, DgqaError, ImageError, ModelError, OutputError, UsageError
from dgqa_infer.text import printable

DEBUG = "DGQA_DEBUG"
"""Set this environment variable to 1 to see where an error came from."""

_HINTS: dict[type[DgqaError], str] = {
    ModelError: "`dgqa-infer models` lists the bundles that are built in",
    BackendError: "`dgqa-infer doctor` shows which runtimes and devices work here",
}

# Errors that may come up wherever something is opened or begun, and are no bug.
_LACKS = {
    errno.EMFILE: "more files are open than this process may have: raise its limit (`ulimit -n`)",
    errno.ENFILE: "more files are open than this system may have",
    errno.EFBIG: "a file, or the memory of decoded crops, is larger than files may be: raise the limit"
    " (`ulimit -f`)",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system can only be read",
    errno.EAGAIN: "no further process can be begun: raise the limit (`ulimit -u`)",
    errno.EACCES: "permission denied",
    errno.EIO: "the disk or the network failed",
    errno.ELOOP: "too many symbolic links",
    errno.ENAMETOOLONG: "the file name is too long",
    errno.ESTALE: "the network file system is gone",
    errno.ENOMEM: "there is too little memory",
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
        say("interrupted")
        return ExitCode.INTERRUPTED
    if isinstance(error, BrokenPipeError | OutputError):
        mute(sys.stdout)
    if isinstance(error, BrokenPipeError):
        return ExitCode.CLOSED_PIPE
    sentence = str(error) if isinstance(error, DgqaError) else _lack(error)
    if sentence is None or os.environ.get(DEBUG) == "1":
        say("".join(traceback.format_exception(error)).rstrip())
    if sentence is None:
        say("this is a bug in dgqa-infer; please report it with the lines above")
        return ExitCode.BUG
    say(f"error: {printable(sentence)}")
    for kind, hint in _HINTS.items():
        if isinstance(error, kind):
            say(f"hint: {hint}")
    return ExitCode.SOME_FAILED if isinstance(error, ImageError) else ExitCode.USAGE


def _lack(error: BaseException) -> str | None:
    """What this machine has too little of, in a sentence; None where the error is another one."""
    if isinstance(error, MemoryError):
        return _LACKS[errno.ENOMEM]
    if not isinstance(error, OSError):
        return None
    if str(error.strerror).startswith("No usable temporary directory"):
        return "no folder for temporary files can be written to: name one with TMPDIR"
    if (sentence := _LACKS.get(error.errno or 0)) is None:
        return None if _is_somewhere() else "the current folder is gone: change to one that is there"
    return sentence if error.filename is None else f"{os.fsdecode(error.filename)}: {sentence}"


def _is_somewhere() -> bool:
    """Whether the folder that this process was begun in is still there."""
    try:
        return bool(Path.cwd())
    except OSError:
        return False


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
