"""What a process that reads hostile files gives up: each right that it does not need, as the system lets it.

All of this is for the day on which a decoder is taken over by a file. `confine` says which protections hold;
`dgqa-infer doctor` shows them. The calls are Linux's; elsewhere none of them holds.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import re
import struct
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

PROTECTIONS: Final = {
    "no_new_privileges": "it can gain no rights by running other programs",
    "no_changes": "it can change no file and look into no other process",
    "no_network": "it can open no connection, run no other program and signal no other process; it can fork",
    "ends_first": "it ends first where the machine has no memory left",
}
"""Names of protections, and what each means."""

# What Python, its loader and the libraries that decode look for.
_NEEDED = re.compile(
    r"PATH|HOME|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|TEMP|TMP|PYTHON\w*|LD_\w+|DYLD_\w+|MALLOC_\w+|GLIBC_\w+"
    r"|\w+_NUM_THREADS|CUDA_\w+|NVIDIA_\w+|COVERAGE\w*|SYSTEMROOT|WINDIR|COMSPEC|PATHEXT"
)
# And what finds a store, its keys, and the way to it.
_FOR_ADDRESSES = re.compile(
    r"(AWS|BOTO|S3|GOOGLE|GCLOUD|CLOUDSDK|GCS|GCP|AZURE|FSSPEC|KUBERNETES)_\w+|STORAGE_EMULATOR_HOST"
    r"|\w+_PROXY|SSL_\w+|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|NETRC|USER|LOGNAME|USERNAME|USERPROFILE|APPDATA|XDG_\w+",
    re.IGNORECASE,
)

_SET_SECCOMP, _SET_NO_NEW_PRIVILEGES, _FILTER = 22, 38, 2
_CREATE_RULESET, _RESTRICT_SELF = 444, 446
# Of an administrator's powers, the two to read any file.
_CAPABILITIES_VERSION, _READ_ANY_FILE = 0x20080522, 1 << 1 | 1 << 2
# Rights to files as Landlock numbers them: all but to run, to read, to list, and to use a device's own calls.
_CHANGES: Final = sum(1 << right for right in (1, *range(4, 15)))
_CHANGES_BY_VERSION: Final = {1: (1 << 13) - 1, 2: (1 << 14) - 1}

# By architecture: its number for seccomp, and the numbers of calls.
_CALLS: Final[dict[str, tuple[int, dict[str, int]]]] = {
    "x86_64": (
        0xC000003E,
        {"socket": 41, "connect": 42, "bind": 49, "execve": 59, "ptrace": 101, "execveat": 322}
        | {"process_vm_readv": 310, "process_vm_writev": 311, "io_uring_setup": 425, "pidfd_open": 434}
        | {"kill": 62, "tgkill": 234},
    ),
    "aarch64": (
        0xC00000B7,
        {"socket": 198, "connect": 203, "bind": 200, "execve": 221, "ptrace": 117, "execveat": 281}
        | {"process_vm_readv": 270, "process_vm_writev": 271, "io_uring_setup": 425, "pidfd_open": 434}
        | {"kill": 129, "tgkill": 131},
    ),
}
_OWN_PROCESS_ONLY = ("kill", "tgkill")
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050001
_X32 = 0x40000000


def environment(variables: Mapping[str, str], *, addresses: bool) -> dict[str, str]:
    """The variables that a process is given: none that holds the secret of another program.

    Args:
        variables: of this process.
        addresses: whether it reads from stores and the web, and so needs their keys and proxies.
    """
    # libheif's own limits stay on, whoever turned them off.
    return {
        name: value
        for name, value in variables.items()
        if _NEEDED.fullmatch(name) or (addresses and _FOR_ADDRESSES.fullmatch(name))
    }


def confine(*, addresses: bool) -> dict[str, bool]:
    """Give up what decoding does not need; cannot be taken back. Call it while there is one thread.

    Args:
        addresses: whether this process reads from stores and the web, whose clients run programs, too.

    Returns:
        Which of `PROTECTIONS` hold.
    """
    held = dict.fromkeys(PROTECTIONS, False)
    with suppress(OSError):
        # First: it is written to a file.
        Path("/proc/self/oom_score_adj").write_text("800")
        held["ends_first"] = True
    try:
        libc: Any = ctypes.CDLL(None, use_errno=True)
        held["no_new_privileges"] = libc.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0
    except (AttributeError, OSError, TypeError):
        return held
    held["no_new_privileges"] &= _keep_only_reading(libc)
    if held["no_new_privileges"]:
        held["no_changes"] = _change_nothing(libc)
        held["no_network"] = not addresses and _call_nobody(libc)
    return held


def confine_another() -> dict[str, bool]:
    """Which of `PROTECTIONS` hold here, as tried in a process of its own; none if it cannot start."""
    code = (
        "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
        "from dgqa_infer.confinement import confine; print(json.dumps(confine(addresses=False)))"
    )
    command = [sys.executable, "-P", "-S", "-c", code, json.dumps([entry for entry in sys.path if entry])]
    try:
        found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return dict.fromkeys(PROTECTIONS, False)
    return {name: bool(found[name]) for name in PROTECTIONS}


def _keep_only_reading(libc: Any) -> bool:
    """Capabilities: an administrator may look into every process, among other things."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_VERSION, 0)
    # Effective, permitted and inheritable, and the same for numbers from 32 on.
    sets = (ctypes.c_uint32 * 6)()
    if libc.capget(header, sets) != 0:
        return False
    kept = [sets[0] & _READ_ANY_FILE, sets[1] & _READ_ANY_FILE, 0, 0, 0, 0]
    return bool(libc.capset(header, (ctypes.c_uint32 * 6)(*kept)) == 0)


