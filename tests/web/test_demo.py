"""The demo page, built and used in headless Chromium as a person uses it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from programs import run

from benchmarks.web.in_browser import Server, chromium, serving
from dgqa_infer import Scorer

PHOTOS = ("coffee", "chelsea-motion-blur", "astronaut-white-noise")


@pytest.fixture(scope="module")
def demo(checkout: Path) -> Path:
    """What `npm run demo` builds."""
    run(["npm", "run", "demo"], checkout / "web")
    return checkout / "web" / "demo" / "dist"


@pytest.fixture(scope="module")
def driver(has_chromium: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


class Demo:
    """The page, loaded."""

    def __init__(self, driver: Any, address: str) -> None:
        self.driver = driver
        driver.get(f"{address}/demo/index.html")
        self.until(driver, lambda: self.run("return document.body.dataset.model"))

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    @staticmethod
    def until(driver: Any, condition: Callable[[], Any]) -> Any:
        from selenium.webdriver.support.wait import WebDriverWait

        return WebDriverWait(driver, 240, 0.1).until(lambda _: condition())

    def drop(self, *paths: Path) -> None:
        """Drop files from outside of the browser onto the middle of the page."""
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            place = {"type": kind, "x": 400, "y": 400, "data": data}
            self.driver.execute_cdp_cmd("Input.dispatchDragEvent", place)

    def shown(self, count: int) -> list[dict[str, str]]:
        """The photographs in their order, once so many are done."""
        status = "return document.querySelector('#status').textContent"
        self.until(self.driver, lambda: self.run(status) == f"{count} scored")
        return self.run(  # type: ignore[no-any-return]
            """return [...document.querySelectorAll("figure")].map((figure) => ({
                 name: figure.querySelector("strong").textContent,
                 score: figure.querySelector("output").textContent,
                 faults: figure.querySelector(".faults").textContent,
                 ...figure.dataset }))"""
        )


@pytest.fixture
def server(demo: Path) -> Iterator[Server]:
    with serving({"demo": demo}) as server:
        yield server


def test_dropped_photographs_are_scored_as_in_python_and_the_worst_stands_first(
    driver: Any, server: Server, repository: Path, tmp_path: Path
) -> None:
    paths = [repository / "examples" / "photos" / f"{name}.webp" for name in PHOTOS]
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(b"no picture")
    page = Demo(driver, server.address)
    page.drop(*paths, torn)
    rows = page.shown(4)
    with Scorer("dgqa-lite0", device="cpu", precision="fp32", explain=True) as scorer:
        right = {path.name: scorer.score(path) for path in paths}
    assert page.run("return document.body.dataset.model") == right[paths[0].name].model
    assert [row["name"] for row in rows if "score" in row and row["name"] in right] == sorted(
        right, key=lambda name: right[name].score
    )
    for row in rows:
        if row["name"] == "torn.jpg":
            assert (row["error"], row["faults"][:26]) == ("corrupt", "the browser cannot decode ")
            continue
        expected = right[row["name"]]
        assert float(row["raw"]) == pytest.approx(expected.raw, abs=1e-3)
        names = ", ".join(each.name for each in expected.distortions or ()) or "no fault found"
        assert row["faults"] == names
    assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_a_map_shows_where_a_score_comes_from(driver: Any, server: Server, tmp_path: Path) -> None:
    """The right half of a sharp picture is pixelated: it is the worse half, and the more orange."""
    photo = Path(__file__).parents[2] / "examples" / "photos" / "astronaut.webp"
    picture = Image.open(photo).convert("RGB")
    half = picture.crop((picture.width // 2, 0, picture.width, picture.height))
    coarse = half.resize((half.width // 12, half.height // 12)).resize(half.size, Image.Resampling.NEAREST)
    picture.paste(coarse, (picture.width // 2, 0))
    picture.save(tmp_path / "half.png")
    page = Demo(driver, server.address)
    page.drop(tmp_path / "half.png")
    page.shown(1)
    hidden = "return document.querySelector('canvas').hidden"
    assert page.run(hidden) is True
    page.run("document.querySelector('#maps').click()")
    assert page.run(hidden) is False
    left, right = page.run(
        """const canvas = document.querySelector("canvas"), half = canvas.width / 2;
           const context = canvas.getContext("2d");
           const red = (x) => {
             const { data } = context.getImageData(x, 0, half, canvas.height);
             let sum = 0;
             for (let i = 0; i < data.length; i += 4) sum += data[i];
             return sum / (data.length / 4);
           };
           return [red(0), red(half)]"""
    )
    assert right > left + 15


def asked(log: Path, page: str) -> set[str]:
    """The addresses that a page and its workers asked for, from Chromium's own log of its network."""
    events = json.loads(log.read_text(encoding="utf-8"))["events"]
    requests = [event["params"] for event in events if "initiator" in event.get("params", {})]
    return {request["url"] for request in requests if request["initiator"] == page and "url" in request}


def test_it_asks_no_other_machine_and_needs_its_own_no_more_once_loaded(
    has_chromium: None, demo: Path, repository: Path, tmp_path: Path
) -> None:
    photo = repository / "examples" / "photos" / "rocket.webp"
    log = tmp_path / "network.json"
    blocked = ("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", f"--log-net-log={log}")
    other = "<link rel=icon href='data:,'><script>"
    other += "fetch('http://example.org/').catch(() => { document.title = 'refused'; });</script>"
    with chromium(tmp_path / "profile", *blocked) as driver:
        with serving({"demo": demo}, {"/other": other}) as server:
            driver.get(f"{server.address}/other")
            Demo.until(driver, lambda: driver.title == "refused")
            page = Demo(driver, server.address)
        # The server is gone.
        page.drop(photo)
        (row,) = page.shown(1)
    with Scorer("dgqa-lite0", device="cpu", precision="fp32") as scorer:
        assert float(row["raw"]) == pytest.approx(scorer.score(photo).raw, abs=1e-3)
    files = {f"{server.address}/demo/{path.relative_to(demo)}" for path in demo.rglob("*") if path.is_file()}
    # The other page shows that such a request would have been seen.
    assert asked(log, server.address) == files - {f"{server.address}/demo/index.html"} | {
        "http://example.org/"
    }
