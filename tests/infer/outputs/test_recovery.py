from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dgqa_infer.errors import OutputError, UsageError
from dgqa_infer.outputs.reader import read_rows
from dgqa_infer.outputs.recovery import RecoveryLog

ROWS: list[dict[str, Any]] = [
    {"path": "a.jpg", "score": 50.0, "model": "m@1", "size": 10, "mtime": 1.5},
    {
        "path": "b.jpg",
        "error": {"code": "corrupt", "message": "x"},
        "model": "m@1",
        "size": 20,
        "mtime": 2.000001,
    },
    {"path": "caf\udce9.jpg", "score": 60.0, "model": "m@1", "size": 30, "mtime": 3.0},
    {
        "path": "none.jpg",
        "error": {"code": "not_found", "message": "y"},
        "model": "m@1",
        "size": None,
        "mtime": None,
    },
]


def written(path: Path, rows: list[dict[str, Any]], *, resume: bool = False) -> None:
    with RecoveryLog(path, resume=resume) as log:
        for row in rows:
            log.write(row)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.jsonl"


def test_rows_are_lines(path: Path) -> None:
    written(path, ROWS)
    assert read(path) == ROWS


def test_rows_are_in_the_file_as_soon_as_they_are_written(path: Path) -> None:
    with RecoveryLog(path, resume=False) as log:
        log.write(ROWS[0])
        assert read(path) == ROWS[:1]


def test_what_is_done_is_known_by_path_size_time_and_model(path: Path) -> None:
    written(path, ROWS)
    with RecoveryLog(path, resume=True) as log:
        assert log.rows_before == 4
        assert log.done("a.jpg", 10, 1.5, "m@1") is True
        assert log.done("b.jpg", 20, 2.000001, "m@1") is False
        assert log.done("caf\udce9.jpg", 30, 3.0, "m@1") is True
        assert log.done("none.jpg", None, None, "m@1") is False
        assert log.done("a.jpg", 11, 1.5, "m@1") is None
        assert log.done("a.jpg", 10, 1.6, "m@1") is None
        assert log.done("a.jpg", 10, 1.5, "m@2") is None
        assert log.done("none.jpg", 5, 1.0, "m@1") is None
        assert log.done("new.jpg", 10, 1.5, "m@1") is None


def test_a_log_that_is_not_to_be_continued_is_not_overwritten(path: Path) -> None:
    written(path, ROWS)
    with pytest.raises(UsageError, match="--resume"):
        RecoveryLog(path, resume=False)
    assert read(path) == ROWS


