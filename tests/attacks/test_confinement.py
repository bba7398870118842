"""A decoder that a file has taken over: what it may still do, tried by one that a file has told to."""

from __future__ import annotations

import ast
import ctypes
import errno
import json
import platform
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bad_decoder import commented

from dgqa_infer import Scorer
from dgqa_infer.confinement import PROTECTIONS, environment
from dgqa_infer.pipeline.pipeline import Pipeline
from dgqa_infer.results import Failure

# In the place of simplejpeg: it tries what a file's comment says, and fails with what came of it.
TAKEN_OVER = """
import ctypes, fcntl, json, os, resource, signal, socket

def shared():
    return next(int(fd) for fd in os.listdir("/proc/self/fd")
                if "dgqa-crops" in os.readlink(f"/proc/self/fd/{fd}"))

def core():
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        raise PermissionError

ATTEMPTS = {
    "shrink": lambda: os.ftruncate(shared(), 0),
    "grow": lambda: os.ftruncate(shared(), 10**9),
    "seal": lambda: fcntl.fcntl(shared(), fcntl.F_ADD_SEALS, 0x10),  # F_SEAL_FUTURE_WRITE
    "hoard": lambda: os.write(os.memfd_create("hoard"), b"x"),
    "core": core,
    "connect": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "unix": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
    "run": lambda: os.execv("/bin/true", ["true"]),
    "kill": lambda: os.kill(os.getppid(), signal.SIGKILL),
    "make": lambda: open(FOLDER + "/made", "x").close(),
    "change": lambda: open(FOLDER + "/victim", "r+").close(),
    "remove": lambda: os.remove(FOLDER + "/victim"),
    "rename": lambda: os.rename(FOLDER + "/victim", FOLDER + "/other"),
    "look": lambda: open(f"/proc/{os.getppid()}/environ", "rb").read(),
    "memory": lambda: open(f"/proc/{os.getppid()}/mem", "rb").close(),
    "own secrets": lambda: os.environ["GITHUB_TOKEN"],
    "become another": lambda: os.setuid(os.getuid() + 1),
    "read": lambda: open(FOLDER + "/victim").read(),
}

def decode_jpeg(data, **options):
    if b"ATTACK" not in data:
        raise ValueError("could not determine subsampling: not for this decoder")
    done = []
    for name, attempt in ATTEMPTS.items():
        try:
            attempt()
        except (OSError, KeyError):
            continue
        done.append(name)
    status = open("/proc/self/status").read()
    raise KeyError(json.dumps([done, "NoNewPrivs:\\t1" in status, open("/proc/self/oom_score_adj").read()]))
"""

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what is given up is Linux's to give")


