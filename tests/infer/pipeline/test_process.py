from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dgqa_infer import Scorer
from dgqa_infer.pipeline.pipeline import Pipeline
from dgqa_infer.pipeline.process import WorkerProcess
from dgqa_infer.results import Score

LATER = ("numpy", "PIL", "onnxruntime", "typer")


@pytest.fixture(scope="module")
def files(repository: Path) -> list[str]:
    return [str(path) for path in sorted((repository / "examples" / "photos").iterdir())[:2]]


def test_the_process_that_was_begun_first_is_the_one_that_decodes(
    tiny_bundle: Path, files: list[str]
) -> None:
    with WorkerProcess() as begun, Scorer(tiny_bundle, device="cpu") as scorer:
        with Pipeline(scorer, workers=1, begun=begun) as pipeline:
            outcomes = list(pipeline.run(files))
            pids = pipeline.processes
        assert all(isinstance(outcome.result, Score) for outcome in outcomes)
        assert pids == (begun.pid,)


def test_a_process_that_nobody_needed_ends_with_its_context(tiny_bundle: Path) -> None:
    with WorkerProcess() as begun, Scorer(tiny_bundle, device="cpu") as scorer:
        with Pipeline(scorer, workers=1, begun=begun) as pipeline:
            assert list(pipeline.run([])) == []
        os.kill(begun.pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(begun.pid, 0)


def test_one_that_died_before_there_was_work_costs_no_file(tiny_bundle: Path, files: list[str]) -> None:
    with WorkerProcess() as begun, Scorer(tiny_bundle, device="cpu") as scorer:
        begun._process.kill()
        begun._process.wait()
        with Pipeline(scorer, workers=1, begun=begun) as pipeline:
            outcomes = list(pipeline.run(files))
    assert all(isinstance(outcome.result, Score) for outcome in outcomes)


def test_it_ends_by_itself_when_its_parent_is_gone() -> None:
    begin = (
        "import os; from dgqa_infer.pipeline.process import WorkerProcess; "
        "print(WorkerProcess().pid, flush=True); os._exit(0)"
    )
    said = subprocess.run([sys.executable, "-c", begin], capture_output=True, text=True, check=True)
    _wait_until_gone(int(said.stdout))


def test_it_is_begun_before_anything_large_is_imported() -> None:
    tell = f"import sys, dgqa_infer.pipeline.process; print([m for m in {LATER!r} if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", tell], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_two_cannot_talk_to_one_process() -> None:
    with WorkerProcess() as begun, Path(os.devnull).open() as memory:
        os.close(begun.connect(memory.fileno()))
        with pytest.raises(RuntimeError, match="already"):
            begun.connect(memory.fileno())


def _wait_until_gone(pid: int) -> None:
    for _ in range(300):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        # Nobody may wait for it in a container without an init: a zombie has ended, too.
        status = Path(f"/proc/{pid}/stat")
        if status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.1)
    raise AssertionError(f"process {pid} lives on")
