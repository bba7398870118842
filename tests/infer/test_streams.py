"""What is an output without a name of its own on a disk, and how it is written to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dgqa_infer.streams import is_stream

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(not Path("/dev/fd").exists(), reason="needs /dev/fd"),
]
WRITE = """
import sys
from pathlib import Path
from dgqa_infer.atomic import write_whole
write_whole(Path(sys.argv[1]), b"new", overwrite=False)
"""


def run(name: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WRITE, str(name)]
    return subprocess.run(command, text=True, stderr=subprocess.PIPE, check=False, **options)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize(
    "name", ["/dev/stdout", "/dev/stderr", "/dev/fd/1", "/proc/self/fd/1", "/proc/thread-self/fd/0"]
)
def test_what_the_shell_opened_is_a_stream_whatever_it_is(name: str) -> None:
    assert is_stream(Path(name))


@pytest.mark.parametrize("name", ["rows.jsonl", "1", "none/1", "loop"])
def test_what_is_a_file_or_will_be_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    Path("rows.jsonl").touch()
    assert not is_stream(Path(name))


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1"])
def test_a_file_that_the_shell_appends_to_keeps_what_it_has(tmp_path: Path, name: str) -> None:
    """Opened by its name, it would be written from its beginning; replaced, the shell would not see it."""
    target = tmp_path / "rows"
    target.write_bytes(b"old ")
    with target.open("ab") as file:
        ran = run(name, stdout=file)
        file.write(b" and more")
    assert ran.returncode == 0, ran.stderr
    assert target.read_bytes() == b"old new and more"


def test_a_link_to_what_the_shell_opened_is_followed(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/dev/stdout")
    ran = run(link, stdout=subprocess.PIPE)
    assert (ran.returncode, ran.stdout) == (0, "new"), ran.stderr
    assert link.is_symlink()


def test_a_descriptor_that_was_handed_down_is_written_to() -> None:
    reading, writing = os.pipe()
    ran = run(f"/dev/fd/{writing}", pass_fds=(writing,))
    os.close(writing)
    assert ran.returncode == 0, ran.stderr
    assert os.read(reading, 100) == b"new"
    os.close(reading)


@pytest.mark.parametrize("name", ["/dev/fd/77", "/dev/stdin"])
def test_a_descriptor_that_is_not_open_for_writing_is_told_of(name: str) -> None:
    with Path(os.devnull).open("rb") as for_reading:
        ran = run(name, stdin=for_reading)
    assert f"{name} cannot be written: Bad file descriptor" in ran.stderr


def test_what_the_program_opened_for_itself_is_not_the_user_s(tmp_path: Path) -> None:
    own = tmp_path / "own"
    code = WRITE.replace("write_whole(", f"own = open({str(own)!r}, 'wb')\nwrite_whole(").replace(
        "Path(sys.argv[1])", "Path(f'/dev/fd/{own.fileno()}')"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "cannot be written: Bad file descriptor" in ran.stderr
    assert own.read_bytes() == b""