@pytest.fixture
def attack(tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a decoder that was taken over could do, in a run with another photograph before and after."""
    (tmp_path / "path").mkdir()
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "path" / "simplejpeg.py").write_text(TAKEN_OVER.replace("FOLDER", repr(str(tmp_path))))
    monkeypatch.syspath_prepend(tmp_path / "path")
    monkeypatch.setenv("GITHUB_TOKEN", "a secret of another program")
    photos = commented(tmp_path / "photos", "", "ATTACK", "")

    def run(*, addresses: bool) -> tuple[list[str], bool, int]:
        with (
            Scorer(tiny_bundle, device="cpu", batch_size=1) as scorer,
            Pipeline(scorer, workers=1, addresses=addresses) as pipeline,
        ):
            _, taken, _ = [outcome.result for outcome in pipeline.run(photos)]
        assert isinstance(taken, Failure)
        text = taken.message.partition("(KeyError: ")[2].removesuffix(")")
        done, no_new_privileges, oom = json.loads(ast.literal_eval(text))
        assert (tmp_path / "victim").read_text() == "precious"
        return done, no_new_privileges, int(oom)

    return run


@pytest.fixture(scope="module")
def held() -> dict[str, bool]:
    """What the system lets a process give up here, as it says itself."""
    status = Path("/proc/self/status").read_text()
    landlock = ctypes.CDLL(None).syscall(444, None, 0, 1)  # the version of landlock_create_ruleset
    return {
        "no_new_privileges": "NoNewPrivs:" in status,
        "no_changes": landlock >= 1,
        "no_network": "Seccomp:" in status and platform.machine() in ("x86_64", "aarch64"),
        "ends_first": Path("/proc/self/oom_score_adj").exists(),
    }


@linux
def test_all_that_the_system_offers_is_given_up(held: dict[str, bool]) -> None:
    code = (
        "import json; from dgqa_infer.confinement import confine; print(json.dumps(confine(addresses=False)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == held
    assert set(held) == set(PROTECTIONS)


def require(held: dict[str, bool], *names: str) -> None:
    if missing := [name for name in names if not held[name]]:
        pytest.skip(f"this system has no {', '.join(missing)}")


@linux
def test_a_decoder_of_local_files_can_read_and_nothing_else(attack: Any, held: dict[str, bool]) -> None:
    require(held, *PROTECTIONS)
    done, no_new_privileges, oom = attack(addresses=False)
    assert done == ["read"]
    assert no_new_privileges
    assert oom > int(Path("/proc/self/oom_score_adj").read_text())


@linux
def test_one_that_reads_addresses_has_a_network_and_changes_nothing_either(
    attack: Any, held: dict[str, bool]
) -> None:
    require(held, "no_changes")
    # It may signal its parent: the clients of stores run programs, and end them.
    done, *_ = attack_without_killing(attack)
    assert done == ["connect", "unix", "read"]


def attack_without_killing(attack: Any) -> Any:
    module = Path(sys.path[0]) / "simplejpeg.py"
    lines = module.read_text().splitlines(keepends=True)
    module.write_text("".join(line for line in lines if '"kill"' not in line and '"run"' not in line))
    return attack(addresses=True)


def test_a_process_is_given_no_secrets_but_those_that_addresses_need() -> None:
    variables = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "OMP_NUM_THREADS": "1",
        "AWS_SECRET_ACCESS_KEY": "store",
        "https_proxy": "proxy",
        "GITHUB_TOKEN": "other",
        "DATABASE_URL": "other",
        "DGQA_SERVE_TOKEN": "own",
        "LIBHEIF_SECURITY_LIMITS": "OFF",
    }
    local = environment(variables, addresses=False)
    assert set(local) == {"PATH", "LC_ALL", "OMP_NUM_THREADS"}
    assert set(environment(variables, addresses=True)) == {*local, "AWS_SECRET_ACCESS_KEY", "https_proxy"}


@linux
def test_a_process_may_still_end_itself() -> None:
    code = "import os; from dgqa_infer.confinement import confine; confine(addresses=False); os.abort()"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGABRT


# Each is tried with what cannot be meant: where nobody refuses it, the system finds another fault with it.
CALLS = {
    "socket": "libc.socket(99, 99, 99)",
    "connect": "libc.connect(-1, None, 0)",
    "bind": "libc.bind(-1, None, 0)",
    "execve": "libc.execve(None, None, None)",
    "execveat": "libc.execveat(-1, None, None, None, 0)",
    "ptrace": "libc.ptrace(16, 1 << 22, None, None)",
    "process_vm_readv": "libc.process_vm_readv(1 << 22, None, 0, None, 0, 1)",
    "process_vm_writev": "libc.process_vm_writev(1 << 22, None, 0, None, 0, 1)",
    "io_uring_setup": "libc.syscall(425, 0, None)",
    "pidfd_open": "libc.syscall(434, -1, 0)",
    "kill": "libc.kill(1 << 22, 0)",
    "tgkill": "libc.tgkill(1 << 22, 1 << 22, 0)",
    "x32": "libc.syscall(0x40000000 | 39)",
}


def error_of(call: str, *, confined: bool) -> int:
    """The number of the error that a call ends with, in a process of its own."""
    before = "from dgqa_infer.confinement import confine; confine(addresses=False); " if confined else ""
    code = (
        f"import ctypes; libc = ctypes.CDLL(None, use_errno=True); {before}{call}; print(ctypes.get_errno())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(ran.stdout)


@linux
@pytest.mark.parametrize("name", CALLS)
def test_each_call_that_reaches_out_is_refused_by_the_filter(held: dict[str, bool], name: str) -> None:
    require(held, "no_network")
    if name == "x32" and platform.machine() != "x86_64":
        pytest.skip("a second set of numbers that only x86-64 has")
    assert error_of(CALLS[name], confined=False) not in (0, errno.EPERM)
    assert error_of(CALLS[name], confined=True) == errno.EPERM


@linux
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the calls of another architecture are i386's")
def test_calls_by_another_architecture_s_numbers_are_refused(held: dict[str, bool]) -> None:
    """mov eax, 20; int 0x80; ret: i386's getpid."""
    require(held, "no_network")
    code = """
import ctypes, mmap, os, sys
if sys.argv[1:]:
    from dgqa_infer.confinement import confine
    confine(addresses=False)
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(bytes.fromhex("b814000000cd80c3"))
call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
print(call() == os.getpid())
"""
    free, kept = (
        subprocess.run([sys.executable, "-c", code, *more], capture_output=True, text=True, check=False)
        for more in ([], ["confined"])
    )
    if free.stdout != "True\n":
        pytest.skip("this kernel runs no i386 programs")
    assert (kept.stdout, kept.returncode) == ("False\n", 0)
