"""`python -m benchmarks` ends as the program that it runs ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = '''"""Measures nothing."""
import sys
def main():
    assert sys.argv[1:] == ["--photographs", "3"]
    return {code}
'''


@pytest.fixture
def copy(repository: Path, tmp_path: Path) -> Path:
    """A checkout with `python -m benchmarks` and nothing to measure."""
    (tmp_path / "benchmarks" / "speed").mkdir(parents=True)
    for name in ("__init__.py", "__main__.py"):
        (tmp_path / "benchmarks" / name).write_bytes((repository / "benchmarks" / name).read_bytes())
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(("returned", "code"), [("1", 1), ("0", 0), ("None", 0)])
def test_a_missed_target_is_exit_code_1(copy: Path, returned: str, code: int) -> None:
    (copy / "benchmarks" / "speed" / "probe.py").write_text(PROGRAM.format(code=returned))
    ran = run(copy, "probe", "--photographs", "3")
    assert (ran.returncode, ran.stderr) == (code, "")


def test_programs_are_listed_and_an_unknown_one_is_refused(copy: Path) -> None:
    (copy / "benchmarks" / "speed" / "probe.py").write_text(PROGRAM.format(code=0))
    assert "probe                 Measures nothing." in run(copy).stdout
    ran = run(copy, "none")
    assert ran.returncode == 1
    assert "no benchmark is called 'none'" in ran.stderr
