"""What surrounds the program: closed and full streams, nowhere to write, few files, no home, no Python known.

Each command works, or ends with one sentence and exit code 2 or 3: never as by a bug, never without end.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytestmark = [
    pytest.mark.timeout(200),
    pytest.mark.skipif(sys.platform == "win32", reason="situations of a shell on Unix"),
]

COMMANDS = {
    "version": ["--version"],
    "models": ["models"],
    "score": ["score", "photo.png", "--model", "tiny", "--device", "cpu"],
    "report": ["report", "rows.jsonl", "--model", "tiny", "-o", "page.html", "--overwrite"],
    "compare": ["compare", "rows.jsonl", "others.jsonl"],
}
# A number that no list of users has, with root's right to files: the checkout may be root's.
ANYBODY = "--reuid 12345 --regid 12345 --clear-groups --inh-caps +dac_override --ambient-caps +dac_override"
READ_ONLY = """
mount -t tmpfs none /mnt && cp -r . /mnt && mount -o remount,ro /mnt || exit 77
for at in /tmp /var/tmp /usr/tmp /dev/shm; do [ ! -d $at ] || mount -t tmpfs -o ro none $at || exit 77; done
cd /mnt; "$@"
"""
FOLDER_GONE = 'cd "$(mktemp -d)" && rmdir "$PWD" && "$@"'
CANNOT_BE_MADE = 77
SITUATIONS = {
    "stdin closed": '"$@" <&-',
    "stdout closed": '"$@" >&-',
    "stderr closed": '"$@" 2>&-',
    "all closed": '"$@" <&- >&- 2>&-',
    "stdout full": '"$@" >/dev/full',
    "stderr full": '"$@" 2>/dev/full',
    "few files": 'ulimit -n 16; "$@"',
    "small files": 'ulimit -f 1; "$@"',
    "no home": f'exec setpriv {ANYBODY} env -u HOME "$@"',
    "no interpreter": '"$@"',
    "folder gone": FOLDER_GONE,
    "nowhere to write": f"exec unshare -m bash -c '{READ_ONLY}' - \"$@\"",
}
REFUSED = {
    ("stdout closed", "version"): 2,
    ("stdout closed", "models"): 2,
    ("stdout closed", "score"): 3,
    ("stdout closed", "compare"): 2,
    ("all closed", "version"): 2,
    ("all closed", "models"): 2,
    ("all closed", "score"): 3,
    ("all closed", "compare"): 2,
    ("stdout full", "version"): 2,
    ("stdout full", "models"): 2,
    ("stdout full", "score"): 3,
    ("stdout full", "compare"): 2,
    ("small files", "score"): 2,
    ("small files", "report"): 2,
    ("folder gone", "score"): 2,
    ("folder gone", "report"): 2,
    ("folder gone", "compare"): 2,
    ("nowhere to write", "report"): 2,
}
"""Where a command cannot do its work: its exit code. All others work."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Path:
    """A photograph, a model, and two sets of rows."""
    folder = tmp_path_factory.mktemp("surroundings")
    shutil.copytree(tiny_bundle, folder / "tiny")
    Image.new("L", (64, 64), 51).save(folder / "photo.png")
    for name in ("rows.jsonl", "others.jsonl"):
        run(folder, '"$@"', *COMMANDS["score"], "-o", name)
    return folder


