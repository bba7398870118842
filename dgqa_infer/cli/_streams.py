"""The program's own streams, whatever is behind them: a closed one, a full disk, a reader who has left."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from dgqa_infer.errors import OutputError


def say(text: str) -> None:
    """Tell a person on stderr. Where nobody can be told, that is no reason to stop."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        mute(sys.stderr)


@contextmanager
def writing_stream(name: Path | str = "stdout") -> Iterator[None]:
    """Around what writes to a stream: its errors are the output's.

    Args:
        name: of the stream, for errors.

    Raises:
        OutputError: it could not be written.
        BrokenPipeError: its reader has left.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"{name} cannot be written: {error.strerror or error}") from error


def mute(stream: TextIO) -> None:
    """Let go of what is still in a stream's buffer; Python would try, and fail, to write it at the end."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
