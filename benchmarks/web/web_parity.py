"""Measure how far the npm package's scores are from Python's, in headless Chromium and in Node.

    python -m benchmarks web_parity FOLDER... [--each 40]

Of each folder so many photographs are scored, evenly over its names, by the library and by the package as it
is compiled here; `npm ci` in `web/` comes first. Two windows of each large JPEG, 1,600 × 1,200 pixels, are
scored too, as JPEGs of middling size. The differences of `raw` and of scores, for JPEGs that the library
decodes at a part of their size and for all else, go to `results/web_parity.json`.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from benchmarks.web.in_browser import PAGE, Page, chromium, serving
from dgqa_infer import Scorer
from dgqa_infer.bundle.preprocessing import STANDARD

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "web"
MODEL = ROOT / "dgqa_infer" / "models" / "dgqa-lite0"
PHOTOGRAPHS = {".jpg", ".jpeg", ".png", ".webp"}
LARGE = 2 * (STANDARD.decoded_side or 0)
"""Short side from which on the library decodes a JPEG at a part of its size, as no platform does."""

WINDOW = (1600, 1200)

Row = dict[str, Any]


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--each", type=int, default=40, help="photographs of each folder, at most")
    arguments = parser.parse_args()

    photographs = [path for folder in arguments.folders for path in chosen(folder, arguments.each)]
    with tempfile.TemporaryDirectory() as work:
        cut = [window for path in photographs for window in windows(path, Path(work))]
        photographs += cut
        right = list(by_library(photographs))
        dist = compiled(Path(work))
        found = {"Node": in_node(dist, photographs), "Chromium": in_chromium(dist, photographs, Path(work))}
    large = np.array([is_large_jpeg(path, row) for path, row in zip(photographs, right, strict=True)])
    result = {
        "model": right[0]["model"],
        "photographs": {named(folder): len(chosen(folder, arguments.each)) for folder in arguments.folders}
        | {"windows": len(cut)},
        "differences": {
            name: {
                "large JPEGs": differences(rows, right, large),
                "others": differences(rows, right, ~large),
            }
            for name, rows in found.items()
        },
        "versions": versions(),
        "machine": machine("onnxruntime", "simplejpeg", "cykooz.resizer"),
    }
    write_result("web_parity", result)
    print(json.dumps(result, indent=1))


def named(folder: Path) -> str:
    """A folder without the way to it, such as "authentic/dev"."""
    return "/".join(folder.absolute().parts[-2:])


def chosen(folder: Path, most: int) -> list[Path]:
    """So many photographs of a folder, evenly over their names."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in PHOTOGRAPHS)
    places = np.linspace(0, len(paths) - 1, min(most, len(paths)))
    return [paths[int(place)] for place in places]


def windows(path: Path, work: Path) -> list[Path]:
    """Two parts of a large JPEG, off its middle, as JPEGs of middling size; none of another file."""
    with Image.open(path) as picture:
        if picture.format != "JPEG" or min(picture.size) < LARGE:
            return []
        upright = ImageOps.exif_transpose(picture)
    (work / "windows").mkdir(exist_ok=True)
    width, height = WINDOW
    x, y = (upright.width - width) // 3, (upright.height - height) // 3
    cut = []
    for times in (1, 2):
        cut.append(work / "windows" / f"{path.stem}-{times}.jpg")
        box = (x * times, y * times, x * times + width, y * times + height)
        upright.crop(box).save(cut[-1], quality=90)
    return cut


def by_library(photographs: Sequence[Path]) -> Iterator[Row]:
    with Scorer(device="cpu", precision="fp32", explain=True) as scorer:
        for path in photographs:
            yield dict(scorer.score(path).row())


def compiled(work: Path) -> Path:
    """The package's JavaScript, in a folder from where it finds what it imports."""
    dist = work / "package" / "dist"
    subprocess.run(["npx", "tsc", "--outDir", dist], cwd=WEB, check=True)
    (work / "package" / "node_modules").symlink_to(WEB / "node_modules")
    (work / "package" / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    return dist


def in_node(dist: Path, photographs: Sequence[Path]) -> list[Row]:
    program = Path(__file__).with_name("node.mjs")
    lines = "".join(f"{path.resolve()}\n" for path in photographs)
    command = ["node", str(program), str(dist), str(MODEL)]
    done = subprocess.run(command, input=lines, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def in_chromium(dist: Path, photographs: Sequence[Path], work: Path) -> list[Row]:
    runtime = WEB / "node_modules" / "onnxruntime-web" / "dist"
    parents = {path.parent: f"photographs{number}" for number, path in enumerate(photographs)}
    folders = {"dist": dist, "runtime": runtime, "model": MODEL}
    folders |= {name: folder for folder, name in parents.items()}
    with serving(folders, {"/": PAGE}) as server, chromium(work / "profile") as driver:
        page = Page(driver, server.address)
        return [page.score(f"/{parents[path.parent]}/{path.name}") for path in photographs]


def is_large_jpeg(path: Path, row: Row) -> bool:
    return path.suffix.lower() in (".jpg", ".jpeg") and min(row["width"], row["height"]) >= LARGE


def differences(found: Sequence[Row], right: Sequence[Row], which: Any) -> Row:
    """How far `raw` and `score` are apart, and how often the same distortions are named."""
    pairs = [(one, other) for one, other, wanted in zip(found, right, which, strict=True) if wanted]
    if not pairs:
        return {"photographs": 0}
    same = [names(one) == names(other) for one, other in pairs]
    figures: Row = {"photographs": len(pairs), "same_distortions": sum(same)}
    for key, digits in (("raw", 5), ("score", 3)):
        off = np.array([one[key] - other[key] for one, other in pairs])
        figures[key] = {
            "mean": round(float(np.abs(off).mean()), digits),
            "bias": round(float(off.mean()), digits),
            "max": round(float(np.abs(off).max()), digits),
        }
    return figures


def names(row: Row) -> list[str]:
    return [each["name"] for each in row["distortions"]]


def versions() -> dict[str, str]:
    """Of what decoded and computed."""
    packages = {}
    for name in ("onnxruntime-node", "onnxruntime-web", "sharp"):
        described = json.loads((WEB / "node_modules" / name / "package.json").read_text(encoding="utf-8"))
        packages[name] = described["version"]
    for name, command in (("node", "node"), ("chromium", "chromium")):
        packages[name] = subprocess.run(
            [command, "--version"], capture_output=True, text=True, check=True
        ).stdout.strip()
    return packages


if __name__ == "__main__":
    main()