def run(
    folder: Path, situation: str, *arguments: str, before: str = "", **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run the program in a situation; no run may take a minute and a half."""
    code = f"{before}\nfrom dgqa_infer.cli.entry import main; main()"
    command = ["bash", "-c", situation, "-", sys.executable, "-c", code, *arguments]
    streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
    return subprocess.run(command, cwd=folder, timeout=90, check=False, **(streams | options))


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_it_works_or_says_why_not(folder: Path, situation: str, command: str) -> None:
    if situation == "no home" and (os.geteuid() != 0 or shutil.which("setpriv") is None):
        pytest.skip("only root can be anybody")
    if situation == "nowhere to write":
        skip_where_python_is_hidden()
    if "full" in situation and not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    before = 'import sys; sys.executable = ""' if situation == "no interpreter" else ""
    ran = run(folder, SITUATIONS[situation], *COMMANDS[command], before=before)
    if situation == "nowhere to write" and (ran.returncode == CANNOT_BE_MADE or "unshare" in ran.stderr):
        pytest.skip(f"a file system cannot be hidden here: {ran.stderr.strip()}")
    assert ran.returncode == REFUSED.get((situation, command), 0), ran.stderr
    assert "Traceback" not in ran.stderr
    said = [line for line in ran.stderr.splitlines() if line.startswith("error: ")]
    heard = situation not in ("stderr closed", "all closed", "stderr full")
    assert len(said) == (heard and (situation, command) in REFUSED)


def skip_where_python_is_hidden() -> None:
    if any(Path(sys.prefix).is_relative_to(folder) for folder in ("/tmp", "/var/tmp", "/usr/tmp")):
        pytest.skip("this Python is in the folder that is hidden")


@pytest.mark.parametrize("arguments", [["score", "-"], ["report", "-", "-o", "-.html"]], ids=" ".join)
def test_a_list_or_rows_from_a_closed_stdin_are_not_waited_for(folder: Path, arguments: list[str]) -> None:
    ran = run(folder, '"$@" <&-', *arguments)
    assert (ran.returncode, ran.stderr) == (2, "error: stdin cannot be read: Bad file descriptor\n")


def test_words_for_a_closed_stderr_do_not_go_into_the_next_file_that_is_opened(folder: Path) -> None:
    ran = run(folder, '"$@" <&- >&- 2>&-', *COMMANDS["score"], "-o", "silent.jsonl", "--overwrite")
    assert ran.returncode == 0
    (line,) = (folder / "silent.jsonl").read_text().splitlines()
    assert json.loads(line)["path"] == "photo.png"


def test_rows_from_stdin_need_no_folder_for_temporary_files(folder: Path) -> None:
    skip_where_python_is_hidden()
    with (folder / "rows.jsonl").open() as rows:
        ran = run(folder, SITUATIONS["nowhere to write"], "report", "-", "-o", "/dev/stdout", stdin=rows)
    if ran.returncode == CANNOT_BE_MADE or "unshare" in ran.stderr:
        pytest.skip(f"a file system cannot be hidden here: {ran.stderr.strip()}")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("<!DOCTYPE html>")


def test_what_needs_a_folder_for_temporary_files_names_the_variable(folder: Path) -> None:
    skip_where_python_is_hidden()
    ran = run(folder, SITUATIONS["nowhere to write"], "bench", "--rounds", "1")
    if ran.returncode == CANNOT_BE_MADE or "unshare" in ran.stderr:
        pytest.skip(f"a file system cannot be hidden here: {ran.stderr.strip()}")
    assert ran.returncode == 2
    assert ran.stderr == "error: no folder for temporary files can be written to: name one with TMPDIR\n"


def test_rows_that_were_written_before_files_ran_out_are_valid(folder: Path) -> None:
    """With more decoding processes than there are files for."""
    for number in range(6):
        Image.new("L", (64, 64), number).save(folder / f"{number}.png")
    options = ("--workers", "6", "-o", "few.jsonl", "--overwrite")
    ran = run(folder, 'ulimit -n 16; "$@"', *COMMANDS["score"], *(f"{n}.png" for n in range(6)), *options)
    assert "Traceback" not in ran.stderr
    assert ran.returncode in (0, 2, 3)
    for line in (folder / "few.jsonl").read_text().splitlines():
        assert json.loads(line)["path"] in ran.args


@pytest.mark.parametrize("output", ["rows.csv", "rows.jsonl"])
def test_rows_for_a_folder_that_is_gone_are_refused(folder: Path, output: str) -> None:
    options = ["--model", str(folder / "tiny"), "--device", "cpu", "-o", output]
    ran = run(folder, FOLDER_GONE, "score", str(folder / "photo.png"), *options)
    assert (ran.returncode, ran.stderr.count("error: "), "Traceback" in ran.stderr) == (2, 1, False)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_names_that_the_encoding_of_stdout_lacks_are_spelled_out(folder: Path, encoding: str) -> None:
    # As on Windows, where what is not a terminal gets the code page.
    photo = "漢 😀 é.png"
    shutil.copy(folder / "photo.png", folder / photo)
    run(folder, '"$@"', *COMMANDS["score"], photo, "-o", "named.jsonl", "--overwrite")
    pick = ["pick", "named.jsonl", "--worst", "2", "--into", f"picked {encoding}"]
    situation = f'PYTHONIOENCODING={encoding} "$@"'
    ran = run(folder, situation, *pick, "--json", encoding=encoding)
    assert ran.returncode == 0, ran.stderr
    assert photo in [each["path"] for each in json.loads(ran.stdout)["photographs"]]
    ran = run(folder, situation, *pick, "--table", encoding=encoding)
    assert (ran.returncode, r"\u6f22" in ran.stdout) == (0, True), ran.stderr
