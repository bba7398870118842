"""`dgqa-infer score` as a process of its own: killed, interrupted, with a full disk, with nobody reading."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A folder of 200 even photographs; every tenth has no pixels."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(200):
        path = folder / f"{number:03}.png"
        Image.new("L", (64, 64), number).save(path)
        if number % 10 == 9:
            path.write_bytes(path.read_bytes()[:40])
    return folder


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def wait_for_rows(path: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if path.exists() and path.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.002)


def ended(process: subprocess.Popen[bytes], seconds: float = 60) -> tuple[int, bytes, str]:
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, err.decode()


@pytest.fixture
def resumed(cli: Any, tiny_bundle: Path) -> Callable[[Path, Path], tuple[int, str]]:
    """Continue a run in this process; its exit code and what it says."""

    def resume(many: Path, output: Path) -> tuple[int, str]:
        fixed = ("--model", tiny_bundle, "--device", "cpu", "--workers", 1)
        ran = cli("score", *fixed, many, "--output", output, "--resume")
        return ran.code, ran.stderr

    return resume


def complete(output: Path, many: Path) -> None:
    rows = rows_of(output)
    assert [row["path"] for row in rows] == sorted(map(str, many.iterdir()))
    for number, row in enumerate(rows):
        if number % 10 == 9:
            assert row["error"]["code"] == "truncated"
        else:
            assert row["score"] == pytest.approx(number / 2.55, abs=0.01)


def test_killed_again_and_again_the_log_completes_without_a_lost_or_repeated_row(
    program: Start, resumed: Any, many: Path, tmp_path: Path
) -> None:
    output = tmp_path / "rows.jsonl"
    for at in (1, 60, 150):
        process = program(many, "--output", output, "--resume")
        wait_for_rows(output, at, process)
        process.kill()
        ended(process)
    code, said = resumed(many, output)
    assert code == 3
    assert "done by an earlier run" in said
    complete(output, many)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_once_what_is_in_hand_is_finished(
    program: Start, resumed: Any, many: Path, tmp_path: Path, number: signal.Signals
) -> None:
    output = tmp_path / "rows.jsonl"
    process = program(many, "--output", output)
    wait_for_rows(output, 20, process)
    process.send_signal(number)
    code, _, said = ended(process)
    rows = rows_of(output)
    assert code == 130
    assert "finishing what is in hand" in said
    assert 20 <= len(rows) < 200
    assert [row["path"] for row in rows] == sorted(map(str, many.iterdir()))[: len(rows)]
    assert resumed(many, output)[0] == 3
    complete(output, many)


def test_interrupted_a_csv_holds_what_was_scored_and_can_be_completed(
    program: Start, resumed: Any, many: Path, tmp_path: Path
) -> None:
    output, log = tmp_path / "rows.csv", tmp_path / "rows.csv.rows.jsonl"
    process = program(many, "--output", output)
    wait_for_rows(log, 20, process)
    process.send_signal(signal.SIGINT)
    assert ended(process)[0] == 130
    lines = output.read_text().splitlines()
    assert 20 <= len(lines) - 1 == len(rows_of(log)) < 200
    assert resumed(many, output)[0] == 3
    assert len(output.read_text().splitlines()) == 201
    assert not log.exists()


def test_interrupted_twice_it_stops_at_once_with_valid_rows(program: Start, tmp_path: Path) -> None:
    # The only worker runs a stand-in decoder that never ends.
    folder = tmp_path / "path"
    folder.mkdir()
    (folder / "simplejpeg.py").write_text("import time\ndef decode_jpeg(*a, **k):\n    time.sleep(1000)\n")
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("L", (64, 64)).save(photos / "0.png")
    for number in range(1, 4):
        Image.new("L", (64, 64)).save(photos / f"{number}.jpg")
    output = tmp_path / "rows.jsonl"
    environment = os.environ | {"PYTHONPATH": str(folder)}
    process = program(photos, "--output", output, env=environment)
    wait_for_rows(output, 1, process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    code, _, _ = ended(process, seconds=15)
    assert code == 130
    assert [row["path"] for row in rows_of(output)] == [str(photos / "0.png")]


def test_when_the_reader_leaves_it_ends_quietly(program: Start, many: Path) -> None:
    process = program(many)
    assert process.stdout is not None
    json.loads(process.stdout.readline())
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read().decode()
    assert process.wait(60) == 141
    assert "Traceback" not in said
    assert "Exception" not in said
    process.stderr.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_behind_stdout_is_told_and_not_taken_for_a_folder_without_photographs(
    program: Start, many: Path, tmp_path: Path
) -> None:
    summary = tmp_path / "summary.json"
    with Path("/dev/full").open("wb") as full:
        code, _, said = ended(program(many, "--summary", summary, stdout=full))
    assert code == 3
    assert said.splitlines() == [
        "error: stdout cannot be written: No space left on device",
        "the run ended before the first photograph had its row",
    ]
    found = json.loads(summary.read_text())
    assert (found["inputs"], found["exit_code"]) == (0, 3)


def test_a_full_disk_leaves_valid_rows_that_can_be_continued(
    program: Start, resumed: Any, many: Path, tmp_path: Path
) -> None:
    # A disk that takes 5,000 bytes more, the last of them in the middle of a row.
    full = """
