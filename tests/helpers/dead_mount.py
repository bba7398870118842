"""A mount that has died: whoever asks anything of it waits until the program that it was made for ends.

    python dead_mount.py FOLDER COMMAND...

A file system in user space (FUSE) whose server never answers is mounted on FOLDER, and COMMAND runs in the
place of this program. Whatever is called into the mount hangs inside the kernel, as on a network file system
whose server is gone. `dead_mount` wraps this in a mount namespace that no other process sees.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def run(folder: str, command: list[str]) -> None:
    """Mount, and become the command."""
    server = os.open("/dev/fuse", os.O_RDWR)
    os.set_inheritable(server, True)
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={server},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}"
    if libc.mount(b"dead", os.fsencode(folder), b"fuse", 0, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), "cannot mount")
    os.execv(command[0], command)


def dead_mount(folder: Path) -> list[str]:
    """What to put before a command that shall see this folder as a dead mount.

    Skips the test where nothing can be mounted.
    """
    folder.mkdir(exist_ok=True)
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("needs Linux's unshare")
    before = [unshare, "--mount", *(["--map-root-user"] if os.getuid() else [])]
    before += [sys.executable, __file__, str(folder)]
    if subprocess.run([*before, "/bin/true"], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here, even in a namespace of one's own")
    return before


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2:])
