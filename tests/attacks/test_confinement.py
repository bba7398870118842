"""A decoder that a file has taken over: what it may still do, tried by one that a file has told to."""

from __future__ import annotations

import ast
import json
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
import ctypes, json, os, signal, socket

def shared():
    return next(int(fd) for fd in os.listdir("/proc/self/fd")
                if "dgqa-crops" in os.readlink(f"/proc/self/fd/{fd}"))

ATTEMPTS = {
    "shrink": lambda: os.ftruncate(shared(), 0),
    "grow": lambda: os.ftruncate(shared(), 10**9),
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
    """What the system lets a process give up here."""
    code = (
        "import json; from dgqa_infer.confinement import confine; print(json.dumps(confine(addresses=False)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found: dict[str, bool] = json.loads(ran.stdout)
    assert set(found) == set(PROTECTIONS)
    return found


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
