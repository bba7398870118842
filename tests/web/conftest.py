"""The npm package in web/, built; and Node, which runs it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

MODEL = Path("dgqa_infer") / "models" / "dgqa-lite0"


def run(command: Iterable[object], folder: Path, **more: Any) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*map(str, command)], cwd=folder, capture_output=True, text=True, timeout=240, **more
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done


@pytest.fixture(scope="session")
def web(repository: Path) -> Path:
    """The package's folder, with what it is built with."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("Node is not installed (node, npm)")
    if not (repository / "web" / "node_modules" / "typescript").is_dir():
        pytest.skip("what the npm package is built with is not installed: npm ci in web/")
    return repository / "web"


@pytest.fixture(scope="session")
def dist(web: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its JavaScript, beside the packages that it imports."""
    folder = tmp_path_factory.mktemp("web")
    run(["npx", "tsc", "--outDir", folder / "dist"], web)
    (folder / "node_modules").symlink_to(web / "node_modules")
    (folder / "package.json").write_text('{"type": "module"}')
    return folder / "dist"


@pytest.fixture(scope="session")
def node(dist: Path) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    """Does jobs in Node; see drive.mjs."""

    def drive(jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        lines = "".join(json.dumps(job, default=str) + "\n" for job in jobs)
        done = run(["node", Path(__file__).parent / "drive.mjs", dist], dist, input=lines)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(answers) == len(jobs)
        return answers

    return drive
