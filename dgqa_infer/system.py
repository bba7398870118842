"""What systems do differently: everything that Python does not offer on Linux, macOS and Windows alike.

New calls of that kind belong here, each with what happens where the system has no such thing; a test sees
that no other module makes one, and so does `mypy --platform win32`. On Windows no process can be handed
memory, so photographs are not decoded in processes of their own there: `can_hand_over` says so, and
`dgqa_infer.pipeline` needs it. All else works, with less protection where a function says so.
"""

from __future__ import annotations

import contextlib
import errno
import io
import mmap
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any, Final

from dgqa_infer import cgroups
from dgqa_infer.errors import BackendError

_MANY_FILES: Final = 16_384
BINARY: Final = getattr(os, "O_BINARY", 0)
"""For `os.open`: Windows changes the ends of lines without it."""


def cores() -> int:
    """How many cores this process may use; all of the machine's where the system does not tell."""
    quota = cgroups.limits().cores
    return visible_cores() if quota is None else min(quota, visible_cores())


def visible_cores() -> int:
    """How many cores this process may run on, be it only for a share of the time."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory() -> int | None:
    """How many bytes of memory this process may have: the machine's, or its container's; None if unknown."""
    known = [cgroups.limits().memory, _machine_memory()]
    return min((size for size in known if size is not None), default=None)


def _machine_memory() -> int | None:
    if sys.platform == "win32":
        return None
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def load() -> float:
    """How many processes were at work in the last minute, on average; 0 where unknown."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def cuda_driver() -> str:
    """Name of the library that is NVIDIA's driver."""
    return "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


# Files


def open_to_read(path: str) -> int:
    """A descriptor of what has this name, be it a pipe that nobody writes to; the caller closes it.

    Raises:
        OSError: it cannot be opened.
        ValueError: no file can have this name.
    """
    # A pipe without a writer would be waited for, for ever.
    return os.open(path, os.O_RDONLY | BINARY | getattr(os, "O_NONBLOCK", 0))


def lock(descriptor: int) -> bool:
    """Lock an open file until it is closed, where the file system has locks.

    Returns:
        Whether nobody else has locked it.
    """
    # As long to import as all that a run without a log needs of ours.
    from filelock import lock_descriptor

    try:
        return lock_descriptor(descriptor, blocking=False)
    except OSError:
        # Without locks, two runs at once are the user's to avoid.
        return True


def set_mode(descriptor: int, path: str, mode: int) -> None:
    """Set the permissions of an open file that has this name; Windows knows only "read-only".

    Raises:
        OSError: they cannot be set.
    """
    os.chmod(descriptor if os.chmod in os.supports_fd else path, mode)  # noqa: PTH101 (a descriptor)


def open_folder(path: str, within: int | None, *, links: bool) -> int | None:
    """A descriptor of a folder, relative to which files in it are opened; the caller closes it.

    Args:
        path: of the folder, or its name within another.
        within: descriptor of that other one.
        links: whether a link to a folder is followed.

    Returns:
        None on Windows, where a folder cannot be opened, and whoever exchanges it is not noticed.

    Raises:
        OSError: it cannot be opened, or is no folder.
    """
    if sys.platform == "win32":
        if not os.path.isdir(path) or (not links and os.path.islink(path)):  # noqa: PTH112, PTH114
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        return None
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | (0 if links else os.O_NOFOLLOW), dir_fd=within)


def read_no_link(path: str, most: int, within: int | None) -> bytes:
    """The first bytes of a regular file; no link is followed, and no pipe waited for.

    Args:
        path: of the file, or its name within a folder.
        most: that are read.
        within: descriptor of that folder.

    Raises:
        OSError: it cannot be read, or is something else.
    """
    descriptor = open_no_link(path, os.O_RDONLY, within)
    try:
        return os.read(descriptor, most)
    finally:
        os.close(descriptor)


def open_no_link(path: str, access: int, within: int | None) -> int:
    """A descriptor of a regular file that is there; the caller closes it. No link is followed.

    Args:
        path: of the file, or its name within a folder.
        access: `os.O_RDONLY` or `os.O_WRONLY`.
        within: descriptor of that folder.

    Raises:
        OSError: it cannot be opened, or is something else.
    """
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | BINARY
    descriptor = os.open(path, access | flags, dir_fd=within)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return descriptor


def reserve(descriptor: int, size: int) -> None:
    """Make sure that a file has room for so many bytes, where the file system can be asked.

    Raises:
        OSError: it has not.
    """
    if sys.platform != "linux" or not size:
        return
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise


def may_write(path: Path) -> bool:
    """Whether this process, with the rights that it has been given, may write to a file or into a folder."""
    mode = os.W_OK | os.X_OK if path.is_dir() else os.W_OK
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def is_for_writing(descriptor: int) -> bool:
    """Whether a descriptor was opened for writing; on Windows only the attempt tells.

    Raises:
        OSError: it is not open.
    """
    if sys.platform == "win32":
        os.fstat(descriptor)
        return True
    import fcntl

    return fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY


def sync_folder(folder: Path) -> None:
    """Make sure that a new name in a folder outlives a power failure, where a folder can be synchronised."""
    if (descriptor := open_folder(os.fspath(folder), None, links=True)) is None:
        return
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def sync(folder: int) -> None:
    """As `sync_folder`, by the folder's descriptor."""
    with contextlib.suppress(OSError):
        os.fsync(folder)


def belongs_to_another(status: os.stat_result) -> bool:
    """Whether another user owns what has this status; never on Windows, which does not tell so."""
    return sys.platform != "win32" and status.st_uid != os.getuid()


