"""Stores that do not answer, or do not let us in, are named before any work begins."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from dgqa_infer.errors import ImageError, UsageError
from dgqa_infer.inputs import remote
from dgqa_infer.inputs.addresses import shown, without_secrets

_STORE_SECONDS = 15.0
T = TypeVar("T")


def check_stores(sources: Sequence[str], *, allow_private: bool = False) -> None:
    """Ask every store that is named for its first photograph.

    Args:
        sources: what was named.
        allow_private: whether web addresses of this machine and its link may be asked.

    Raises:
        UsageError: one does not answer, or does not let us in; says which.
    """
    for address in filter(remote.is_remote, sources):
        try:
            answer(address, partial(_first, address, allow_private))
        except ImageError as error:
            # To fsspec a web server that it cannot reach is one that has nothing.
            if error.code == "not_found" and (cause := _connection(error)) is not None:
                raise UsageError(without_secrets(f"{shown(address)}: {cause}")) from error
            if error.code in ("unreadable", "unsupported"):
                raise UsageError(str(error)) from error


def answer(name: str, do: Callable[[], T]) -> T:
    """What comes of asking a store; a folder here may take its time.

    Args:
        name: a path or an address.
        do: asks.

    Raises:
        UsageError: a store does not answer in time.
    """
    if not remote.is_remote(name):
        return do()
    try:
        return within(_STORE_SECONDS, do)
    except TimeoutError as error:
        raise UsageError(f"{shown(name)} does not answer within {_STORE_SECONDS:g} s") from error


def _first(address: str, allow_private: bool) -> bool:
    """Whether there is anything at an address."""
    return next(remote.walk(address, True, allow_private), None) is not None


def _connection(error: BaseException) -> OSError | None:
    """What a network said, if that is what an error comes from."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and not isinstance(seen, FileNotFoundError):
            return seen
        seen = seen.__cause__
    return None


def within(seconds: float, do: Callable[[], T]) -> T:
    """What a call gives, if it gives it in time; else it goes on in a thread that nobody waits for.

    Raises:
        TimeoutError: it takes longer.
    """
    found: list[T] = []
    failed: list[BaseException] = []

    def call() -> None:
        try:
            found.append(do())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not found:
        raise TimeoutError
    return found[0]
