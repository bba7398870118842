"""Draw docs/pictures/browser.jpg: the demo page in headless Chromium with the photographs of the examples.

    python -m benchmarks demo_picture

`npm ci` in `web/` comes first.
"""

from __future__ import annotations

import io
import subprocess
import tempfile
from pathlib import Path

from PIL import Image
from selenium.webdriver.support.wait import WebDriverWait

from benchmarks.options import new_parser
from benchmarks.web.in_browser import SECONDS, chromium, serving

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "pictures" / "browser.jpg"
PHOTOS = (
    "astronaut-white-noise",
    "chelsea-motion-blur",
    "coffee-gaussian-blur",
    "coffee",
    "chelsea",
    "rocket",
)
WIDTH = 1080


def main() -> None:
    new_parser(__doc__).parse_args()
    paths = [ROOT / "examples" / "photos" / f"{name}.webp" for name in PHOTOS]
    with tempfile.TemporaryDirectory() as work:
        out = Path(work) / "demo"
        subprocess.run(["npm", "run", "demo", "--", "--out", out], cwd=ROOT / "web", check=True)
        with serving({"demo": out}) as server, chromium(Path(work) / "profile") as driver:
            driver.set_window_size(WIDTH, 1000)
            driver.get(f"{server.address}/demo/index.html")
            waiting = WebDriverWait(driver, SECONDS)
            waiting.until(lambda _: driver.execute_script("return document.body.dataset.model"))
            driver.find_element("id", "files").send_keys("\n".join(map(str, paths)))
            done = f"{len(paths)} scored"
            waiting.until(lambda _: driver.find_element("id", "status").text == done)
            height = driver.execute_script(
                "return document.querySelector('main').getBoundingClientRect().bottom"
            )
            shown = Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
    shown.crop((0, 0, shown.width, min(shown.height, round(height) + 24))).save(PICTURE, quality=88)


if __name__ == "__main__":
    main()
