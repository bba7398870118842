"""Photographs in object stores, by way of fsspec; no answer is waited for for ever."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

from dgqa_infer.errors import ImageError
from dgqa_infer.inputs.addresses import scheme_of, shown, without_secrets
from dgqa_infer.patience import Patience

T = TypeVar("T")
_ATTEMPTS = 3
_FIRST_PAUSE_SECONDS = 0.5
_PART_BYTES = 1_000_000
_PATIENCE_SECONDS = 60.0
_TIMES = ("LastModified", "last_modified", "updated", "mtime")


def status(address: str) -> tuple[int | None, float | None]:
    """Size and time of the last change, as far as the store tells them."""
    system, path = open_system(address)
    info = bounded(lambda: system.info(path))
    return info.get("size"), changed(info)


def read(address: str, file_bytes: int) -> tuple[bytes, float | None]:
    """Read one object whole, again if that fails on the way; see `remote.read`."""
    pause = _FIRST_PAUSE_SECONDS
    for attempt in range(_ATTEMPTS):
        try:
            return bounded(lambda: _read_once(address, file_bytes))
        except ImageError:
            raise
        except (FileNotFoundError, KeyError, IsADirectoryError) as error:
            raise ImageError("not_found", "there is nothing at this address") from error
        except Exception as error:
            # Whatever a network or a store's client can come up with.
            if attempt == _ATTEMPTS - 1 or isinstance(error, PermissionError | TimeoutError):
                raise ImageError("unreadable", in_words(error)) from error
            time.sleep(pause)
            pause *= 2
    raise AssertionError("unreachable")


def _read_once(address: str, file_bytes: int) -> tuple[bytes, float | None]:
    system, path = open_system(address)
    info = system.info(path)
    if (size := info.get("size")) is not None and size > file_bytes:
        raise ImageError("too_large", f"{size:,} bytes; the limit is {file_bytes:,}")
    parts, left = [], file_bytes + 1
    with system.open(path, "rb") as file:
        while left > 0 and (part := file.read(min(left, _PART_BYTES))):
            parts.append(part)
            left -= len(part)
    if left <= 0:
        raise ImageError("too_large", f"more than {file_bytes:,} bytes, which is the limit")
    return b"".join(parts), changed(info)


def walk(address: str, recursive: bool) -> Iterator[tuple[str, str, str | None]]:
    """What lies under an address, a folder at a time; see `remote.walk`."""
    scheme = scheme_of(address)
    system, root = open_system(address)
    if not (root in ("", "/") or bounded(lambda: system.isdir(root))):
        yield address, address.rpartition("/")[2], None
        return
    folders = iter(system.walk(root, maxdepth=None if recursive else 1))
    while (entry := bounded(lambda: next(folders, None))) is not None:
        folder, _, names = entry
        for name in sorted(names):
            full = f"{folder}/{name}".lstrip("/") if folder else name
            below = full.removeprefix(root.strip("/")).lstrip("/")
            yield f"{scheme}://{full}", below, None


def open_system(address: str) -> tuple[Any, str]:
    """fsspec's file system for an address of a store, and the path in it; opened once in a process."""
    scheme_of(address)
    if "::" in address:
        # fsspec would take each part of it for a protocol of its own.
        raise ImageError("unsupported", "an address with :: is one of a zip or tar archive", shown(address))
    try:
        from fsspec.core import url_to_fs

        system, path = url_to_fs(address)
    except ImportError as error:
        raise ImageError(
            "unsupported",
            "object stores need packages that are not installed: pip install 'dgqa-infer[remote]'",
            shown(address),
        ) from error
    return system, path


def bounded(call: Callable[[], T]) -> T:
    """Wait for a store's answer, but not for ever: a silent server is left to a thread that nobody waits for.

    Raises:
        TimeoutError: it did not answer.
    """
    with Patience(_PATIENCE_SECONDS, "dgqa-store") as patience:
        return patience.call(call)


def changed(info: dict[str, Any]) -> float | None:
    """The time of the last change that a store tells, each in its own way."""
    for name in _TIMES:
        value = info.get(name)
        if isinstance(value, str):
            with suppress(ValueError):
                value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            return round(value.timestamp(), 6)
        if isinstance(value, int | float):
            return round(float(value), 6)
    return None


def in_words(error: Exception) -> str:
    """What an exception of a store's client says, without secrets."""
    if isinstance(error, PermissionError):
        return "the store does not let this account read it"
    return without_secrets(" ".join(str(error).split())[:300]) or "no reason given"
