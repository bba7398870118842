"""What commands write to: files that are there, and what is no file; found out before any work."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dgqa_infer.cli._errors import report

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def score(cli: Any, tiny_bundle: Path) -> Any:
    def run(*arguments: object) -> Any:
        return cli("score", "--model", tiny_bundle, "--device", "cpu", "--workers", 1, *arguments)

    return run


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.new("L", (64, 64), 51).save(path)
    return path


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    path = tmp_path / "gate.toml"
    path.write_text("[[rule]]\nminimum_score = 0\n")
    return path


WRITING = [
    ("score", "photo.png", "-o", "there.csv"),
    ("score", "photo.png", "-o", "there.parquet"),
    ("score", "photo.png", "-o", "there.html"),
    ("score", "photo.png", "--summary", "there.json"),
    ("score", "photo.png", "--gate", "gate.toml", "--junit", "there.xml"),
    ("score", "photo.png", "-o", "rows.jsonl", "--resume", "--summary", "there.json"),
    ("report", "rows.jsonl", "-o", "there.html"),
    ("compare", "old", "new", "--page", "there.html"),
    ("compare", "old", "new", "--junit", "there.xml"),
    ("select", "photo.png", "--chart", "there.png"),
    ("score-cluster", "photo.png", "-o", "rows", "--summary", "there.json"),
    ("train", "moments", "photos", "there.npz"),
    ("train", "moments", "photos", "moments.npz", "--features", "there.npz"),
]


@pytest.mark.parametrize("arguments", WRITING, ids=" ".join)
def test_a_file_that_is_there_is_refused_before_any_work(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """Nothing that these commands read is there: they come to no reading."""
    monkeypatch.chdir(tmp_path)
    name = next(each for each in arguments if each.startswith("there."))
    Path(name).write_bytes(b"mine")
    ran = cli(*arguments)
    assert ran.code == 2
    assert ran.stderr.startswith(f"error: {name} is there already, and is not replaced without --overwrite")
    assert Path(name).read_bytes() == b"mine"
    assert ran.stdout == b""
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("arguments", WRITING, ids=" ".join)
def test_what_cannot_be_written_is_told_before_any_work(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    name = next(each for each in arguments if each.startswith("there."))
    ran = cli(*(f"none/{each}" if each == name else each for each in arguments), "--overwrite")
    assert ran.code == 2
    assert ran.stderr.startswith(f"error: none/{name} cannot be written: No such file or directory")


BESIDE = [each for each in WRITING if each[-2] != "-o"] + [
    ("adapt", "photos", "-o", "there.folder"),
    ("export", "tiny", "--out", "there.folder"),
    ("export", "tiny", "--triton", "there.folder"),
    ("pick", "rows.jsonl", "--worst", "1", "--into", "there.folder"),
    ("score", "photo.png", "--maps", "there.folder"),
    ("score-cluster", "photo.png", "-o", "there.folder"),
]


@pytest.mark.parametrize("arguments", BESIDE, ids=" ".join)
def test_what_cannot_go_to_stdout_is_refused_and_no_file_is_called_so(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = cli(*("-" if each.startswith("there.") else each for each in arguments))
    assert ran.code == 2
    assert "name a f" in " ".join(ran.stderr.split())
    assert ran.stdout == b""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", ["jsonl", "csv", "html"])
def test_rows_and_reports_go_to_stdout_where_that_is_named(
    score: Any, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    monkeypatch.chdir(tmp_path)
    starts = {"jsonl": b'{"path"', "csv": b"path,score,", "html": b"<!DOCTYPE html>"}
    assert score(photo, "-f", format, "-o", "-").stdout.startswith(starts[format])
    assert [path.name for path in tmp_path.iterdir()] == [photo.name]


def test_a_report_goes_to_stdout_where_that_is_named(score: Any, photo: Path, tmp_path: Path) -> None:
    assert score(photo, "-o", tmp_path / "rows.jsonl").code == 0
    command = (sys.executable, "-m", "dgqa_infer", "report", "rows.jsonl", "-o", "-")
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("<!DOCTYPE html>")
    assert ran.stdout.rstrip().endswith("</html>")
    assert "1 rows are in stdout" in ran.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photo.png", "rows.jsonl"]


def test_with_overwrite_files_are_replaced(score: Any, photo: Path, gate: Path, tmp_path: Path) -> None:
    rows, summary, junit = (tmp_path / name for name in ("rows.csv", "run.json", "gate.xml"))
    for path in (rows, summary, junit):
        path.write_bytes(b"old")
    ran = score(
        *(photo, "-o", rows, "--summary", summary, "--gate", gate, "--junit", junit, "--overwrite", "-q")
    )
    assert (ran.code, ran.stderr) == (0, "")
    assert rows.read_text().splitlines()[1].startswith(f"{photo},20.0,")
    assert json.loads(summary.read_text())["scored"] == 1
    assert "testsuite" in junit.read_text()


def test_rows_that_are_there_are_continued_or_begun_anew(score: Any, photo: Path, tmp_path: Path) -> None:
    output = tmp_path / "rows.jsonl"
    assert score(photo, "-o", output).code == 0
    refused = score(photo, "-o", output)
    assert refused.code == 2
    assert "continue it with --resume, or begin anew with --overwrite" in refused.stderr
    other = tmp_path / "other.png"
    Image.new("L", (64, 64), 102).save(other)
    assert score(other, "-o", output, "--overwrite").code == 0
    assert [json.loads(line)["path"] for line in output.read_text().splitlines()] == [str(other)]


def test_a_run_that_comes_to_no_row_leaves_those_that_are_there(
    score: Any, photo: Path, tmp_path: Path
) -> None:
    output = tmp_path / "rows.jsonl"
    score(photo, "-o", output)
    before = output.read_bytes()
    ran = score(photo, "-o", output, "--overwrite", "--device", "cuda:7")
    assert ran.code == 2
    assert output.read_bytes() == before


def test_an_interrupted_table_s_rows_are_told_of(score: Any, photo: Path, tmp_path: Path) -> None:
    """Who only heard that the table is there would say --overwrite, and lose them."""
    output = tmp_path / "rows.csv"
    output.write_bytes(b"old")
    assert score(photo, "-o", tmp_path / "rows.csv.rows.jsonl").code == 0
    ran = score(photo, "-o", output)
    assert ran.code == 2
    assert "rows.csv.rows.jsonl holds the rows of an earlier run: continue it with --resume" in ran.stderr


def test_two_outputs_may_not_be_one_file(score: Any, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to("rows.jsonl")
    ran = score(photo, "-o", tmp_path / "rows.jsonl", "--summary", tmp_path / "link.json")
    assert ran.code == 2
    assert "are the same file: one would replace the other" in ran.stderr


@pytest.mark.parametrize("length", [240, 250, 255, 300])
@pytest.mark.parametrize("format", ["jsonl", "csv", "html"])
def test_a_name_that_is_too_long_is_told_before_any_work(
    score: Any, photo: Path, tmp_path: Path, length: int, format: str
) -> None:
    # Rows are kept in a file beside a table, whose name is longer.
    ending = f".{format}"
    name = "x" * (length - len(ending)) + ending
    ran = score(photo, "-o", tmp_path / name)
    if ran.code == 0:
        assert length + (0 if format == "jsonl" else len(".rows.jsonl")) <= 255
        assert sorted(path.name for path in tmp_path.iterdir()) == ["photo.png", name]
    else:
        assert (ran.code, "name too long" in ran.stderr.lower().replace("is ", "")) == (2, True)
        assert [*tmp_path.iterdir()] == [photo]


@pytest.mark.parametrize(
    "options",
    [
        ("-f", "jsonl", "-o", "photo.png"),
        ("-f", "csv", "-o", "photo.png"),
        ("-o", "rows.jsonl", "--summary", "photo.png"),
    ],
)
def test_a_photograph_is_never_replaced(
    score: Any, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    # As `-o *.png` names one.
    monkeypatch.chdir(tmp_path)
    before = photo.read_bytes()
    ran = score(tmp_path, *options, "--overwrite")
    assert (ran.code, "photo.png is a picture, and is not replaced" in ran.stderr) == (2, True)
    assert (photo.read_bytes(), [*tmp_path.iterdir()]) == (before, [photo])


def test_rows_are_not_replaced_by_the_page_that_is_made_of_them(
    score: Any, cli: Any, photo: Path, tmp_path: Path
) -> None:
    rows, link = tmp_path / "rows.jsonl", tmp_path / "link.html"
    score(photo, "-o", rows)
    link.symlink_to(rows)
    before = rows.read_bytes()
    for arguments in (("report", rows, "-o", link), ("compare", rows, rows, "--page", link)):
        ran = cli(*arguments, "--overwrite")
        assert (ran.code, "which is read: name another file" in ran.stderr) == (2, True)
    assert rows.read_bytes() == before


@contextmanager
def reading(pipe: Path) -> Iterator[Callable[[], bytes]]:
    """A reader of a pipe in a process of its own, which ends with the test even where nobody writes."""
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as process:
        try:
            yield lambda: process.communicate(timeout=60)[0]
        finally:
            process.kill()


@pytest.mark.parametrize("format", ["jsonl", "csv", "html", "parquet", "table"])
def test_rows_go_through_a_pipe(score: Any, photo: Path, tmp_path: Path, format: str) -> None:
    pipe, file = tmp_path / "pipe", tmp_path / f"rows.{format}"
    os.mkfifo(pipe)
    with reading(pipe) as read:
        ran = score(photo, "-o", pipe, "-f", format, "-q")
        through = read()
    assert (ran.code, ran.stderr) == (0, "")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert score(photo, "-o", file, "-f", format).code == 0
    assert through == file.read_bytes()


def test_what_is_written_beside_the_rows_goes_through_pipes_too(
    score: Any, photo: Path, gate: Path, tmp_path: Path
) -> None:
    pipes = [tmp_path / "summary", tmp_path / "junit"]
    for pipe in pipes:
        os.mkfifo(pipe)
    with reading(pipes[0]) as summary, reading(pipes[1]) as junit:
        ran = score(photo, "--summary", pipes[0], "--gate", gate, "--junit", pipes[1])
        assert ran.code == 0, ran.stderr
        assert json.loads(summary())["scored"] == 1
        assert b"<testsuite" in junit()


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_what_streams_cannot_be_continued(score: Any, photo: Path, tmp_path: Path, format: str) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    ran = score(photo, "-o", pipe, "-f", format, "--resume")
    assert (ran.code, ran.stderr) == (2, f"error: --resume continues a file, and {pipe} is none\n")


@pytest.mark.parametrize("name", ["folder.jsonl", "folder.csv"])
def test_a_folder_in_the_place_of_rows_is_left_alone(
    score: Any, photo: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).mkdir()
    ran = score(photo, "-o", tmp_path / name, "--overwrite")
    assert ran.code == 2
    assert len(ran.stderr.splitlines()) == 1
    assert list((tmp_path / name).iterdir()) == []


@pytest.mark.parametrize("format", ["jsonl", "csv", "html", "parquet"])
def test_a_device_that_is_full_ends_the_run_with_a_sentence(
    score: Any, photo: Path, tmp_path: Path, format: str
) -> None:
    full = tmp_path / "full"
    try:
        os.mknod(full, stat.S_IFCHR | 0o666, os.makedev(1, 7))
        full.open("wb").close()
    except OSError as error:
        pytest.skip(f"devices cannot be made here: {error}")
    ran = score(photo, "-o", full, "-f", format, "-q")
    assert (ran.code, ran.stderr) == (3, f"error: {full} cannot be written: No space left on device\n")
    assert stat.S_ISCHR(full.stat().st_mode)


def ended(process: subprocess.Popen[bytes]) -> tuple[int, bytes, str]:
    out, err = process.communicate(timeout=100)
    return process.returncode, out, err.decode()


def test_dev_stdout_is_stdout(program: Any, photo: Path) -> None:
    code, out, said = ended(program(photo, "-o", "/dev/stdout", "-f", "jsonl"))
    assert code == 0, said
    assert json.loads(out)["path"] == str(photo)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_without_a_reader_a_pipe_waits_and_a_signal_ends_that(
    program: Any, photo: Path, tmp_path: Path, number: signal.Signals
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    process = program(photo, "-o", pipe, "-f", "jsonl")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(10)
    process.send_signal(number)
    code, _, said = ended(process)
    assert code == (130 if number is signal.SIGINT else -number)
    assert "Traceback" not in said


def test_a_pipe_s_reader_that_leaves_is_as_one_of_stdout_that_does(
    program: Any, photo: Path, tmp_path: Path
) -> None:
    pipe, names = tmp_path / "pipe", os.pipe()
    os.mkfifo(pipe)
    process = program("-", "-o", pipe, "-f", "jsonl", stdin=names[0])
    os.close(names[0])
    with pipe.open("rb") as reader:
        os.write(names[1], f"{photo}\n".encode())
        assert json.loads(reader.readline())["path"] == str(photo)
    other = photo.with_name("other.png")
    other.write_bytes(photo.read_bytes())
    os.write(names[1], f"{other}\n".encode())
    os.close(names[1])
    code, _, said = ended(process)
    assert code == 141
    assert "Traceback" not in said


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ELOOP, errno.ENAMETOOLONG, errno.ESTALE])
def test_what_a_system_refuses_is_no_bug_wherever_it_comes_up(
    number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(OSError(number, os.strerror(number), "folder/rows.csv")) == 2
    assert capsys.readouterr().err.startswith("error: folder/rows.csv: ")
