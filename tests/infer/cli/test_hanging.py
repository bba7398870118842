"""What never answers, a dead mount or a model without end, costs its own rows and keeps no run alive."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dead_mount import dead_mount
from onnx import helper, numpy_helper

from dgqa_infer.bundle.bundle import write_bundle

# The limits of the program, but in a test's time.
SOON = """
from dgqa_infer.cli import _run, _stopping
from dgqa_infer.inputs import finder
finder._LOOK_SECONDS = _run._STATUS_SECONDS = 2
_stopping.TERM_SECONDS = _stopping.FORCED_SECONDS = 2
"""
PATIENCE_SECONDS = 120


@pytest.fixture
def start(tiny_bundle: Path) -> Callable[..., subprocess.Popen[bytes]]:
    """Start `score`, perhaps within a mount namespace of its own."""

    def start(
        *arguments: object,
        mount: Sequence[str] = (),
        before: str = "",
        model: Path = tiny_bundle,
        stdin: int = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        code = f"{SOON}\n{before}\nfrom dgqa_infer.cli.app import main; main()"
        fixed = ["score", "--model", model, "--device", "cpu", "--workers", "1", "--limit-time", "2s"]
        command = [*mount, sys.executable, "-c", code, *map(str, [*fixed, *arguments])]
        return subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    return start


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    try:
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
    finally:
        process.kill()
    return process.returncode, said.decode()


def wait_for(what: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not what() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)


@pytest.fixture
def photos(tmp_path: Path, make_photo: Any) -> Path:
    folder = tmp_path / "photos"
    for name in ("a.png", "b/c.png", "zoo.png"):
        make_photo(folder / name)
    return folder


def test_a_dead_mount_costs_its_own_rows(start: Any, photos: Path, tmp_path: Path) -> None:
    dead, output = photos / "dead", tmp_path / "rows.jsonl"
    process = start(photos, dead / "x.jpg", dead / "*.jpg", "-o", output, mount=dead_mount(dead))
    code, said = ended(process)
    assert code == 3, said
    found = {row["path"].removeprefix(f"{photos}/"): row for row in rows_of(output)}
    assert list(found) == ["a.png", "b/c.png", "dead", "zoo.png", "dead/x.jpg", "dead/*.jpg"]
    assert {name for name, row in found.items() if "score" in row} == {"a.png", "b/c.png", "zoo.png"}
    failures = [row["error"] for row in found.values() if "error" in row]
    assert [error["code"] for error in failures] == ["timed_out"] * 3
    assert failures[0]["message"] == "this folder cannot be listed: no answer within 2 s"
    assert failures[1]["message"] == "it was not read within 2 s"


def test_a_run_is_continued_although_a_mount_has_died_since(
    start: Any, photos: Path, tmp_path: Path, make_photo: Any
) -> None:
    dead, output = photos / "dead", tmp_path / "rows.jsonl"
    lost = make_photo(dead / "x.png")
    named = (photos / "a.png", lost, photos / "zoo.png")
    assert ended(start(*named[:2], "-o", output))[0] == 0
    code, said = ended(start(*named, "-o", output, "--resume", mount=dead_mount(dead)))
    assert code == 3, said
    assert "1 done by an earlier run" in said
    assert ["error" in row for row in rows_of(output)] == [False, True, False]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_signal_ends_a_run_that_walks_through_a_dead_mount(
    start: Any, photos: Path, tmp_path: Path, number: signal.Signals
) -> None:
    dead, output = photos / "b" / "dead", tmp_path / "rows.jsonl"
    for_ever = "finder._LOOK_SECONDS = 10000"
    process = start(photos, "-o", output, mount=dead_mount(dead), before=for_ever)
    wait_for(lambda: output.exists() and output.read_bytes().count(b"\n") == 2, process)
    process.send_signal(number)
    code, said = ended(process)
    assert code == 130, said
    assert [row["path"] for row in rows_of(output)] == [f"{photos}/a.png", f"{photos}/b/c.png"]


STUCK = """
import os, signal, time
from dgqa_infer.outputs import recovery
class Stuck:
    def __getattr__(self, name):
        return getattr(os, name)
    def write(self, descriptor, line):
        if b"zoo" not in bytes(line):
            return os.write(descriptor, line)
        # As in a call into a dead mount: this thread hears of no signal.
        open({mark!r}, "x").close()
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
        time.sleep(10000)
