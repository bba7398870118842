"""The npm package in web/, compiled, packed and installed; and Node and Chromium, which run it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from programs import run

from benchmarks.web.in_browser import CHROMEDRIVER, CHROMIUM, PAGE, Page, chromium, serving

MODEL = Path("dgqa_infer") / "models" / "dgqa-lite0"
BUILT = {"node_modules", "dist", "model", "LICENSE"}
"""What a checkout's web/ may have that no commit has."""


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
def checkout(web: Path, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As much of a clone as the package is built from: nothing is built into the real one."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(web, folder / "web", ignore=shutil.ignore_patterns(*BUILT))
    (folder / "web" / "node_modules").symlink_to(web / "node_modules")
    shutil.copy(repository / "LICENSE", folder)
    for name in ("dgqa_infer", "examples"):
        (folder / name).symlink_to(repository / name)
    return folder


@pytest.fixture(scope="session")
def archive(checkout: Path) -> Path:
    """What `npm run package` makes."""
    run(["npm", "run", "package"], checkout / "web")
    (found,) = (checkout / "web").glob("*.tgz")
    return found


@pytest.fixture
def install(web: Path, archive: Path, tmp_path: Path) -> Callable[..., Path]:
    """Installs the package as npm does, and lays packages beside it that come from a registry."""

    def installed(*others: str) -> Path:
        (tmp_path / "package.json").write_text('{"private": true, "type": "module"}')
        run(["npm", "install", "--offline", "--no-audit", "--no-fund", archive], tmp_path)
        for name in others:
            link = tmp_path / "node_modules" / name
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(web / "node_modules" / name)
        return tmp_path

    return installed


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


@pytest.fixture(scope="session")
def has_chromium() -> None:
    pytest.importorskip("selenium", reason="selenium is not installed")
    if not (CHROMIUM and CHROMEDRIVER):
        pytest.skip("no Chromium with its driver is installed (chromium, chromedriver)")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is served under /pictures/; tests put files into it."""
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def page(
    has_chromium: None,
    web: Path,
    dist: Path,
    pictures: Path,
    repository: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Page]:
    """A page in headless Chromium that has the package and the built-in model."""
    folders = {
        "dist": dist,
        "runtime": web / "node_modules" / "onnxruntime-web" / "dist",
        "model": repository / MODEL,
        "photos": repository / "examples" / "photos",
        "pictures": pictures,
    }
    profile = tmp_path_factory.mktemp("profile")
    with serving(folders, {"/": PAGE}) as server, chromium(profile) as driver:
        yield Page(driver, server.address)