def test_a_log_cut_at_any_byte_goes_on_where_it_was_cut(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jsonl"
    written(whole, ROWS)
    data = whole.read_bytes()
    path = tmp_path / "cut.jsonl"
    last_row = data.rindex(b"\n", 0, -1)
    ends = [at + 1 for at, byte in enumerate(data) if byte == ord("\n")]
    for length in [0, 1, *ends[:-1], *range(last_row - 5, len(data) + 1)]:
        path.write_bytes(data[:length])
        with RecoveryLog(path, resume=True) as log:
            assert log.rows_before == data[:length].count(b"\n")
            for row in ROWS:
                if log.done(row["path"], row["size"], row["mtime"], row["model"]) is None:
                    log.write(row)
        assert path.read_bytes() == data, length


def test_blocks_of_zeros_at_the_end_are_cut_off(path: Path) -> None:
    written(path, ROWS)
    data = path.read_bytes()
    path.write_bytes(data + b"\0" * 5000)
    written(path, [], resume=True)
    assert path.read_bytes() == data
    path.write_bytes(data + b'{"path": "c' + b"\0" * 100)
    written(path, [], resume=True)
    assert path.read_bytes() == data


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff\xe0 a photograph",
        b"a,b\n1,2\n",
        b'{"path": "a"}\n',
        b"[]\n",
        b'{"other": 1}',
        b'{"path": "a", "model": "m"}\nnot a row\n{"path": "a", "model": "m"}\n',
        b'{"path": "a", "model": "m"}\nnot the beginning of a row',
    ],
)
def test_a_file_that_is_no_log_is_refused_and_left_alone(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(UsageError, match="is no output of dgqa-infer"):
        RecoveryLog(path, resume=True)
    assert path.read_bytes() == data


def test_two_runs_on_one_log_the_second_is_refused(path: Path) -> None:
    with RecoveryLog(path, resume=False) as log:
        log.write(ROWS[0])
        with pytest.raises(OutputError, match="another run is writing"):
            RecoveryLog(path, resume=True)
    assert read(path) == ROWS[:1]


def test_a_lock_does_not_outlive_its_process(path: Path) -> None:
    code = f"""
import os, sys
from pathlib import Path
from dgqa_infer.outputs.recovery import RecoveryLog
RecoveryLog(Path({str(path)!r}), resume=False).write({ROWS[0]!r})
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    written(path, ROWS[1:], resume=True)
    assert read(path) == ROWS


def test_of_a_file_that_changed_only_the_last_row_stays(path: Path) -> None:
    written(path, ROWS)
    changed = ROWS[0] | {"size": 11, "score": 70.0}
    written(path, [changed], resume=True)
    assert read(path) == [changed, *ROWS[1:]]
    assert [entry.name for entry in path.parent.iterdir()] == ["rows.jsonl"]


def test_what_failed_is_done_again_where_the_run_says_so_and_takes_its_old_place(path: Path) -> None:
    written(path, ROWS)
    mended = {"path": "b.jpg", "score": 40.0, "model": "m@1", "size": 20, "mtime": 2.000001}
    with RecoveryLog(
        path, resume=True, again=lambda row: row.get("error", {}).get("code") == "corrupt"
    ) as log:
        assert log.done("b.jpg", 20, 2.000001, "m@1") is None
        assert log.done("none.jpg", None, None, "m@1") is False
        log.write(mended)  # type: ignore[arg-type]
    assert read(path) == [ROWS[0], mended, *ROWS[2:]]


def test_the_last_row_of_an_input_counts_though_its_run_was_killed(path: Path) -> None:
    """Killed after a second try: the first row says that it failed, the last that it did not."""
    mended = ROWS[1] | {"score": 40.0}
    del mended["error"]
    path.write_text("".join(json.dumps(row) + "\n" for row in [*ROWS, mended]))
    with RecoveryLog(path, resume=True, again=lambda row: "error" in row) as log:
        assert log.done("b.jpg", 20, 2.000001, "m@1") is True
        reported = [row for _, row in read_rows(str(path))]
        assert list(log.rows()) == reported == [ROWS[0], mended, *ROWS[2:]]
    assert read(path) == reported


def test_rows_of_another_model_stay(path: Path) -> None:
    written(path, ROWS)
    other = ROWS[0] | {"model": "m@2"}
    written(path, [other], resume=True)
    assert read(path) == [*ROWS, other]


def test_a_log_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file or directory"):
        RecoveryLog(tmp_path / "none" / "rows.jsonl", resume=False)
    with pytest.raises(OutputError, match="directory"):
        RecoveryLog(tmp_path, resume=False)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("resume", [False, True])
def test_a_pipe_in_the_place_of_a_log_is_not_read(tmp_path: Path, resume: bool) -> None:
    """Nor is a device: a log in the place of /dev/full was read for ever."""
    os.mkfifo(tmp_path / "rows.jsonl")
    with pytest.raises(OutputError, match="is not a file, and is left alone"):
        RecoveryLog(tmp_path / "rows.jsonl", resume=resume)


def test_rows_that_are_begun_anew_stay_until_there_is_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    written(path, ROWS)
    with suppress(ZeroDivisionError), RecoveryLog(path, resume=False, overwrite=True) as log:
        assert log.rows_before == 0
        raise ZeroDivisionError
    assert read(path) == ROWS
    with RecoveryLog(path, resume=False, overwrite=True) as log:
        log.write(ROWS[2])  # type: ignore[arg-type]
    assert read(path) == [ROWS[2]]
    with RecoveryLog(path, resume=False, overwrite=True) as log:
        assert list(log.rows()) == []
    assert path.read_bytes() == b""


def test_a_folder_that_may_not_be_written_to_is_an_output_error(tmp_path: Path) -> None:
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o555)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(OutputError, match="cannot be written: Permission denied"):
            RecoveryLog(folder / "rows.jsonl", resume=False)
    finally:
        os.seteuid(user)


@contextmanager
def small_disk() -> Iterator[None]:
    """Files of this process may have 100 bytes: the write that crosses it is torn, as on a full disk.

    No fixture: pytest reports a test before it tears fixtures down, and its report may go to a longer file.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_whole_rows_and_an_error_that_says_how_to_go_on(path: Path) -> None:
    with RecoveryLog(path, resume=False) as log, small_disk():
        log.write(ROWS[0])
        with pytest.raises(OutputError, match="--resume goes on"):
            log.write(ROWS[1])
    assert read(path) == ROWS[:1]


names = st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=20)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(names, max_size=8, unique=True), st.integers(0, 10_000))
def test_any_names_cut_anywhere_come_out_once_each_and_in_order(
    path: Path, paths: list[str], cut: int
) -> None:
    rows = [{"path": name, "score": 1.0, "model": "m", "size": 1, "mtime": 1.0} for name in paths]
    path.unlink(missing_ok=True)
    written(path, rows)
    os.truncate(path, cut % (path.stat().st_size + 1))
    with RecoveryLog(path, resume=True) as log:
        for row in rows:
            if log.done(str(row["path"]), 1, 1.0, "m") is None:
                log.write(row)
        assert list(log.rows()) == rows
