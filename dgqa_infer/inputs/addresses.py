"""Addresses: which are known, and how they are shown without what is secret in them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from dgqa_infer.errors import ImageError

SCHEMES = ("s3", "gs", "gcs", "az", "abfs", "http", "https", "zip", "tar")
"""Where photographs may be. Other schemes of fsspec's reach into programs or accounts that nobody named."""

WEB = ("http", "https")
ARCHIVES = ("zip", "tar")

_ADDRESS = re.compile(r"([a-z][a-z0-9]*)://", re.IGNORECASE)
_REMOTE_ARCHIVE = re.compile(r"::(?=[a-z][a-z0-9]*://)", re.IGNORECASE)
_WITHIN_TEXT = re.compile(r"[a-z][a-z0-9]*://[^\s'\"<>]+", re.IGNORECASE)
_ACCOUNT = re.compile(r"(?<=://)[^/?#@\s]*@")
_VALUE = re.compile(
    r"(?<=[?&#;])([^=&#;]*(?:auth|code|cred|expires|hmac|jwt|key|pass|policy|pwd|secret|session|sig|token|x-amz-"
    r"|x-goog-|x-ms-)[^=&#;]*)=[^&#;:]*",
    re.IGNORECASE,
)


def is_remote(name: str) -> bool:
    """Whether a name is an address and not a path."""
    return _ADDRESS.match(name) is not None


def may_be_addresses(names: Iterable[str | ImageError]) -> bool:
    """Whether one of these names is an address, or "-" for a list that may hold one."""
    return any(isinstance(name, str) and (name == "-" or is_remote(name)) for name in names)


def scheme_of(address: str) -> str:
    """The scheme of an address, in lower case.

    Raises:
        ImageError: "unsupported" for one that is not of `SCHEMES`.
    """
    match = _ADDRESS.match(address)
    scheme = match.group(1).lower() if match else ""
    if scheme not in SCHEMES:
        raise ImageError("unsupported", f"{scheme}:// is none of {', '.join(SCHEMES)}", shown(address))
    return scheme


def shown(name: str) -> str:
    """A name as rows, logs and reports have it: of an address without account, passwords and signatures."""
    if not is_remote(name):
        return name
    if name.partition("://")[0].lower() in ARCHIVES:
        # A member's name is no secret, whatever is in it.
        member, *archive = _REMOTE_ARCHIVE.split(name, maxsplit=1)
        return "::".join([member, *map(shown, archive)])
    return _VALUE.sub(r"\1=***", _ACCOUNT.sub("***@", name))


def without_secrets(text: str) -> str:
    """A sentence whose addresses are as `shown` has them."""
    return _WITHIN_TEXT.sub(lambda found: shown(found.group()), text)
