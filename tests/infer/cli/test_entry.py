from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dgqa_infer.cli import entry

WATCHED = """
import sys
from dgqa_infer.cli import entry
from dgqa_infer.pipeline.process import WorkerProcess

begin = WorkerProcess.__init__

def watched(self, **options):
    print("begun", *sorted({"typer", "numpy"} & set(sys.modules)), file=sys.stderr)
    begin(self, **options)

WorkerProcess.__init__ = watched
sys.argv = ["dgqa-infer", *sys.argv[1:]]
entry.main()
"""


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WATCHED, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_one_process_that_decodes_is_begun_before_anything_large_is_imported(
    tiny_bundle: Path, repository: Path
) -> None:
    photograph = repository / "examples" / "photos" / "coffee.webp"
    ran = run("score", photograph, "--model", tiny_bundle, "--device", "cpu", "--quiet")
    assert ran.returncode == 0
    assert '"score"' in ran.stdout
    assert ran.stderr.splitlines() == ["begun"]


@pytest.mark.parametrize("arguments", [["--help"], ["score", "--help"], ["models"], ["score"], []])
def test_other_commands_are_run_as_well(arguments: list[str]) -> None:
    ran = run(*arguments)
    assert ran.returncode == (0 if "--help" in arguments or arguments == ["models"] else 2)
    assert ("begun" in ran.stderr) == (arguments == ["score"])


def test_without_room_for_a_process_the_error_is_the_usual_one(
    tiny_bundle: Path, repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(**_: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(entry, "WorkerProcess", refuse)
    photograph = repository / "examples" / "photos" / "coffee.webp"
    monkeypatch.setattr(
        sys, "argv", ["dgqa-infer", "score", str(photograph), "--model", str(tiny_bundle), "--device", "cpu"]
    )
    with pytest.raises(SystemExit) as end:
        entry.main()
    assert end.value.code in (0, None)
    assert '"score"' in capsys.readouterr().out
