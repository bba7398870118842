"""What is installed is all that runs, and nothing else: the wheel and the source distribution, built here."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

PACKAGES = {"dgqa_infer": ".", "dgqa_training": "training", "dgqa_export": "export"}
SOURCES = (
    "pyproject.toml",
    "MANIFEST.in",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    "constraints.txt",
    "tests",
)
BUILD = """
import sys
from setuptools import build_meta
out = sys.argv[1]  # setuptools changes it
build_meta.build_wheel(out)
build_meta.build_sdist(out)
"""


@pytest.fixture(scope="module")
def packaged(repository: Path) -> set[str]:
    """Every file of our packages, as Python sees it: "dgqa_training/labels/labels.py"."""
    return {
        path.relative_to(repository / root).as_posix()
        for package, root in PACKAGES.items()
        for path in (repository / root / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


@pytest.fixture(scope="module")
def built(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both, built without the network from a copy, so that nothing is left in the checkout."""
    here = tmp_path_factory.mktemp("packaging")
    source, out = here / "source", here / "dist"
    for name in (*SOURCES, *(f"{root}/{package}" for package, root in PACKAGES.items())):
        if (repository / name).is_dir():
            shutil.copytree(repository / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            source.mkdir(exist_ok=True)
            shutil.copy(repository / name, source)
    out.mkdir()
    done = subprocess.run([sys.executable, "-c", BUILD, out], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> set[str]:
    (file,) = built.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def sdist(built: Path) -> set[str]:
    """Without the folder that all lies in."""
    (file,) = built.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        names = [PurePosixPath(member.name) for member in archive if member.isfile()]
    return {str(name.relative_to(name.parts[0])) for name in names}


def test_the_wheel_is_for_every_system(built: Path) -> None:
    (file,) = built.glob("*.whl")
    assert file.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(file) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/WHEEL"))
        assert b"Root-Is-Purelib: true" in archive.read(metadata)


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(
    wheel: set[str], packaged: set[str]
) -> None:
    assert {name for name in wheel if ".dist-info/" not in name} == packaged
    about = {name.partition(".dist-info/")[2] for name in wheel - packaged}
    assert {"licenses/LICENSE", "METADATA", "entry_points.txt"} <= about


def test_the_source_distribution_holds_what_the_wheel_is_built_from_and_no_tests(
    sdist: set[str], packaged: set[str]
) -> None:
    moved = {
        name if (root := PACKAGES[name.partition("/")[0]]) == "." else f"{root}/{name}" for name in packaged
    }
    assert moved <= sdist
    assert set(SOURCES) - {"tests"} <= sdist
    others = {name for name in sdist - moved - set(SOURCES) if ".egg-info/" not in name}
    assert others <= {"PKG-INFO", "setup.cfg"}


def test_what_is_no_python_is_there_by_name(wheel: set[str]) -> None:
    """So that a file that is lost from both, checkout and wheel, is missed too."""
    assert {
        "dgqa_infer/models/dgqa-lite0/card.json",
        "dgqa_infer/models/dgqa-lite0/model.onnx",
        "dgqa_infer/models/dgqa-lite0/domains.onnx",
        "dgqa_infer/images/decoders/shrink.onnx",
        "dgqa_infer/images/decoders/shrink_lying.onnx",
        "dgqa_infer/outputs/html/page.css",
        "dgqa_infer/outputs/html/page.html",
        "dgqa_infer/outputs/html/core.js",
        "dgqa_training/labels/kadid10k_scores.csv",
        "dgqa_training/built_in/efficientnet_lite0.npz",
        *(f"{package}/py.typed" for package in PACKAGES),
    } <= wheel


def test_the_changelog_knows_the_version_that_is_built_or_what_is_unreleased(
    repository: Path, built: Path
) -> None:
    (file,) = built.glob("*.whl")
    text = (repository / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\]", text, re.M)
    assert headings[0] == "Unreleased" or headings[0] == file.name.split("-")[1]


def test_the_sizes_that_the_documentation_tells_are_the_measured_ones(repository: Path) -> None:
    measured = json.loads((repository / "benchmarks" / "results" / "installation.json").read_bytes())
    text = (repository / "docs" / "README.md").read_text(encoding="utf-8")
    sizes = [measured["installed"][f"wheel[{each}]"]["megabytes"] for each in ("cpu", "export")]
    assert (
        "checkout: {:,.0f} MB with all that it needs, where `[export]`, with PyTorch, has {:,.0f} MB".format(
            *sizes
        )
        in text
    )