recovery.os = Stuck()
"""


@pytest.mark.parametrize("numbers", [[signal.SIGTERM], [signal.SIGINT] * 2])
def test_signals_end_a_program_whose_main_thread_never_comes_back(
    start: Any, photos: Path, tmp_path: Path, numbers: list[signal.Signals]
) -> None:
    mark, output = tmp_path / "mark", tmp_path / "rows.jsonl"
    process = start(photos, "-o", output, before=STUCK.format(mark=str(mark)))
    wait_for(mark.exists, process)
    for number in numbers:
        process.send_signal(number)
        time.sleep(0.5)
    code, said = ended(process)
    assert code == 130, said
    assert "stopped by force; the rows that were written are valid" in said
    assert len(rows_of(output)) == 2


@pytest.fixture
def endless(models: Any, tmp_path: Path) -> Path:
    """A bundle whose graph multiplies large matrices for hours."""
    graph = models.quality_graph()
    for node in graph.graph.node:
        node.output[:] = ["fast" if name == "quality" else name for name in node.output]
    matrices = [f"matrix{number}" for number in range(5000)]
    graph.graph.initializer.append(numpy_helper.from_array(np.array([2048, 2048], np.int64), "large"))
    graph.graph.node.extend(
        [
            helper.make_node("ReduceMean", ["pixels"], ["mean"], keepdims=0),
            helper.make_node("Expand", ["mean", "large"], matrices[:1]),
            *(helper.make_node("MatMul", [one, one], [two]) for one, two in pairwise(matrices)),
            helper.make_node("ReduceMin", matrices[-1:], ["least"], keepdims=0),
            helper.make_node("Add", ["fast", "least"], ["quality"]),
        ]
    )
    files = {"model.onnx": graph.SerializeToString()}
    return write_bundle(tmp_path / "endless", files, models.card(domains=None)).path


MARKED = """
from dgqa_infer.scorer import Scorer
infer = Scorer._infer
def marked(self, crops):
    open({mark!r}, "x").close()
    return infer(self, crops)
Scorer._infer = marked
"""


def test_interrupted_twice_a_model_without_end_is_left(
    start: Any, photos: Path, tmp_path: Path, endless: Path
) -> None:
    mark, output = tmp_path / "mark", tmp_path / "rows.csv"
    before = f"{MARKED.format(mark=str(mark))}\n_stopping.FORCED_SECONDS = 10000"
    process = start(photos, "-o", output, model=endless, before=before)
    wait_for(mark.exists, process)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    code, said = ended(process)
    assert code == 130, said
    assert "Traceback" not in said
    assert not output.exists()


def test_sigterm_ends_a_model_without_end(start: Any, photos: Path, tmp_path: Path, endless: Path) -> None:
    mark = tmp_path / "mark"
    process = start(photos, model=endless, before=MARKED.format(mark=str(mark)))
    wait_for(mark.exists, process)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 130


STOPPED = """
import os, signal
from dgqa_infer.pipeline.worker import Worker
give = Worker.give
def give_and_stop(self, task):
    if "zoo" in task.name:
        # Only one that is at work: at its start it would have two minutes.
        os.kill(self.pid, signal.SIGSTOP)
    give(self, task)
Worker.give = give_and_stop
"""


def test_a_worker_that_is_stopped_from_outside_is_replaced(start: Any, photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "rows.jsonl"
    reading, writing = os.pipe()
    process = start("-", "-o", output, before=STOPPED, stdin=reading)
    os.close(reading)
    for count, name in enumerate(("a.png", "zoo.png", "b/c.png"), 1):
        os.write(writing, f"{photos / name}\n".encode())
        wait_for(lambda count=count: output.exists() and len(rows_of(output)) == count, process)  # type: ignore[misc]
    os.close(writing)
    code, said = ended(process)
    assert code == 3, said
    assert [row.get("error", {}).get("code") for row in rows_of(output)] == [None, "timed_out", None]
