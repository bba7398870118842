"""How large is a report, and how long does a browser take to show it?

    python -m benchmarks report_page PHOTOS DIR [--model dgqa-lite0] [--loads 7]

The first 240 photographs of PHOTOS are scored with explanations, and `report` makes a page of them, and one
of 5,000, in which the same files have further names. Both stay in DIR. Chromium opens each so many times,
with an empty cache; a load lasts from the request to the end of the load event, when the page has its
histogram and its first photographs. Beside its least and its median stands the processor time of all of
the browser's processes, which other work on the machine changes less. The figures go to
`results/report_page.json`; the exit code is 1 if a page has 5 MB or more, or no load took less than a second.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_infer.bench.processes import tree

COUNTS, SECONDS, BYTES = (240, 5000), 1.0, 5_000_000
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--window-size=1280,1000"),
)
LOADED = """
const [page] = performance.getEntriesByType("navigation");
const shown = document.querySelectorAll("#body tr, #grid li").length;
return page.loadEventEnd > 0 ? [page.loadEventEnd, shown] : null;
"""


def main() -> int:
    parser = new_parser(__doc__, model=True)
    parser.add_argument("photos", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--loads", type=int, default=7)
    arguments = parser.parse_args()
    pages = made(arguments)
    with browser() as driver:
        found = [figures(driver, count, page, arguments.loads) for count, page in pages.items()]
        version = driver.capabilities["browserVersion"]
    result = {
        "model": arguments.model,
        "pages": found,
        "targets": {"seconds": SECONDS, "bytes": BYTES},
        "met": all(each["least_seconds"] < SECONDS and each["bytes"] < BYTES for each in found),
        "chromium": version,
        "machine": machine("onnxruntime", "selenium"),
    }
    write_result("report_page", result)
    print(json.dumps(result, indent=1))
    return int(not result["met"])


def made(arguments: argparse.Namespace) -> dict[int, Path]:
    """Number of photographs → the page."""
    photos, folder = sorted(arguments.photos.iterdir()), arguments.folder
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    for number in range(max(COUNTS)):
        source = photos[number % COUNTS[0]]
        target = folder / "photos" / f"{number // COUNTS[0]:02}-{source.name}"
        if not target.exists():
            target.symlink_to(source.resolve())
    first, rows = folder / "first.jsonl", folder / "rows.jsonl"
    run(
        folder,
        "score",
        *(f"photos/00-{each.name}" for each in photos[: COUNTS[0]]),
        "--explain",
        "-o",
        first.name,
        "--resume",
    )
    scored = [json.loads(line) for line in first.read_text().splitlines()]
    pages = {}
    for count in COUNTS:
        with rows.open("w") as file:
            for number in range(count):
                row = scored[number % len(scored)]
                named = row["path"].replace("/00-", f"/{number // len(scored):02}-", 1)
                file.write(json.dumps(row | {"path": named}) + "\n")
        pages[count] = folder / f"report-{count}.html"
        run(folder, "report", rows.name, "-o", pages[count].name, "--model", arguments.model, "--overwrite")
    return pages


def run(folder: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dgqa_infer", *arguments], cwd=folder, check=True)


@contextmanager
def browser() -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    program, driver_program = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver_program:
        sys.exit("install Chromium and its driver: chromium, chromedriver")
    with tempfile.TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = program
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=Service(driver_program))
        try:
            yield driver
        finally:
            driver.quit()


def figures(driver: Any, count: int, page: Path, loads: int) -> dict[str, Any]:
    from selenium.webdriver.support.wait import WebDriverWait

    seconds, processor = [], []
    for _ in range(loads):
        driver.get("about:blank")
        driver.execute_cdp_cmd("Network.clearBrowserCache", {})
        before = processor_seconds(driver)
        driver.get(page.as_uri())
        milliseconds, shown = WebDriverWait(driver, 60, 0.02).until(lambda _: driver.execute_script(LOADED))
        processor.append(processor_seconds(driver) - before)
        seconds.append(milliseconds / 1000)
        assert shown >= 60, "the photographs are not there"
    return {
        "photographs": count,
        "bytes": page.stat().st_size,
        "loads": loads,
        "least_seconds": round(min(seconds), 3),
        "median_seconds": round(median(seconds), 3),
        "median_processor_seconds": round(median(processor), 3),
    }


def processor_seconds(driver: Any) -> float:
    """Of the browser's processes."""
    ticks = 0
    for process in tree(driver.service.process.pid):
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
