"""What only some systems have is asked for in one module, and the library does without it."""

from __future__ import annotations

import ast
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Set
from pathlib import Path
from typing import Any

import pytest

from dgqa_infer import Scorer, system

SOURCES = ("dgqa_infer", "training/dgqa_training", "export/dgqa_export")
MODULES = {"fcntl", "grp", "msvcrt", "pty", "pwd", "resource", "syslog", "termios", "tty", "winreg"}
"""Python's documentation says of each: "Availability: Unix", or "Availability: Windows"."""
NAMES = {
    "os": {"fchmod", "fchown", "fork", "forkpty", "getegid", "geteuid", "getgid", "getloadavg", "getuid"}
    | {"killpg", "memfd_create", "mkfifo", "pidfd_open", "posix_fadvise", "posix_fallocate", "sendfile"}
    | {"sched_getaffinity", "sched_setaffinity", "setpgid", "setsid", "statvfs", "sysconf", "wait4", "waitid"}
    | {"O_BINARY", "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NOINHERIT", "O_NONBLOCK", "O_SYNC"},
    "signal": {"SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGUSR1", "SIGXCPU", "alarm"}
    | {"pthread_kill", "pthread_sigmask", "setitimer", "sigtimedwait", "sigwait"},
    "socket": {"AF_UNIX", "SO_REUSEPORT", "recv_fds", "send_fds"},
    "sys": {"getwindowsversion", "platform"},
}
ARGUMENTS = {"preexec_fn", "process_group", "start_new_session", "umask"}

HIDE = """
import json, os, signal, socket, sys
# Other people's modules have their own ways on each system, and are those of this one.
import contextlib, multiprocessing.connection, subprocess, tempfile, urllib.request
import filelock, numpy, onnxruntime, PIL.Image, simplejpeg
with contextlib.suppress(ImportError):
    import cykooz_resizer
PIL.Image.init()
modules, names, sys.platform = json.loads(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]

class Hidden:
    def find_spec(self, name, *_):
        if name in modules:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
for name in modules:
    sys.modules.pop(name, None)
for module in (os, signal, socket):
    for name in names[module.__name__]:
        if hasattr(module, name):
            delattr(module, name)
"""

IN_MEMORY = """
from pathlib import Path
from PIL import Image
from dgqa_infer import Scorer
model, photograph = sys.argv[4:]
with Scorer(model, device="cpu", explain=True) as scorer:
    data, picture = Path(photograph).read_bytes(), Image.open(photograph)
    found = [scorer.score(each) for each in (photograph, data, picture, numpy.asarray(picture))]
print(json.dumps([each.raw for each in found]))
"""

FILES = """
from dgqa_infer import Scorer
with Scorer(sys.argv[4], device="cpu") as scorer:
    print(json.dumps([found.raw for found in scorer.score_files(sys.argv[5:], workers=1)]))
"""

LOG = """
from pathlib import Path
from dgqa_infer.errors import OutputError
from dgqa_infer.outputs.recovery import RecoveryLog
path = Path(sys.argv[4])
row = {"path": "a.jpg", "score": 1.0, "model": "m@1", "size": 3, "mtime": 1.5}
with RecoveryLog(path, resume=False) as log:
    log.write(row)
    try:
        RecoveryLog(path, resume=True)
    except OutputError as error:
        print(error)
with RecoveryLog(path, resume=True) as log:
    assert log.rows_before == 1 and log.done("a.jpg", 3, 1.5, "m@1")
    log.write({**row, "score": 2.0})
print(path.read_text())
"""


