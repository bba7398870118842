"""What `docs/recipes.md` tells continuous integration to do is done here."""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
GATE = "[[rule]]\nname = 'release'\nminimum_score = 30\nmaximum_share_failed = 0.2\n"


@pytest.mark.timeout(480)
def test_the_step_of_github_actions_fails_where_the_gate_does(
    repository: Path, hands: Path, tmp_path: Path, reader: Callable[[Path], dict[str, str]]
) -> None:
    text = (repository / "docs" / "recipes.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    steps = yaml.safe_load(source)
    commands = [step["run"] for step in steps if "run" in step]
    assert [step["uses"].partition("@")[0] for step in steps if "uses" in step] == ["actions/upload-artifact"]
    (tmp_path / "gate.toml").write_text(GATE)
    (tmp_path / "shots").symlink_to(hands / "photos")

    def code(command: str) -> int:
        ran = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", command], cwd=tmp_path, env=reader(tmp_path), timeout=240
        )
        return ran.returncode

    # Two of the eleven are below 30: 18 %.
    assert [code(command) for command in commands] == [0, 0]
    (tmp_path / "rows.jsonl").unlink()
    (tmp_path / "gate.toml").write_text(GATE.replace("0.2", "0.1"))
    assert code(f"{commands[1]} --overwrite") == 1
    (suite,) = ElementTree.parse(tmp_path / "gate.xml").getroot()
    assert suite.get("failures") == "1"
