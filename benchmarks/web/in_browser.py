"""Headless Chromium with a page of the npm package, served from this machine: `Page.score` scores in it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHROMEDRIVER = shutil.which("chromedriver")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--window-size=1280,1000"),
)
SECONDS = 600
"""How long a script may take: machines may have much else to do."""

# Straight from the compiler, by way of an import map: no bundler has to make it right.
PAGE = """<!doctype html>
<title>dgqa-infer-web</title>
<link rel="icon" href="data:,">
<script type="importmap">{"imports": {"onnxruntime-web/wasm": "/runtime/ort.wasm.bundle.min.mjs"}}</script>
<script type="module">
import { load } from "/dist/browser.js";

const upright = { imageOrientation: "from-image" };
const forms = {
  bytes: async (file) => new Uint8Array(await file.arrayBuffer()),
  Blob: async (file) => file,
  ImageBitmap: async (file) => createImageBitmap(file, upright),
  ImageData: async (file, colorSpace = "srgb") => {
    const bitmap = await createImageBitmap(file, upright);
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d", { colorSpace });
    context.drawImage(bitmap, 0, 0);
    return context.getImageData(0, 0, bitmap.width, bitmap.height, { colorSpace });
  },
  "ImageData in Display P3": async (file) => forms.ImageData(file, "display-p3"),
};
const scorer = load("model", { explain: true });
window.score = async (address, form) => {
  try {
    const source = await forms[form](await (await fetch(address)).blob());
    const { map, ...found } = await (await scorer).score(source);
    return { ...found, map: map.cells.map((cells) => [...cells]) };
  } catch (error) {
    return { error: error.name, code: error.code, message: error.message };
  }
};
</script>
"""


class Server(ThreadingHTTPServer):
    """Serves `folders` on this machine alone: what stands under /NAME/ is in the folder NAME."""

    daemon_threads = True

    def __init__(self, folders: Mapping[str, Path], pages: Mapping[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), partial(_Handler, folders, pages))

    @property
    def address(self) -> str:
        """Such as "http://127.0.0.1:40123"."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, folders: Mapping[str, Path], pages: Mapping[str, str], *more: Any) -> None:
        self.folders, self.pages = folders, pages
        super().__init__(*more)

    def do_GET(self) -> None:
        page = self.pages.get(self.path)
        if page is None:
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(page.encode())

    def translate_path(self, path: str) -> str:
        root, _, rest = path.lstrip("/").partition("/")
        self.directory = str(self.folders.get(root, Path("/nonexistent")))
        return super().translate_path(f"/{rest}")

    def log_message(self, *_: object) -> None:
        """Nothing is said of what goes well."""


@contextmanager
def serving(folders: Mapping[str, Path], pages: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A server that answers as long as the context lasts."""
    server = Server(folders, pages or {})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def chromium(profile: Path, *flags: str) -> Iterator[Any]:
    """Selenium's driver of a headless Chromium with a new profile."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for flag in (*FLAGS, *flags, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver: Any = webdriver.Chrome(options=options, service=Service(CHROMEDRIVER or ""))
    driver.set_script_timeout(SECONDS)
    driver.command_executor.client_config.timeout = SECONDS
    try:
        yield driver
    finally:
        driver.quit()


class Page:
    """The compiled package and the built-in model in a page.

    Args:
        driver: of `chromium`.
        address: of a server whose folders are "dist", "runtime" (onnxruntime-web's `dist`), "model" and those
            of the photographs, and whose page "/" is `PAGE`.
    """

    def __init__(self, driver: Any, address: str) -> None:
        self._driver = driver
        driver.get(f"{address}/")

    def score(self, name: str, form: str = "bytes") -> dict[str, Any]:
        """Score a photograph.

        Args:
            name: its address on the server, such as "/photos/coffee.webp".
            form: a key of `forms` in `PAGE`.

        Returns:
            The package's score, its map by crops; or `error`, `code` and `message`.
        """
        script = "const done = arguments[2]; window.score(arguments[0], arguments[1]).then(done)"
        return self._driver.execute_async_script(script, name, form)  # type: ignore[no-any-return]
