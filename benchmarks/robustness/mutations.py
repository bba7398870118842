"""Break small sound files of every format in many ways: each must have one row, a score or an error.

    python -m benchmarks mutations [--count 10000] [--workers 2] [--seed 0] [--model dgqa-lite0]

Photographs of 96 × 72 pixels are saved in every format that is decoded, in several of its kinds, and each
file is broken by chance: bits turned over, bytes and lengths overwritten, parts cut out, put in, doubled,
zeroed or exchanged, its end cut off, or its middle taken from a file of another format; up to four times.
The files are scored as `score` does it. Exit code 1 if a file has no row or two, or if a sound one has no
score. What became of them, by format, goes to `results/mutations.json`. The decoders are on trial,
so a small --model tells the same.
"""

from __future__ import annotations

import io
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_infer import Failure, Scorer
from dgqa_infer.inputs.files import Encoded
from dgqa_infer.pipeline.pipeline import Pipeline

WIDTH, HEIGHT = 96, 72
Chance = np.random.Generator
Mutation = Callable[[bytes, Chance], bytes]


def main() -> int:
    parser = new_parser(__doc__, model=True)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    began = time.perf_counter()
    with (
        Scorer(arguments.model, device="cpu", precision="fp32") as scorer,
        Pipeline(scorer, workers=arguments.workers) as pipeline,
    ):
        found = replay(pipeline, arguments.count, arguments.seed)
        model = scorer.model_id
    result = {
        "model": model,
        **found,
        "seed": arguments.seed,
        "seconds": round(time.perf_counter() - began, 1),
        "machine": machine("onnxruntime", "simplejpeg", "pillow-heif", "rawpy", "tifffile"),
    }
    write_result("mutations", result)
    for name, value in result.items():
        print(f"{name}: {value}")
    return int(bool(found["problems"]))


def replay(pipeline: Pipeline[Any], count: int, seed: int) -> dict[str, Any]:
    """Score the sound files and so many mutations of them, and see that each has its one row."""
    sound = sound_files()
    problems = []
    for outcome in pipeline.run(Encoded(data, name) for name, data in sound.items()):
        if isinstance(outcome.result, Failure):
            problems.append(f"the sound file {outcome.result.path} has no score: {outcome.result.message}")
    names = [f"{kind}/{number}" for number, kind in zip(range(count), _endless(sound), strict=False)]
    mutated = (Encoded(data, name) for name, data in zip(names, mutations(sound, count, seed), strict=True))
    rows: list[str | None] = []
    became: dict[str, Counter[str]] = {kind: Counter() for kind in sound}
    for outcome in pipeline.run(mutated):
        path = str(outcome.result.path)
        rows.append(path)
        failed = isinstance(outcome.result, Failure)
        became[path.partition("/")[0]][outcome.result.code if failed else "scored"] += 1
    if rows != names:
        problems.append(f"{count} files have {len(rows)} rows, or another order")
    return {
        "mutations": count,
        "rows": len(rows),
        "problems": problems,
        "by_format": {kind: dict(each.most_common()) for kind, each in became.items()},
    }


def _endless(kinds: Iterable[str]) -> Iterator[str]:
    known = list(kinds)
    while True:
        yield from known


def sound_files() -> dict[str, bytes]:
    """Kind → a small sound file, of every format whose encoder is installed."""
    pixels = photograph()
    picture = Image.fromarray(pixels)
    files = {
        "JPEG baseline": saved(picture, "JPEG", quality=85, exif=oriented()),
        "JPEG progressive": saved(picture, "JPEG", progressive=True, restart_marker_rows=1),
        "JPEG of inks": saved(picture.convert("CMYK"), "JPEG"),
        "PNG": saved(picture, "PNG"),
        "PNG palette": saved(picture.quantize(60), "PNG", transparency=3),
        "PNG 16 bits": saved(Image.fromarray(pixels[..., 0].astype(np.uint16) * 257), "PNG"),
        "WebP": saved(picture, "WEBP"),
        "WebP lossless": saved(picture.convert("RGBA"), "WEBP", lossless=True),
        "TIFF": saved(picture, "TIFF"),
        "TIFF LZW": saved(picture, "TIFF", compression="tiff_lzw"),
        "TIFF JPEG": saved(picture, "TIFF", compression="jpeg"),
        "BMP": saved(picture, "BMP"),
        "GIF": saved(picture.quantize(60), "GIF"),
        "AVIF": saved(picture, "AVIF", quality=60, speed=10),
        "JPEG 2000": saved(picture, "JPEG2000", quality_layers=[20]),
    }
    extras: dict[str, Callable[[], bytes]] = {
        "HEIF": lambda: _with_plugin("pillow_heif.as_plugin", picture, "HEIF"),
        "JPEG XL": lambda: _with_plugin("pillow_jxl.JpegXLImagePlugin", picture, "JXL"),
        "TIFF 16 bits": lambda: _with_tifffile(pixels.astype(np.uint16) * 257, planarconfig="separate"),
        "raw": lambda: _raw(pixels),
    }
    for kind, make in extras.items():
        try:
            files[kind] = make()
        except ImportError:
            continue
    return files