def hidden(script: str, *arguments: object, platform: str = "win32", keep: Set[str] = frozenset()) -> Any:
    """Run a script where all of `MODULES` and `NAMES` is gone but what is kept."""
    names = {module: sorted(found - keep) for module, found in NAMES.items()}
    told = [json.dumps(sorted(MODULES - keep)), json.dumps(names), platform, *map(str, arguments)]
    return subprocess.run(
        [sys.executable, "-c", HIDE + script, *told], capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def photograph(repository: Path) -> Path:
    return min((repository / "examples" / "photos").iterdir())


@pytest.mark.parametrize("root", SOURCES)
def test_no_other_module_asks_for_what_only_some_systems_have(repository: Path, root: str) -> None:
    for path in sorted((repository / root).rglob("*.py")):
        if path.name == "system.py" and path.parent.name == "dgqa_infer":
            continue
        for node in ast.walk(ast.parse(path.read_bytes())):
            found: set[str] = set()
            if isinstance(node, ast.Import):
                found = {alias.name for alias in node.names} & MODULES
            elif isinstance(node, ast.ImportFrom):
                found = {alias.name for alias in node.names} & NAMES.get(str(node.module), set())
                found |= {str(node.module)} & MODULES
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                found = {node.attr} & NAMES.get(node.value.id, set())
            elif isinstance(node, ast.Call):
                found = {str(each.arg) for each in node.keywords} & ARGUMENTS
            assert not found, f"{path}:{node.lineno} uses {found}: ask dgqa_infer.system for it"


def test_photographs_in_memory_are_scored_without_any_of_it(tiny_bundle: Path, photograph: Path) -> None:
    with Scorer(tiny_bundle, device="cpu") as scorer:
        expected = scorer.score(photograph).raw
    done = hidden(IN_MEMORY, tiny_bundle, photograph)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[:2] == [expected, expected]
    # Arrays have been decoded by Pillow, which rounds a little differently.
    assert json.loads(done.stdout)[2:] == pytest.approx([expected, expected], abs=0.02)


def test_files_are_scored_where_memory_has_no_descriptors(tiny_bundle: Path, photograph: Path) -> None:
    with Scorer(tiny_bundle, device="cpu") as scorer:
        expected = scorer.score(photograph).raw
    # macOS has all of it but memory without a file, and the number of cores that a process may use.
    of_macos = MODULES | set().union(*NAMES.values()) - {"memfd_create", "sched_getaffinity"}
    done = hidden(FILES, tiny_bundle, photograph, platform="darwin", keep=of_macos)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [pytest.approx(expected, abs=1e-4)]


def test_where_no_process_can_be_handed_memory_files_are_refused_and_why_is_said(
    tiny_bundle: Path, photograph: Path
) -> None:
    # Sockets that are a pair are of another family there, and a pair nevertheless.
    done = hidden(FILES, tiny_bundle, photograph, keep={"AF_UNIX"})
    assert done.returncode == 1
    assert "BackendError: files are decoded in processes of their own, which this system" in done.stderr


def test_a_log_is_kept_and_continued_without_any_of_it(tmp_path: Path) -> None:
    done = hidden(LOG, tmp_path / "rows.jsonl")
    assert done.returncode == 0, done.stderr
    refused, *rows = done.stdout.splitlines()
    assert refused.startswith("another run is writing to")
    assert [json.loads(row)["score"] for row in rows if row] == [2.0]


def test_an_open_file_goes_from_one_process_to_another(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    (tmp_path / "file").write_bytes(b"in there")
    descriptor = system.open_to_read(str(tmp_path / "file"))
    with ours, theirs:
        system.hand_over(ours.fileno(), descriptor)
        os.close(descriptor)
        taken = system.take_over(theirs.fileno())
        assert os.read(taken, 100) == b"in there"
        os.close(taken)
        ours.close()
        with pytest.raises(EOFError):
            system.take_over(theirs.fileno())


def test_limits_hold_and_never_rise_above_those_of_the_system() -> None:
    script = """if True:
        import resource
        from dgqa_infer import system
        resource.setrlimit(resource.RLIMIT_AS, (2_000_000_000, 2_000_000_000))
        system.limit_itself(memory=3_000_000_000, file_bytes=0)
        print(resource.getrlimit(resource.RLIMIT_AS), resource.getrlimit(resource.RLIMIT_CORE))
        try:
            bytearray(2_500_000_000)
        except MemoryError:
            print("bounded")
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["(2000000000, 2000000000) (0, 0)", "bounded"]


def test_the_end_of_a_process_is_told_in_words() -> None:
    assert system.how_it_ended(3) == "exit code 3"
    assert system.how_it_ended(-signal.SIGSEGV) == "SIGSEGV"
    assert system.how_it_ended(-signal.SIGKILL) == "SIGKILL, perhaps for want of memory"


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="this system has no memory that can be sealed")
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_memory_that_keeps_its_size_is_neither_cut_off_nor_grown_and_stays_so(size: int) -> None:
    memory = system.memory_file("test")
    os.ftruncate(memory, 4096)
    assert system.keep_size(memory)
    with pytest.raises(PermissionError):
        os.ftruncate(memory, size)
    assert os.fstat(memory).st_size == 4096
    assert not system.keep_size(memory), "no seal can be added any more"
    os.close(memory)
