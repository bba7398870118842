"""Photographs behind web addresses: one request that streams, and nowhere that nobody named.

Each redirect is checked like the address itself. This machine, its neighbours on the link and the metadata
services of clouds are not asked, unless that is allowed. Nothing goes through a proxy.
"""

from __future__ import annotations

import base64
import functools
import http.client
import ipaddress
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from dgqa_infer.errors import ImageError

_REDIRECTS = 5
_SILENCE_SECONDS = 10.0
_WHOLE_SECONDS = 300.0
_ATTEMPTS = 3
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 20.0
_PART_BYTES = 1_000_000
_GONE = (404, 410)
_AGAIN = (408, 425, 429, 500, 502, 503, 504)
# Metadata services of clouds that are not at a link-local address.
_METADATA = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "168.63.129.16")))


def fetch(address: str, file_bytes: int, *, allow_private: bool = False) -> bytes:
    """Read what is at an address, again if that fails on the way.

    Args:
        address: http:// or https://; an account in it is sent to its host, and not on to others.
        file_bytes: more are refused.
        allow_private: whether this machine and link-local addresses may be asked.

    Raises:
        ImageError: "not_found", "unreadable" or "too_large".
    """
    pause = _FIRST_PAUSE_SECONDS
    for attempt in range(_ATTEMPTS):
        last = attempt == _ATTEMPTS - 1
        try:
            return _fetch_once(address, file_bytes, allow_private)
        except urllib.error.HTTPError as error:
            with error:
                asked = _asked_pause(error) if error.code in (429, 503) else None
                _refuse(error.code, asked, last=last)
            time.sleep(pause if asked is None else asked)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if last or isinstance(error, ValueError):
                raise ImageError("unreadable", _said(error)) from error
            time.sleep(pause)
        pause *= 2
    raise AssertionError("unreachable")


def size(address: str, *, allow_private: bool = False) -> int | None:
    """How many bytes the server announces; None where it does not, or does not answer."""
    try:
        with _open(address, allow_private, "HEAD") as response:
            return int(response.headers["Content-Length"])
    except (OSError, http.client.HTTPException, ImageError, ValueError, TypeError):
        return None


def _fetch_once(address: str, file_bytes: int, allow_private: bool) -> bytes:
    until = time.monotonic() + _WHOLE_SECONDS
    parts, left = [], file_bytes + 1
    with _open(address, allow_private, "GET") as response:
        announced = response.length
        while left > 0 and (part := response.read1(min(left, _PART_BYTES))):
            parts.append(part)
            left -= len(part)
            if time.monotonic() > until:
                raise ImageError("unreadable", f"it was not read within {_WHOLE_SECONDS:.0f} s")
    if left <= 0:
        raise ImageError("too_large", f"more than {file_bytes:,} bytes, which is the limit")
    data = b"".join(parts)
    if announced is not None and len(data) < announced:
        raise http.client.IncompleteRead(b"", announced - len(data))
    return data


def _open(address: str, allow_private: bool, method: str) -> Any:
    parts = urllib.parse.urlsplit(address)
    account, _, host = parts.netloc.rpartition("@")
    quoted = urllib.parse.quote(parts.path, safe="/%:@!$&'()*+,;=~-._")
    query = urllib.parse.quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
    request = urllib.request.Request(
        urllib.parse.urlunsplit((parts.scheme.lower(), host, quoted or "/", query, "")),
        headers={"User-Agent": "dgqa-infer", "Accept-Encoding": "identity"},
        method=method,
    )
    if account:
        token = base64.b64encode(urllib.parse.unquote(account).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {token}")
    opener = urllib.request.OpenerDirector()
    for handler in (
        _Http(allow_private),
        _Https(allow_private),
        _Redirects(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener.open(request, timeout=_SILENCE_SECONDS)


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = _REDIRECTS
    max_repeats = 2

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        parts = urllib.parse.urlsplit(newurl)
        if parts.scheme.lower() not in ("http", "https") or "@" in parts.netloc:
            fp.close()
            raise ImageError("unreadable", "the server leads to an address that is no plain web address")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Http(urllib.request.HTTPHandler):
    def __init__(self, allow_private: bool) -> None:
        super().__init__()
        self._allow_private = allow_private

    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_connection(http.client.HTTPConnection, self._allow_private), req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, allow_private: bool) -> None:
        super().__init__()
        self._allow_private = allow_private

    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_connection(http.client.HTTPSConnection, self._allow_private), req)


def _connection(kind: type[http.client.HTTPConnection], allow_private: bool) -> Any:
    """Makes connections that look at where they lead before they say anything."""

    def make(*args: Any, **options: Any) -> http.client.HTTPConnection:
        made: Any = kind(*args, **options)
        made._create_connection = functools.partial(_connect, allow_private)
        return made  # type: ignore[no-any-return]

    return make


def _connect(
    allow_private: bool, address: tuple[str, int], timeout: float, _source: object = None
) -> socket.socket:
    host, port = address
    failed: OSError | None = None
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a part of the name is empty or too long
        raise socket.gaierror(str(error)) from error
    for *_, found in places:
        place = str(found[0])
        if not allow_private and _is_private(place):
            raise ImageError(
                "unreadable",
                "it is at an address of this machine or its link, which is not asked without --allow-private",
            )
        try:
            return socket.create_connection((place, port), timeout)
        except OSError as error:
            failed = error
    raise failed or OSError("the name has no address")


def _is_private(place: str) -> bool:
    address = ipaddress.ip_address(place.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    reserved = address.is_loopback or address.is_link_local or address.is_unspecified
    return reserved or address.is_multicast or address in _METADATA


def _refuse(code: int, asked: float | None, *, last: bool) -> None:
    """Raise what an answer means, unless another try makes sense."""
    if code in _GONE:
        raise ImageError("not_found", "there is nothing at this address")
    if asked is not None and asked > _LONGEST_PAUSE_SECONDS:
        raise ImageError("unreadable", f"the server asks to come back in {asked:,.0f} s (HTTP {code})")
    if code not in _AGAIN or last:
        word = "leads to too many other addresses" if 300 <= code < 400 else "refuses"
        raise ImageError("unreadable", f"the server {word} (HTTP {code})")


def _asked_pause(error: urllib.error.HTTPError) -> float | None:
    """What `Retry-After` says, in seconds from now."""
    value = error.headers.get("Retry-After", "")
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def _said(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError):
        return f"the server said nothing for {_SILENCE_SECONDS:.0f} s"
    if isinstance(reason, socket.gaierror):
        return "the server's name is not known"
    if isinstance(reason, http.client.IncompleteRead):
        return "the connection ended before the photograph did"
    words = getattr(reason, "strerror", None)
    return (
        f"the server cannot be reached: {words}" if words else "the server does not speak HTTP as it should"
    )
