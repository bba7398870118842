"""What a reader of the documentation has at hand: photographs, ratings, and a stand-in for pip."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

BIN = Path(sys.executable).parent
# In the order of the photographs' names: what somebody might say of them, from 1 to 5.
RATINGS = (1.5, 2.5, 4.5, 2, 2.5, 4, 3, 1, 4.5, 1.5, 5)
FEW = ("astronaut", "coffee", "rocket")
RATED = {"README.md", "docs/adapting.md"}
"""Pages that need all photographs, since ten ratings are the least; three do for the others."""
PROFILED = """
from dataclasses import replace
from dgqa_infer.bundle.bundle import Bundle, write_bundle
from dgqa_infer.domains.profile import DomainProfile
bundle, profile = Bundle.load("dgqa-lite0"), DomainProfile()
profile.add([0, 1, 3, 25], photos=20)
domains = replace(bundle.card.domains, profile=profile.as_card())
graphs = {name: bundle.graph_bytes(name) for name in bundle.card.files}
write_bundle("mine", graphs, replace(bundle.card, name="mine", domains=domains))
"""
BEFORE = {"docs/domains.md": PROFILED}
"""What a reader of a page has done already, after another page, in Python."""
LOOKED_AT = ("constraints.txt", "docs", "examples")
CHECKOUT = (*LOOKED_AT, "pyproject.toml", "README.md", "LICENSE", "dgqa_infer", "training", "export", "tests")
PIP = """#!{python}
# Stands in for pip: nothing is installed, but what is to be installed must exist.
import re, sys
arguments = sys.argv[2:]
while arguments:
    word = arguments.pop(0)
    if word in ("-c", "-e"):
        if word == "-c":
            open(arguments.pop(0)).close()
        continue
    ours = re.fullmatch(r"(?:\\.|dgqa-infer)(?:\\[([a-z,]+)\\])?", word)
    if ours and ours[1] and not set(ours[1].split(",")) <= {extras!r}:
        sys.exit(f"{{word}}: there is no such extra")
"""


@pytest.fixture(scope="session")
def hands(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """`photos/`, eleven small photographs; `few/`, three; `pristine/`, one; and `ratings.csv`."""
    hands = tmp_path_factory.mktemp("hands")
    (hands / "photos").mkdir()
    (hands / "few").mkdir()
    (hands / "pristine").mkdir()
    lines = ["image,score"]
    sources = sorted((repository / "examples" / "photos").glob("*.webp"))
    for path, rating in zip(sources, RATINGS, strict=True):
        with Image.open(path) as image:
            small = image.convert("RGB")
        small.thumbnail((400, 400))
        small.save(hands / "photos" / f"{path.stem}.jpg", quality=95)
        lines.append(f"{path.stem}.jpg,{rating}")
        if path.stem in FEW:
            small.resize((240, 224)).save(hands / "few" / f"{path.stem}.png")
    shutil.copy(hands / "few" / "coffee.png", hands / "pristine")
    (hands / "ratings.csv").write_text("\n".join(lines) + "\n")
    return hands


@pytest.fixture
def reader(tmp_path: Path, repository: Path) -> Callable[[Path], dict[str, str]]:
    """The environment of somebody who works in a folder, with our programs first in the path."""
    programs = tmp_path / "bin"
    programs.mkdir()
    extras = tomllib.loads((repository / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (programs / "pip").write_text(PIP.format(python=sys.executable, extras=set(extras)))
    (programs / "pip").chmod(0o755)

    def environment(here: Path) -> dict[str, str]:
        # Nothing of the pytest that runs this; pages run their own.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        paths = [here, here / "training", here / "export"] if (here / "pyproject.toml").exists() else []
        return kept | {
            "COLUMNS": "100",
            # Pages show what every processor prints.
            "DGQA_PRECISION": "fp32",
            "PATH": os.pathsep.join([str(programs), str(BIN), kept["PATH"]]),
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "HOME": str(tmp_path),
            "DGQA_CACHE": str(tmp_path / "cache"),
        }

    return environment


@pytest.fixture
def folder(
    tmp_path: Path, hands: Path, repository: Path, reader: Callable[[Path], dict[str, str]]
) -> Callable[[str], Path]:
    """The folder in which a page's reader works: a checkout to contribute to, else one with photographs."""

    def prepare(page: str) -> Path:
        here = tmp_path / "here"
        shutil.copytree(hands, here)
        if page not in RATED and not page.startswith("docs/trades/"):
            for photo in sorted((here / "photos").iterdir())[3:]:
                photo.unlink()
        for name in CHECKOUT if page == "CONTRIBUTING.md" else LOOKED_AT:
            source = repository / name
            if source.is_dir():
                shutil.copytree(source, here / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, here)
        if (before := BEFORE.get(page)) is not None:
            subprocess.run(
                [sys.executable, "-c", before], cwd=here, env=reader(here), check=True, timeout=240
            )
        return here

    return prepare