def _change_nothing(libc: Any) -> bool:
    """Landlock: no file can be written, made, moved or removed, and no process outside be traced."""
    version = libc.syscall(_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return False
    handled = ctypes.c_uint64(_CHANGES & _CHANGES_BY_VERSION.get(version, (1 << 15) - 1))
    ruleset = libc.syscall(_CREATE_RULESET, ctypes.byref(handled), ctypes.sizeof(handled), 0)
    if ruleset < 0:
        return False
    try:
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _call_nobody(libc: Any) -> bool:
    """Seccomp: what would reach another machine, program or process is refused."""
    program = _program(platform.machine(), os.getpid())
    if program is None:
        return False
    instructions = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]

    filled = Program(len(program) // 8, ctypes.addressof(instructions))
    return bool(libc.prctl(_SET_SECCOMP, _FILTER, ctypes.byref(filled), 0, 0) == 0)


def _program(machine: str, pid: int) -> bytes | None:
    """The filter in the kernel's language; None for an architecture whose numbers are not known.

    Each instruction is a code, how many instructions to skip if true and if false, and a number.
    """
    if machine not in _CALLS:
        return None
    architecture, calls = _CALLS[machine]
    load, equal, at_least, answer = 0x20, 0x15, 0x35, 0x06
    number_at, architecture_at, argument_at = 0, 4, 16
    # Another architecture's calls have other numbers: a program of its own would get around this one.
    parts = [
        (load, 0, 0, architecture_at),
        (equal, 1, 0, architecture),
        (answer, 0, 0, _REFUSE),
        (load, 0, 0, number_at),
        (at_least, 0, 1, _X32),
        (answer, 0, 0, _REFUSE),
    ]
    for name, number in calls.items():
        if name in _OWN_PROCESS_ONLY:
            continue
        parts += [(equal, 0, 1, number), (answer, 0, 0, _REFUSE)]
    for name in _OWN_PROCESS_ONLY:
        parts += [
            (equal, 0, 4, calls[name]),
            (load, 0, 0, argument_at),
            (equal, 1, 0, pid),
            (answer, 0, 0, _REFUSE),
            (answer, 0, 0, _ALLOW),
        ]
    parts.append((answer, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *part) for part in parts)
