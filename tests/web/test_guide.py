"""What docs/browser.md tells to run runs, and its programs do what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from programs import run

from benchmarks.web.in_browser import chromium, serving
from dgqa_infer import Scorer


def blocks(repository: Path, language: str) -> list[str]:
    page = (repository / "docs" / "browser.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", page, re.S)


@pytest.fixture
def photo(repository: Path, tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    path = tmp_path / "photos" / "coffee.jpg"
    Image.open(repository / "examples" / "photos" / "coffee.webp").convert("RGB").save(path, quality=92)
    return path


def test_its_commands_are_those_that_the_tests_run(repository: Path, archive: Path) -> None:
    """`archive` ran the first, tests/web/test_demo.py the last; `npm ci` ran before there were tests."""
    make, install, _, demo = blocks(repository, "sh")
    assert make.split("\n")[:3] == ["cd web", "npm ci", "npm run package"]
    assert archive.name in install
    assert demo.startswith("npm run demo\npython3 -m http.server ")


def test_its_program_for_node_gives_pythons_score(
    repository: Path, install: Callable[..., Path], photo: Path
) -> None:
    here = install("onnxruntime-node", "onnxruntime-common", "sharp")
    (program,) = blocks(repository, "typescript")
    (here / "score.mjs").write_text(program, encoding="utf-8")
    command = blocks(repository, "sh")[2]
    row = json.loads(run(command.split(), here).stdout)
    with Scorer("dgqa-lite0", device="cpu", precision="fp32", explain=True) as scorer:
        right = scorer.score(photo)
    assert row["path"] == "photos/coffee.jpg"
    assert row["raw"] == pytest.approx(right.raw, abs=1e-3)
    assert [each["name"] for each in row["distortions"]] == [each.name for each in right.distortions or ()]


def test_its_page_scores_the_file_that_is_chosen(
    repository: Path,
    install: Callable[..., Path],
    photo: Path,
    has_chromium: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    from selenium.webdriver.support.wait import WebDriverWait

    here = install("onnxruntime-web")
    (html,) = blocks(repository, "html")
    with Scorer("dgqa-lite0", device="cpu", precision="fp32") as scorer:
        right = scorer.score(photo)
    folders = {"node_modules": here / "node_modules"}
    profile = tmp_path_factory.mktemp("profile")
    with serving(folders, {"/": html}) as server, chromium(profile) as driver:
        driver.get(f"{server.address}/")
        waiting = WebDriverWait(driver, 240)
        chosen, shown = (driver.find_element("id", name) for name in ("file", "score"))
        waiting.until(lambda _: chosen.is_enabled())
        chosen.send_keys(str(photo))
        waiting.until(lambda _: shown.text)
        assert shown.text == f"{right.score:.1f}"


def test_its_figures_are_those_that_were_measured(repository: Path) -> None:
    page = (repository / "docs" / "browser.md").read_text(encoding="utf-8")
    measured = json.loads((repository / "benchmarks" / "results" / "web_parity.json").read_text())
    assert all(
        sum(each["photographs"] for each in platform.values()) >= 100
        for platform in measured["differences"].values()
    )
    for row, kind in (("JPEGs with a short side", "large JPEGs"), ("all others", "others")):
        (cells,) = re.findall(rf"^\| {row}.*?\|(.*)\|$", page, re.M)
        count, raw, score, *same = (float(cell) for cell in cells.split("|"))
        for platform, named in zip(("Node", "Chromium"), same, strict=True):
            figures = measured["differences"][platform][kind]
            assert figures["photographs"] == count
            assert figures["same_distortions"] == named
            assert figures["raw"]["max"] <= raw
            assert figures["score"]["max"] <= score