import os
from multiprocessing import connection

write, left = os.write, 5000

def write_to_small_disk(descriptor, data):
    global left
    if left == 0:
        raise OSError(28, "No space left on device")
    count = write(descriptor, bytes(data[:left]))
    left -= count
    return count

os.write = write_to_small_disk
"""
    output = tmp_path / "rows.jsonl"
    code, _, said = ended(program(many, "--output", output, before=full))
    assert code == 3
    assert "No space left on device; its rows are valid, and --resume goes on" in said
    rows = rows_of(output)
    assert 0 < len(rows) < 200
    assert resumed(many, output)[0] == 3
    complete(output, many)


def test_two_runs_on_one_output_the_second_is_refused(program: Start, many: Path, tmp_path: Path) -> None:
    output = tmp_path / "rows.jsonl"
    reading, writing = os.pipe()
    first = program("-", "--output", output, stdin=reading)
    os.close(reading)
    os.write(writing, f"{many}/000.png\n".encode())
    wait_for_rows(output, 1, first)
    code, _, said = ended(program(many, "--output", output, "--resume"))
    assert code == 2
    assert "another run is writing to" in said
    os.close(writing)
    assert ended(first)[0] == 0
    assert len(rows_of(output)) == 1


def test_rows_come_while_names_are_still_coming(program: Start, many: Path) -> None:
    reading, writing = os.pipe()
    process = program("-0", "-", stdin=reading)
    os.close(reading)
    assert process.stdout is not None
    for number in (0, 7):
        os.write(writing, f"{many}/{number:03}.png\0".encode())
        assert json.loads(process.stdout.readline())["path"] == f"{many}/{number:03}.png"
    os.close(writing)
    assert ended(process)[0] == 0


def test_nothing_is_left_behind_in_the_file_system(program: Start, many: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    shared = Path("/dev/shm")
    before = set(shared.iterdir()) if shared.exists() else set()
    output = tmp_path / "rows.jsonl"
    process = program(many, "--output", output, env=os.environ | {"TMPDIR": str(scratch)}, cwd=scratch)
    wait_for_rows(output, 30, process)
    process.kill()
    ended(process)
    assert list(scratch.iterdir()) == []
    assert not shared.exists() or set(shared.iterdir()) <= before


def read_terminal(descriptor: int) -> bytes:
    """All that a program wrote to a terminal that it has left."""
    parts = []
    with contextlib.suppress(OSError):
        while part := os.read(descriptor, 65536):
            parts.append(part)
    return b"".join(parts)


def test_a_person_at_a_terminal_reads_a_table(program: Start, many: Path) -> None:
    ours, theirs = pty.openpty()
    process = program(many / "000.png", many / "051.png", stdout=theirs)
    os.close(theirs)
    assert ended(process)[0] == 0
    lines = read_terminal(ours).decode().splitlines()
    os.close(ours)
    assert lines[0].split() == ["score", "spread", "photograph"]
    assert lines[2].split() == ["20.0", "0.00", str(many / "051.png")]


def test_a_person_at_a_terminal_sees_progress_and_a_file_does_not(
    program: Start, many: Path, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    process = program(
        many, "--output", tmp_path / "rows.jsonl", stderr=theirs, env=os.environ | {"TERM": "xterm"}
    )
    os.close(theirs)
    reader = ThreadPoolExecutor(1)
    shown = reader.submit(read_terminal, ours)
    assert process.wait(60) == 3
    assert b"scoring" in shown.result(10)
    reader.shutdown()
    os.close(ours)
    assert process.stdout is not None
    process.stdout.close()
    _, _, said = ended(program(many, "--output", tmp_path / "other.jsonl"))
    assert "scoring" not in said
