"""Photographs that are not files here: in object stores, behind web addresses, in archives. By way of fsspec.

`s3://bucket/folder`, `gs://bucket/folder` and `az://…` are walked like folders, and so is an archive:
`photos.zip`, `zip://::s3://bucket/photos.zip`. A web address is one photograph. Nothing is unpacked to disk.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from dgqa_infer.errors import ImageError

SCHEMES = ("s3", "gs", "gcs", "az", "abfs", "http", "https", "zip", "tar")
"""Where photographs may be. Other schemes of fsspec's reach into programs or accounts that nobody named."""

_ADDRESS = re.compile(r"([a-z][a-z0-9]*)://", re.IGNORECASE)
_ARCHIVES = {
    ".zip": "zip",
    ".tar": "tar",
    ".tgz": "tar",
    ".tar.gz": "tar",
    ".tar.bz2": "tar",
    ".tar.xz": "tar",
}
_WEB = ("http", "https")
_ATTEMPTS = 3
_FIRST_PAUSE_SECONDS = 0.5
_PART_BYTES = 1_000_000
_TIMES = ("LastModified", "last_modified", "updated", "mtime")


def is_remote(name: str) -> bool:
    """Whether a name is an address and not a path."""
    return _ADDRESS.match(name) is not None


def archive_address(name: str) -> str | None:
    """The address of all that is in an archive on disk; None for what is no archive by its name."""
    for ending, scheme in _ARCHIVES.items():
        if name.lower().endswith(ending):
            return f"{scheme}://::{name}"
    return None


def read(address: str, file_bytes: int) -> bytes:
    """Read one photograph whole, again if that fails on the way.

    Args:
        address: as the module says.
        file_bytes: one that is larger is refused.

    Raises:
        ImageError: "not_found", "unreadable", "too_large"; "unsupported" where the extra is not installed.
    """
    pause = _FIRST_PAUSE_SECONDS
    for attempt in range(_ATTEMPTS):
        try:
            return _read_once(address, file_bytes)
        except ImageError:
            raise
        except (FileNotFoundError, KeyError, IsADirectoryError) as error:
            raise ImageError("not_found", "there is nothing at this address", address) from error
        except Exception as error:
            # Whatever a network, a store's client or a damaged archive can come up with.
            if attempt == _ATTEMPTS - 1 or isinstance(error, PermissionError):
                raise ImageError("unreadable", _said(error), address) from error
            time.sleep(pause)
            pause *= 2
    raise AssertionError("unreachable")


def status(address: str) -> tuple[int | None, float | None]:
    """Size and time of the last change, as far as the store tells them without reading."""
    try:
        system, path = _open_system(address)
        info = system.info(path)
    except Exception:
        # Reading it will say what is wrong.
        return None, None
    return info.get("size"), _changed(info)


def walk(address: str, recursive: bool) -> Iterator[tuple[str, str]]:
    """What lies under an address, a folder at a time.

    Args:
        address: of a folder, or of an archive; or of one photograph, which is then all there is.
        recursive: also look into folders within folders.

    Yields:
        The address of each file, and its path below the folder.

    Raises:
        ImageError: "not_found" or "unreadable" for the folder itself; "unsupported" without the extra.
    """
    scheme = _scheme(address)
    try:
        system, root = _open_system(address)
        if scheme in _WEB or not (root in ("", "/") or system.isdir(root)):
            yield address, address.rpartition("/")[2]
            return
        behind = address.partition("::")
        for folder, _, names in system.walk(root, maxdepth=None if recursive else 1):
            for name in sorted(names):
                full = f"{folder}/{name}".lstrip("/") if folder else name
                below = full.removeprefix(root.strip("/")).lstrip("/")
                yield f"{scheme}://{full}{behind[1]}{behind[2]}", below
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError("not_found", "there is nothing at this address", address) from error
    except Exception as error:
        raise ImageError("unreadable", f"it cannot be listed: {_said(error)}", address) from error


def _read_once(address: str, file_bytes: int) -> bytes:
    system, path = _open_system(address)
    options = {}
    if _scheme(address) in _WEB:
        # One request that streams. With a size, whatever it is, fsspec does not ask for it before, and a
        # server that fails is not taken for one that has nothing.
        options = {"block_size": 0, "size": 1}
    elif (size := system.info(path).get("size")) is not None and size > file_bytes:
        raise ImageError("too_large", f"{size:,} bytes; the limit is {file_bytes:,}", address)
    parts, left = [], file_bytes + 1
    with system.open(path, "rb", **options) as file:
        while left > 0 and (part := file.read(min(left, _PART_BYTES))):
            parts.append(part)
            left -= len(part)
    if left <= 0:
        raise ImageError("too_large", f"more than {file_bytes:,} bytes, which is the limit", address)
    return b"".join(parts)


def _scheme(address: str) -> str:
    match = _ADDRESS.match(address)
    scheme = match.group(1).lower() if match else ""
    if scheme not in SCHEMES:
        raise ImageError("unsupported", f"{scheme}:// is none of {', '.join(SCHEMES)}", address)
    return scheme


def _open_system(address: str) -> tuple[Any, str]:
    """fsspec's file system for an address, and the path in it; opened once in a process."""
    _scheme(address)
    _, chained, inner = address.partition("::")
    if chained and is_remote(inner):
        _scheme(inner)
    try:
        from fsspec.core import url_to_fs

        system, path = url_to_fs(address)
    except ImportError as error:
        raise ImageError(
            "unsupported",
            "addresses and archives need packages that are not installed: pip install 'dgqa-infer[remote]'",
            address,
        ) from error
    return system, path


def _changed(info: dict[str, Any]) -> float | None:
    for name in _TIMES:
        value = info.get(name)
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                continue
        if isinstance(value, datetime):
            return round(value.timestamp(), 6)
        if isinstance(value, int | float):
            return round(float(value), 6)
    return None


def _said(error: Exception) -> str:
    text = " ".join(str(error).split()) or "no reason given"
    return (
        f"{type(error).__name__}: {text[:300]}" if not isinstance(error, PermissionError) else os.strerror(13)
    )
