"""Lists of names, as they come through a pipe: from Unix, from Windows, with a byte order mark."""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable, Iterator

from dgqa_infer.errors import UsageError
from dgqa_infer.inputs.remote import is_remote
from dgqa_infer.patience import Patience

_LOOK_SECONDS = 60.0
# Far more than any path or address has; what has no end in sight is no list.
_LONGEST_NAME = 1 << 20
_UTF_16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def read_names(descriptor: int, separator: bytes) -> Iterator[str]:
    """Names from a pipe, as they come.

    A byte order mark is no part of the first name, and a carriage return none of a line's, unless there is a
    file of exactly that name. A list in UTF-16, as some shells of Windows write it, is read too.

    Args:
        descriptor: of the pipe; read without a buffer that an exiting interpreter would wait for.
        separator: what ends a name: a line feed or a zero byte.

    Raises:
        UsageError: it cannot be read, or is no list of names.
    """
    rest, first = b"", True
    decode: Callable[[bytes], bytes] = bytes
    with Patience(_LOOK_SECONDS, "dgqa-names") as patience:
        while block := _read(descriptor):
            if first and separator == b"\n" and (encoding := _UTF_16.get(block[:2])):
                decode, block = _from(encoding), block[2:]
            *names, rest = (rest + decode(block)).split(separator)
            for name in names:
                yield from _name(name, separator, first, patience)
                first = False
            if len(rest) > _LONGEST_NAME:
                raise UsageError(
                    f"what comes through stdin is no list of names: one has more than {_LONGEST_NAME:,} bytes"
                )
        yield from _name(rest, separator, first, patience)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError as error:
        raise UsageError(f"stdin cannot be read: {error.strerror}") from error


def _name(name: bytes, separator: bytes, first: bool, patience: Patience) -> Iterator[str]:
    if first and name.startswith(codecs.BOM_UTF8) and not _exists(name, patience):
        name = name.removeprefix(codecs.BOM_UTF8)
    if separator == b"\n" and name.endswith(b"\r") and (_is_address(name) or not _exists(name, patience)):
        name = name[:-1]
    if name:
        yield os.fsdecode(name)


def _exists(name: bytes, patience: Patience) -> bool:
    """Whether there is a file of this name; one on a dead mount cannot be asked for."""
    try:
        return patience.call(lambda: os.path.lexists(name))
    except TimeoutError:
        return False


def _is_address(name: bytes) -> bool:
    return is_remote(os.fsdecode(name))


def _from(encoding: str) -> Callable[[bytes], bytes]:
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    return lambda block: decoder.decode(block).encode()
