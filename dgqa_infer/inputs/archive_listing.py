"""Archives are listed in a process of their own, whose memory and time have an end, whatever they hold.

The parent gets one line of JSON a member, and waits for no line longer than its patience.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from dgqa_infer import system
from dgqa_infer.confinement import confine, environment
from dgqa_infer.errors import ERROR_CODES, ImageError
from dgqa_infer.inputs.addresses import is_remote
from dgqa_infer.inputs.archive_files import open_archive_file
from dgqa_infer.inputs.archives import DAMAGED, Archive, Member

_MEMORY_BYTES = 1_500_000_000
_CPU_SECONDS = 900
_PATIENCE_SECONDS = 60.0
_LONGEST_LINE = 1_000_000
_PACKAGE_PARENT = str(Path(__file__).resolve().parents[2])
_BOOTSTRAP = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from dgqa_infer.inputs.archive_listing import main; main(*sys.argv[2:])"
)


def list_archive(scheme: str, archive: str, *, allow_private: bool = False) -> Iterator[Member]:
    """What lies in an archive, as its listing comes.

    Args:
        scheme: "zip" or "tar".
        archive: a path, or an address.
        allow_private: as `web.fetch` has it.

    Raises:
        ImageError: it is no archive, is damaged, takes too much, or says nothing for a minute.
    """
    path = [entry for entry in sys.path if entry] + [_PACKAGE_PARENT]
    command = [system.interpreter(), "-P", "-S", "-c", _BOOTSTRAP, json.dumps(path), scheme, archive]
    with subprocess.Popen(
        [*command, "private" if allow_private else ""],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(os.environ, addresses=is_remote(archive)),
        **system.apart(),
    ) as process:
        try:
            assert process.stdout is not None
            for line in _lines(process.stdout):
                found = json.loads(line)
                if not isinstance(found, list):
                    return
                if len(found) == 2:
                    code, message = found
                    raise ImageError(code if code in ERROR_CODES else "unreadable", str(message))
                key, size, mtime, other = found
                yield Member(str(key), int(size), mtime, other)
        except (ValueError, TypeError) as error:
            raise ImageError("unreadable", "the archive cannot be listed") from error
        finally:
            process.kill()
    raise ImageError("too_large", "listing the archive takes more memory or time than it may")


def _lines(pipe: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            if not selector.select(_PATIENCE_SECONDS):
                raise ImageError("unreadable", f"its listing said nothing for {_PATIENCE_SECONDS:.0f} s")
            block = os.read(pipe.fileno(), 65536)
            if not block:
                return
            *lines, rest = (rest + block).split(b"\n")
            yield from lines
            if len(rest) > _LONGEST_LINE:
                raise ValueError("the line has no end")


def main(scheme: str, archive: str, private: str) -> None:
    """List an archive on stdout, in a process that may do little else.

    Args:
        scheme: "zip" or "tar".
        archive: a path, or an address.
        private: not empty where private addresses may be asked.
    """
    confine(addresses=is_remote(archive))
    system.limit_itself(memory=_MEMORY_BYTES, cpu_seconds=_CPU_SECONDS)
    out = sys.stdout.buffer
    with suppress(BrokenPipeError):
        for line in _listed(scheme, lambda: open_archive_file(archive, allow_private=bool(private))):
            out.write(json.dumps(line).encode() + b"\n")
        out.flush()
    os._exit(0)


def _listed(scheme: str, open_file: Callable[[], IO[bytes]]) -> Iterator[object]:
    try:
        for member in Archive(scheme, open_file).members():
            yield [member.key, member.size, member.mtime, member.other]
        yield "end"
    except ImageError as error:
        yield [error.code, error.message]
    except MemoryError:
        yield ["too_large", "listing the archive needs more memory than it may have"]
    except FileNotFoundError:
        yield ["not_found", "there is nothing at this address"]
    except DAMAGED:
        yield ["unreadable", "it cannot be listed: it is no archive of this kind, or it is damaged"]
