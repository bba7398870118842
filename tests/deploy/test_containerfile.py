"""The Containerfile holds what a linter asks, copies what the package needs, and drops what it has to.

No engine runs where these tests run, so it is not built. That what it starts works as it is to be started is
tested in `test_kubernetes.py`.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def text(repository: Path) -> str:
    return (repository / "Containerfile").read_text()


def stages(text: str) -> list[str]:
    """What each `FROM` begins."""
    return re.split(r"^(?=FROM )", text, flags=re.MULTILINE)[1:]


def lint(text: str) -> list[str]:
    hadolint = shutil.which("hadolint", path=Path(sys.executable).parent)
    if hadolint is None:
        pytest.skip("hadolint has no wheel for this machine")
    done = subprocess.run(
        [hadolint, "--format", "json", "-"], input=text, capture_output=True, text=True, check=False
    )
    return [found["code"] for found in json.loads(done.stdout)]


def test_the_linter_has_nothing_to_say(text: str) -> None:
    assert lint(text) == []


@pytest.mark.parametrize(
    ("line", "worse", "code"),
    [
        ("USER 65532:65532", "USER root", "DL3002"),
        ('ENTRYPOINT ["dgqa-infer", "serve", "--host", "0.0.0.0"]', "ENTRYPOINT dgqa-infer serve", "DL3025"),
        ("WORKDIR /source", "WORKDIR source", "DL3000"),
    ],
)
def test_the_linter_sees_a_fault(text: str, line: str, worse: str, code: str) -> None:
    assert line in text
    assert code in lint(text.replace(line, worse))


def test_it_runs_as_a_user_that_is_not_root(text: str) -> None:
    *_, last = stages(text)
    (user,) = re.findall(r"^USER (\d+):(\d+)$", last, re.MULTILINE)
    assert all(int(number) >= 1000 for number in user)
    assert "RUN" not in last.partition("USER")[2]


def test_what_builds_is_not_what_runs(text: str) -> None:
    """The last stage begins from a base and takes only the environment from the one that installs."""
    *_, build, last = stages(text)
    assert "pip install" in build
    assert "pip install" not in last
    assert re.findall(r"^COPY .*$", last, re.MULTILINE) == [
        "COPY --from=build /opt/dgqa-infer /opt/dgqa-infer"
    ]


def test_each_device_has_a_base_and_an_extra(text: str, repository: Path) -> None:
    bases = set(re.findall(r"^FROM \S+ AS base-(\w+)$", text, re.MULTILINE))
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    assert bases == {"cpu", "gpu"} <= set(project["optional-dependencies"])
    assert '".[${DEVICE},serve]"' in text


def test_what_is_copied_is_what_the_package_is_built_from(repository: Path, tmp_path: Path) -> None:
    """A copy of what `.dockerignore` lets through makes the wheel that the whole checkout makes."""
    rules = (repository / ".dockerignore").read_text().splitlines()
    let_through = [rule[1:] for rule in rules if rule.startswith("!")]
    assert rules[1] == "*"
    for name in let_through:
        source = repository / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path)
    build = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"
    done = subprocess.run(
        [sys.executable, "-c", build], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    wheel = tmp_path / "dist" / done.stdout.splitlines()[-1]
    listing = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", wheel], capture_output=True, text=True, check=True
    ).stdout
    for name in ("dgqa_infer/models/dgqa-lite0/model.onnx", "dgqa_infer/service/openapi.json"):
        assert name in listing
