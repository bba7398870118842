"""Photographs that are not files here: in object stores, behind web addresses, in archives.

`s3://bucket/folder`, `gs://bucket/folder` and `az://…` are walked like folders, by way of fsspec, and so is
an archive: `photos.zip`, `zip://::s3://bucket/photos.zip`. A web address is one photograph.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from dgqa_infer.errors import ImageError
from dgqa_infer.inputs import stores, web
from dgqa_infer.inputs.addresses import ARCHIVES, WEB, is_remote, scheme_of, shown
from dgqa_infer.inputs.archive_files import open_archive_file
from dgqa_infer.inputs.archive_listing import list_archive
from dgqa_infer.inputs.archives import DAMAGED, ENDINGS, Archive, split

__all__ = ["archive_address", "is_remote", "read", "status", "walk"]

_REMEMBERED = 4096
# Sizes and times of members that were just listed, so that no archive is opened for each of them.
_listed: OrderedDict[str, tuple[int, float | None]] = OrderedDict()


def archive_address(name: str) -> str | None:
    """The address of all that is in an archive on disk; None for what is no archive by its name."""
    for ending, scheme in ENDINGS.items():
        if name.lower().endswith(ending):
            return f"{scheme}://::{name}"
    return None


def read(address: str, file_bytes: int, *, allow_private: bool = False) -> tuple[bytes, float | None]:
    """Read one photograph whole, again if that fails on the way.

    Args:
        address: as the module says.
        file_bytes: one that is larger is refused.
        allow_private: whether this machine and link-local addresses may be asked for web addresses.

    Returns:
        Its bytes, and the time of its last change; None where nobody knows.

    Raises:
        ImageError: "not_found", "unreadable", "too_large"; "unsupported" where the extra is not installed.
    """
    scheme = scheme_of(address)
    try:
        if scheme in WEB:
            return web.fetch(address, file_bytes, allow_private=allow_private), None
        if scheme in ARCHIVES:
            return _read_member(address, file_bytes, allow_private)
        return stores.read(address, file_bytes)
    except ImageError as error:
        raise ImageError(error.code, error.message, shown(address)) from error


def status(address: str, *, allow_private: bool = False) -> tuple[int | None, float | None]:
    """Size and time of the last change, as far as the store tells them without reading."""
    if (known := _listed.get(address)) is not None:
        return known
    try:
        scheme = scheme_of(address)
        if scheme in WEB:
            return stores.bounded(lambda: web.size(address, allow_private=allow_private)), None
        if scheme in ARCHIVES:
            exact = [found for found, *_ in walk(address, True, allow_private) if found == address]
            return _listed.get(address, (None, None)) if exact else (None, None)
        return stores.status(address)
    except Exception:
        # Reading it will say what is wrong.
        return None, None


def walk(address: str, recursive: bool, allow_private: bool = False) -> Iterator[tuple[str, str, str | None]]:
    """What lies under an address.

    Args:
        address: of a folder, or of an archive; or of one photograph, which is then all there is.
        recursive: also look into folders within folders.
        allow_private: as in `read`.

    Yields:
        The address of each file, its path below the folder, and why it is no photograph ("symlink",
        "special"); None for a file.

    Raises:
        ImageError: "not_found" or "unreadable" for the folder itself; "unsupported" without the extra.
    """
    scheme = scheme_of(address)
    try:
        if scheme in WEB:
            yield address, address.rpartition("/")[2], None
        elif scheme in ARCHIVES:
            yield from _walk_archive(address, recursive, allow_private)
        else:
            yield from stores.walk(address, recursive)
    except ImageError as error:
        raise ImageError(error.code, error.message, shown(address)) from error
    except FileNotFoundError as error:
        raise ImageError("not_found", "there is nothing at this address", shown(address)) from error
    except Exception as error:
        raise ImageError(
            "unreadable", f"it cannot be listed: {stores.in_words(error)}", shown(address)
        ) from error


def _read_member(address: str, file_bytes: int, allow_private: bool) -> tuple[bytes, float | None]:
    scheme, member, archive = split(address)
    try:
        return _archive(scheme, archive, _stamp(archive), allow_private).read(member, file_bytes)
    except (KeyError, FileNotFoundError) as error:
        raise ImageError("not_found", "there is nothing at this address") from error
    except NotImplementedError as error:
        raise ImageError("unsupported", "it is packed in a way that is not read") from error
    except DAMAGED as error:
        raise ImageError("unreadable", "it cannot be read: the archive is damaged") from error


@lru_cache(maxsize=4)
def _archive(scheme: str, archive: str, _stamp: object, allow_private: bool) -> Archive:
    """An open archive; kept open, since its members are read one after the other."""
    return Archive(scheme, lambda: open_archive_file(archive, allow_private=allow_private))


def _stamp(archive: str) -> object:
    """Changes when the archive does."""
    if is_remote(archive):
        return None
    found = Path(archive).stat()
    return found.st_size, found.st_mtime_ns


def _walk_archive(
    address: str, recursive: bool, allow_private: bool
) -> Iterator[tuple[str, str, str | None]]:
    scheme, root, archive = stores.bounded(lambda: split(address))
    if is_remote(archive):
        scheme_of(archive)
    prefix = f"{root.rstrip('/')}/" if root else ""
    found_any = not root
    exact = False
    try:
        for member in list_archive(scheme, archive, allow_private=allow_private):
            if member.key != root and not member.key.startswith(prefix):
                continue
            found_any, exact = True, exact or member.key == root
            below = member.key.removeprefix(prefix)
            if not recursive and "/" in below.strip("/"):
                continue
            found = f"{scheme}://{member.key}::{archive}"
            _listed[found] = (member.size, member.mtime)
            if len(_listed) > _REMEMBERED:
                _listed.popitem(last=False)
            yield found, below, member.other
    except ImageError:
        # A member that was named has one row, and what is behind it is no matter to it.
        if not exact:
            raise
    if not found_any:
        raise ImageError("not_found", "there is nothing at this address")