def photograph() -> NDArray[np.uint8]:
    """Uint8 [height, width, 3] with edges, slopes and grain."""
    chance = np.random.default_rng(7)
    small = chance.integers(30, 226, (HEIGHT // 12, WIDTH // 12, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(small).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), np.int16)
    grain = chance.integers(-9, 10, smooth.shape)
    pixels: NDArray[np.uint8] = np.clip(smooth + grain, 0, 255).astype(np.uint8)
    return pixels


def oriented() -> Image.Exif:
    """Metadata that turns a picture."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def _with_plugin(module: str, picture: Image.Image, kind: str) -> bytes:
    __import__(module)
    if kind == "HEIF":
        __import__("pillow_heif").register_heif_opener()
    return saved(picture, kind)


def _with_tifffile(samples: NDArray[Any], **options: Any) -> bytes:
    from tifffile import imwrite

    file = io.BytesIO()
    if options.get("planarconfig") == "separate":
        samples = np.moveaxis(samples, -1, 0)
    imwrite(file, samples, **{"photometric": "rgb", **options})
    return file.getvalue()


def _raw(pixels: NDArray[np.uint8]) -> bytes:
    """A DNG as a camera without a preview writes it: one sample a pixel, behind a Bayer filter."""
    __import__("rawpy")
    deep = pixels.astype(np.uint16) * 257
    mosaic = deep[..., 1].copy()
    mosaic[::2, ::2], mosaic[1::2, 1::2] = deep[::2, ::2, 0], deep[1::2, 1::2, 2]
    identity = [number for row in np.eye(3, dtype=int) for each in row for number in (int(each), 1)]
    tags = [
        (271, 2, None, "Test", True),
        (272, 2, None, "Camera", True),
        (33421, 3, 2, (2, 2), True),
        (33422, 1, 4, bytes([0, 1, 1, 2]), True),
        (50706, 1, 4, bytes([1, 4, 0, 0]), True),
        (50708, 2, None, "Test Camera", True),
        (50717, 4, 1, 65535, True),
        (50721, 10, 9, identity, True),
        (50778, 3, 1, 21, True),
    ]
    return _with_tifffile(mosaic, photometric="cfa", extratags=tags)


def mutations(sound: dict[str, bytes], count: int, seed: int) -> Iterator[bytes]:
    """So many broken files, of each kind in turn."""
    chance = np.random.default_rng(seed)
    files = list(sound.values())
    for number in range(count):
        data = files[number % len(files)]
        for _ in range(int(chance.integers(1, 5))):
            if int(chance.integers(9)) == 0:
                data = spliced(data, files[int(chance.integers(len(files)))], chance)
            else:
                data = MUTATIONS[int(chance.integers(len(MUTATIONS)))](data, chance)
        yield data


def place(data: bytes, chance: Chance) -> int:
    """Somewhere; in half of the cases near the beginning, where headers are."""
    most = len(data) if chance.integers(2) else min(len(data), 200)
    return int(chance.integers(most + 1))


def turned_over(data: bytes, chance: Chance) -> bytes:
    changed = bytearray(data or b"\0")
    for _ in range(int(chance.integers(1, 9))):
        changed[min(place(data, chance), len(changed) - 1)] ^= 1 << int(chance.integers(8))
    return bytes(changed)


def overwritten(data: bytes, chance: Chance) -> bytes:
    values = (b"\0", b"\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\0", b"\0\1")
    at, value = place(data, chance), values[int(chance.integers(len(values)))]
    return data[:at] + value + data[at + len(value) :]


def cut_out(data: bytes, chance: Chance) -> bytes:
    at = place(data, chance)
    return data[:at] + data[at + int(chance.integers(1, 100)) :]


def put_in(data: bytes, chance: Chance) -> bytes:
    at = place(data, chance)
    return data[:at] + chance.bytes(int(chance.integers(1, 100))) + data[at:]


def doubled(data: bytes, chance: Chance) -> bytes:
    at, length = place(data, chance), int(chance.integers(1, 400))
    return data[: at + length] + data[at:]


def zeroed(data: bytes, chance: Chance) -> bytes:
    at, length = place(data, chance), int(chance.integers(1, 400))
    return data[:at] + bytes(len(data[at : at + length])) + data[at + length :]


def exchanged(data: bytes, chance: Chance) -> bytes:
    first, second = sorted((place(data, chance), place(data, chance)))
    length = int(chance.integers(1, 64))
    one, other = data[first : first + length], data[second : second + length]
    return data[:first] + other + data[first + length : second] + one + data[second + length :]


def cut_off(data: bytes, chance: Chance) -> bytes:
    return data[: place(data, chance)]


def spliced(data: bytes, other: bytes, chance: Chance) -> bytes:
    """The middle of another file within this one."""
    at, start = place(data, chance), place(other, chance)
    length = int(chance.integers(1, 1000))
    return data[:at] + other[start : start + length] + data[at + length :]


MUTATIONS: tuple[Mutation, ...] = (
    *(turned_over, overwritten, cut_out, put_in),
    *(doubled, zeroed, exchanged, cut_off),
)

if __name__ == "__main__":
    sys.exit(main())
