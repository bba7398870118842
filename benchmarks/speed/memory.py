"""Measure how much memory a run takes, all processes together, and each format's decoder: both within limits.

    python -m benchmarks memory PHOTOGRAPH [--workers 2] [--limits 1 2]

PHOTOGRAPH, resized, becomes files of 0.1 to 250 MP in several formats. Mix: `score` takes them all with each
`--limit-total-memory`, in GB; twenty times a second the memory of all its processes is summed up, shared
pages once. Formats: what decoding 6 MP of each format takes in a process of its own, against what
`dgqa_infer.images.memory` tells in advance. Exit code 1 if a run or a format took more than it should, or a
photograph has no row. The figures go to `results/memory.json`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_infer import Bundle
from dgqa_infer.bench.processes import PROGRAM, run
from dgqa_infer.images.attributes import attributes
from dgqa_infer.images.crops import crops, shrink
from dgqa_infer.images.decode import decode

Save = Callable[[Image.Image, Path], object]
MIX = (
    *((0.1, "jpeg"), (0.1, "png"), (0.3, "webp"), (1, "jpeg"), (1, "tiff"), (3, "png"), (12, "jpeg")),
    *((12, "progressive jpeg"), (12, "png"), (24, "jpeg"), (24, "png"), (50, "jpeg"), (100, "jpeg")),
    *((250, "jpeg"), (250, "progressive jpeg")),
)
"""Megapixels and kind of each photograph of the mix."""
FORMAT_MEGAPIXELS = 6
_SLACK = 12_000_000  # bytes that an allocator keeps, whatever is decoded


def main() -> int:
    parser = new_parser(__doc__)
    parser.add_argument("photograph", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--limits", type=float, nargs="+", default=[1, 2])
    parser.add_argument("--one", action="store_true", help="only decode this one, and say what it took")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(_decoded(arguments.photograph)))
        return 0
    Image.MAX_IMAGE_PIXELS = None
    photograph = Image.open(arguments.photograph).convert("RGB")
    with tempfile.TemporaryDirectory() as folder:
        formats = [_format(path) for path in _files(photograph, Path(folder))]
    with tempfile.TemporaryDirectory() as folder:
        count = _mix(photograph, Path(folder))
        mixes = [_mixed(Path(folder), limit, arguments.workers, count) for limit in arguments.limits]
    result = {
        "mix": {"files": count, "photographs": MIX, "workers": arguments.workers, "runs": mixes},
        "formats": {"megapixels": FORMAT_MEGAPIXELS, "kinds": formats},
        "machine": machine("onnxruntime", "simplejpeg", "pillow-heif", "pillow-jxl-plugin", "tifffile"),
    }
    write_result("memory", result)
    for each in (*mixes, *formats):
        print(each)
    return int(not all(each["within"] for each in (*mixes, *formats)))


def _resized(photograph: Image.Image, megapixels: float) -> Image.Image:
    """So many pixels, four to three, with some grain, which a large picture of a small one would not have."""
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    large = photograph.resize((height * 4 // 3, height), Image.Resampling.BILINEAR)
    pixels = np.array(large)
    grain = np.random.default_rng(0).integers(0, 8, (64, pixels.shape[1], 3), dtype=np.uint8)
    for top in range(0, height, 64):
        rows = pixels[top : top + 64]
        np.minimum(rows, 247, out=rows)
        rows += grain[: len(rows)]
    return Image.fromarray(pixels)


def _mix(photograph: Image.Image, folder: Path) -> int:
    """Write the mix; how many files it has."""
    for number, (megapixels, kind) in enumerate(MIX):
        name = f"{number:02}_{megapixels:g}MP_{kind.replace(' ', '_')}.{kind.split()[-1]}"
        KINDS[kind](_resized(photograph, megapixels), folder / name)
    return len(MIX)


def _mixed(folder: Path, limit: float, workers: int, count: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as out:
        rows = Path(out) / "rows.jsonl"
        options = ["--workers", str(workers), "--limit-total-memory", f"{limit:g}GB", "-q", "-o", str(rows)]
        ran = run([*PROGRAM, "score", str(folder), *options], watch_memory=True)
        found = [json.loads(line) for line in rows.read_text().splitlines()] if rows.exists() else []
    refused = sorted(Path(row["path"]).name for row in found if "error" in row)
    peak = ran.peak_mb or 0.0
    return {
        "limit_gb": limit,
        "peak_mb": peak,
        "seconds": round(ran.seconds, 1),
        "rows": len(found),
        "refused": refused,
        "within": peak <= limit * 1000 and len(found) == count,
    }


def _files(photograph: Image.Image, folder: Path) -> Iterator[Path]:
    for megapixels in (0.3, FORMAT_MEGAPIXELS):
        picture = _resized(photograph, megapixels)
        for kind, save in KINDS.items():
            path = folder / kind / f"{megapixels:g}"
            path.parent.mkdir(exist_ok=True)
            save(picture, path)
    yield from (folder / kind / f"{FORMAT_MEGAPIXELS:g}" for kind in KINDS)


def _format(path: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks", "memory", "--one", str(path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return {"kind": path.parent.name, **json.loads(ran.stdout.splitlines()[-1])}


def _decoded(path: Path) -> dict[str, Any]:
    """Decode in this process, once for what is loaded on the way, and again to see what it takes."""
    preprocessing = Bundle.load("dgqa-lite0").card.preprocessing
    told: list[int] = []

    def once(data: bytes) -> None:
        found = decode(data, before_decoding=told.append, short_side=preprocessing.decoded_side)
        picture = shrink(found.pixels, preprocessing, found.box)
        crops(picture, preprocessing)
        attributes(picture)

    once((path.parent / "0.3").read_bytes())
    data = path.read_bytes()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _status("VmRSS")
    once(data)
    took, pixels = _status("VmHWM") - before, FORMAT_MEGAPIXELS * 1e6
    # What the file itself takes is counted, and is there before.
    told_bytes = told[-1] - len(data)
    return {
        "bytes_a_pixel": round(took / pixels, 2),
        "told_a_pixel": round(told_bytes / pixels, 2),
        "within": took <= told_bytes + _SLACK,
    }


def _status(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found.group(1)) * 1024 if found else 0


def _with_alpha(picture: Image.Image) -> Image.Image:
    picture = picture.copy()
    picture.putalpha(picture.getchannel(0))
    return picture


def _sixteen_bits(picture: Image.Image, path: Path) -> None:
    import tifffile

    tifffile.imwrite(path, np.asarray(picture, np.uint16) * 257, photometric="rgb")


def _sixteen_bit_png(picture: Image.Image, path: Path) -> None:
    import imagecodecs

    path.write_bytes(imagecodecs.png_encode(np.asarray(picture, np.uint16) * 257, level=1))


def _plugin(module: str, kind: str, **options: Any) -> Save:
    def save(picture: Image.Image, path: Path) -> None:
        if module == "pillow_heif":
            import pillow_heif

            pillow_heif.register_heif_opener()
        else:
            __import__(module)
        picture.save(path, kind, **options)

    return save


_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

KINDS: dict[str, Save] = {
    "jpeg": lambda picture, path: picture.save(path, "JPEG", quality=92),
    "progressive jpeg": lambda p, path: p.save(path, "JPEG", quality=92, progressive=True, subsampling=0),
    "cmyk jpeg": lambda picture, path: picture.convert("CMYK").save(path, "JPEG", quality=92),
    "turned jpeg": lambda p, path: p.save(path, "JPEG", quality=92, exif=_turned()),
    "png": lambda picture, path: picture.save(path, "PNG", compress_level=1),
    "png with alpha": lambda picture, path: _with_alpha(picture).save(path, "PNG", compress_level=1),
    "png with a palette": lambda p, path: p.quantize(256, method=2).save(path, "PNG", compress_level=1),
    "png with a profile": lambda p, path: p.save(path, "PNG", compress_level=1, icc_profile=_PROFILE),
    "png of 16 bits": _sixteen_bit_png,
    "webp": lambda picture, path: picture.save(path, "WEBP", quality=85, method=0),
    "webp with alpha": lambda p, path: _with_alpha(p).save(path, "WEBP", quality=85, method=0),
    "tiff": lambda picture, path: picture.save(path, "TIFF", compression="tiff_lzw"),
    "tiff of 16 bits": _sixteen_bits,
    "cmyk tiff": lambda picture, path: picture.convert("CMYK").save(path, "TIFF"),
    "bmp": lambda picture, path: picture.save(path, "BMP"),
    "gif": lambda picture, path: picture.quantize(256, method=2).save(path, "GIF"),
    "avif": lambda picture, path: picture.save(path, "AVIF", quality=60, speed=10),
    "heif": _plugin("pillow_heif", "HEIF", quality=60),
    "jpeg xl": _plugin("pillow_jxl", "JXL", quality=90, effort=1),
    "jpeg 2000": lambda picture, path: picture.save(path, "JPEG2000"),
}
"""How a picture is written in each format, and in kinds of it that take more memory."""


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


if __name__ == "__main__":
    sys.exit(main())
