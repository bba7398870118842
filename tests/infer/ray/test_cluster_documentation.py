"""docs/cluster.md says what is so: its commands and its Python run as they stand."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dgqa_infer.ray.columns import ADDED
from dgqa_infer.ray.plan import LARGEST


@pytest.fixture(scope="module")
def text(request: pytest.FixtureRequest) -> str:
    return (request.config.rootpath / "docs" / "cluster.md").read_text(encoding="utf-8")


@pytest.fixture
def home(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with three photographs in `photos/`, and nothing of ours besides."""
    (tmp_path / "photos").mkdir()
    for name in ("astronaut", "chelsea", "coffee"):
        shutil.copy(repository / "examples" / "photos" / f"{name}.webp", tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.ray
@pytest.mark.timeout(560)
def test_its_commands_run_and_its_table_is_read(text: str, home: Path) -> None:
    """As programs of their own, with a Ray of their own, as they say."""
    pytest.importorskip("ray.data")
    commands = [
        shlex.split(line.removeprefix("$ "))
        for block in blocks(text, "console")
        for line in block.splitlines()
        if line.startswith("$ dgqa-infer ")
    ]
    assert len(commands) == 2
    program = [sys.executable, "-c", "from dgqa_infer.cli.app import main; main()"]
    for command in commands:
        ran = subprocess.run(
            [*program, *command[1:]], cwd=home, capture_output=True, text=True, check=False, timeout=250
        )
        assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr
    assert "3 done by an earlier run" in ran.stderr
    (code,) = [block for block in blocks(text, "python") if "pyarrow" in block]
    names: dict[str, Any] = {}
    exec(code, names)
    found = [Path(path).stem for path in names["table"]["path"].to_pylist()]
    assert found == ["astronaut", "chelsea", "coffee"]


@pytest.mark.ray
def test_its_three_lines_add_scores(
    text: str, home: Path, cluster: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = [block for block in blocks(text, "python") if "score_dataset" in block]
    names: dict[str, Any] = {}
    exec(code.replace("/data/photos", str(home / "photos")), names)
    rows = names["scored"].take_all()
    assert sorted(Path(row["path"]).stem for row in rows) == ["astronaut", "chelsea", "coffee"]
    assert all(0 < row["score"] < 100 for row in rows)
    assert "score" in capsys.readouterr().out


def test_its_numbers_and_columns_are_the_programs(text: str) -> None:
    assert f"up to {LARGEST:,} photographs" in text
    for column in ADDED:
        assert f"`{column}`" in text


def test_its_links_are_there(text: str, repository: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in links if not (repository / "docs" / link).exists()] == []


def test_its_manifest_is_the_shape_that_kuberay_takes(text: str) -> None:
    """The required fields of a RayJob, by KubeRay's reference of its API."""
    yaml = pytest.importorskip("yaml")
    (block,) = blocks(text, "yaml")
    manifest = yaml.safe_load(block)
    assert (manifest["apiVersion"], manifest["kind"]) == ("ray.io/v1", "RayJob")
    spec = manifest["spec"]["rayClusterSpec"]
    assert spec["headGroupSpec"]["template"]["spec"]["containers"]
    for group in spec["workerGroupSpecs"]:
        assert group["groupName"]
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    assert "not run here" in text