def open_to_others(status: os.stat_result) -> bool:
    """Whether others than its owner may use what has this status.

    Never on Windows: modes say nothing there, and a user's own folder is closed to others.
    """
    return sys.platform != "win32" and bool(status.st_mode & 0o077)


def cache_folder() -> Path | None:
    """This user's folder for caches, which may not be there yet; None for a user without a home."""
    try:
        if sys.platform == "win32":
            return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches"
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        # Neither HOME nor an entry in the list of users, as in containers with a number for a user.
        return None


def scratch_file() -> IO[bytes]:
    """A file without a name that vanishes when it is closed; in memory where no folder can be written to.

    Raises:
        OSError: it cannot be made.
    """
    try:
        return tempfile.TemporaryFile()
    except OSError:
        if not hasattr(os, "memfd_create"):
            raise
    return open(os.memfd_create("dgqa-scratch"), "w+b")  # noqa: PTH123 (a descriptor)


def fill_standard_streams() -> None:
    """Put something in the place of standard streams that the caller has closed.

    The next file that is opened would get such a stream's number, and the words for stderr would go into it.
    From a closed stdin and to a closed stdout nothing comes or goes: the attempt is an error. What the
    encoding of stdout cannot say is spelled out, as that of stderr is.
    """
    for number, (name, flags, mode) in enumerate(
        (("stdin", os.O_WRONLY, "r"), ("stdout", os.O_RDONLY, "w"), ("stderr", os.O_WRONLY, "w"))
    ):
        try:
            os.fstat(number)
        except OSError:
            # The least number that is free is this one.
            os.open(os.devnull, flags)
            stream = open(number, mode, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


# Processes and memory


def interpreter() -> str:
    """The program that runs Python here, for processes of our own.

    Raises:
        BackendError: it is not known.
    """
    if sys.executable:
        return sys.executable
    # Started in an unusual way, Python does not know its own name; this is where it was installed.
    found = Path(sys.base_exec_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    if not found.is_file():
        raise BackendError("Python does not know its own program: start it by its full path")
    return str(found)


def can_hand_over() -> bool:
    """Whether another process can be handed an open file, and so memory: not on Windows."""
    return sys.platform != "win32"


def open_files() -> int:
    """How many files and connections this process may have open, after it has asked for all that it may."""
    if sys.platform == "win32":
        return 8192  # what its C library can be asked for; connections are none of them there
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MANY_FILES if hard == resource.RLIM_INFINITY else min(hard, _MANY_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # macOS calls unlimited what it then refuses.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return wanted
    return wanted if soft == resource.RLIM_INFINITY else soft


def hand_over(to: int, descriptor: int) -> None:
    """Hand an open file to the process at the other end of a Unix socket.

    Raises:
        OSError: that process has ended.
    """
    if sys.platform == "win32":
        raise RuntimeError("ask can_hand_over first")
    with socket.socket(fileno=os.dup(to)) as there:
        socket.send_fds(there, [b"\0"], [descriptor])


def take_over(source: int) -> int:
    """The open file that the process at the other end of a Unix socket hands over; the caller closes it.

    Raises:
        EOFError: that process has ended.
    """
    if sys.platform == "win32":
        raise RuntimeError("ask can_hand_over first")
    with socket.socket(fileno=os.dup(source)) as there:
        _, descriptors, *_ = socket.recv_fds(there, 1, 1)
    if not descriptors:
        raise EOFError
    return descriptors[0]


def memory_file(name: str) -> int:
    """A descriptor of memory that can be handed to another process; the caller closes it.

    It has no name in any file system, so nothing is left behind when this process is killed. Where the system
    has no such memory it is a temporary file without a name.

    Args:
        name: for whoever looks at the process from outside.
    """
    if sys.platform == "linux" and hasattr(os, "memfd_create"):
        return os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def keep_size(memory: int) -> bool:
    """See to it that a `memory_file` keeps its size: who reads what another has cut off is killed.

    Returns:
        Whether the system does so.
    """
    if sys.platform != "linux":
        return False
    import fcntl

    try:
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    except OSError:
        return False
    return True


def apart() -> dict[str, Any]:
    """Arguments of `subprocess.Popen` for a process that Ctrl-C in a terminal does not reach."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    # Ctrl-C goes to every process of the foreground group.
    return {"process_group": 0}


def how_it_ended(code: int) -> str:
    """In words, how a process ended, from the return code of its `subprocess.Popen`."""
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    return f"{name}, perhaps for want of memory" if name == "SIGKILL" else name


def limit_itself(
    *, memory: int | None = None, cpu_seconds: int | None = None, file_bytes: int | None = None
) -> None:
    """Bound what this process may take from now on, and let it write no core dump.

    A limit that the system has set already is never raised. Windows has none of these limits, and macOS
    refuses the one of memory: there the process is not bounded in that.

    Args:
        memory: bytes of addresses.
        cpu_seconds: of processor time.
        file_bytes: size of any file it writes.
    """
    if sys.platform == "win32":
        return
    import resource

    wanted = {"RLIMIT_CORE": 0, "RLIMIT_AS": memory, "RLIMIT_CPU": cpu_seconds, "RLIMIT_FSIZE": file_bytes}
    for name, most in wanted.items():
        if most is None:
            continue
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        try:
            resource.setrlimit(kind, (most, most))
        except (ValueError, OSError):
            if sys.platform != "darwin":
                raise


def address_space() -> int:
    """What this process has reserved, in bytes; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return 0
    return pages * mmap.PAGESIZE


def end_after(seconds: int) -> None:
    """End this process unless it calls this again within so many seconds; 0 for never."""
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)
