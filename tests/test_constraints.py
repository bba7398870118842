"""What is installed for the tests: every version is named, and every file is known by its hash."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


@pytest.fixture(scope="module")
def versions(repository: Path) -> dict[str, str]:
    lines = (repository / "constraints.txt").read_text().splitlines()
    pairs = [line.partition("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, _, version in pairs}


def test_every_file_of_every_version_is_known_by_its_hash(repository: Path, versions: dict[str, str]) -> None:
    text = (repository / "constraints.hashes.txt").read_text().replace("\\\n", " ")
    hashed: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        requirement, *hashes = line.split()
        name, _, version = requirement.partition("==")
        hashed[canonicalize_name(name)] = version
        assert hashes, line
        assert all(re.fullmatch("--hash=sha256:[0-9a-f]{64}", each) for each in hashes), name
    assert hashed == versions, "constraints.txt has changed: run .ci/hashes"


def test_all_that_the_tests_need_is_named_in_a_version_that_is_allowed(
    repository: Path, versions: dict[str, str]
) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    extras, wanted = project["optional-dependencies"], list(project["dependencies"])
    waiting = ["dev"]
    seen: set[str] = set()
    while waiting:
        extra = waiting.pop()
        if extra in seen:
            continue
        seen.add(extra)
        for text in extras[extra]:
            requirement = Requirement(text)
            if requirement.name == project["name"]:
                waiting += requirement.extras
            else:
                wanted.append(text)
    environment = default_environment() | {"sys_platform": "linux", "platform_machine": "x86_64"}
    for requirement in map(Requirement, wanted):
        if requirement.marker is None or requirement.marker.evaluate(environment):
            version = versions[canonicalize_name(requirement.name)]
            assert version in requirement.specifier, requirement
