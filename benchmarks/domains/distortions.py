"""Measure how long each distortion type and level takes, on one core, at KADID-10k's size.

    python -m benchmarks distortions PHOTO [--repeats 5] [--output benchmarks/results/distortions.json]

PHOTO is cropped to 512×384 pixels. Each of the 125 images is made, rounded to 8 bits included, several times;
the least time counts, as others only add what the machine did besides. `cpu_ms` is the time that this process
had the processor, `wall_ms` what a clock shows; on an idle machine they agree.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import scipy
from PIL import features

from benchmarks.machine import RESULTS
from benchmarks.options import new_parser
from dgqa_infer.images.decode import decode
from dgqa_training.distortions import DISTORTIONS, LEVELS, ByteImage, DistortionType
from dgqa_training.synthesis import synthesize

WIDTH, HEIGHT = 512, 384
SET_SECONDS, TYPE_MS = 4.0, 150.0  # the limits that we hold ourselves to


def main() -> int:
    # One core is what is measured; NumPy's libraries read this when they are loaded, so start anew with it.
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks", "distortions", *sys.argv[1:]])
    parser = new_parser(__doc__)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, default=RESULTS / "distortions.json")
    arguments = parser.parse_args()
    photo = crop(decode(arguments.photo).pixels)
    rows = [measure(photo, kind, arguments.repeats) for kind in DISTORTIONS.values()]
    totals = {
        clock: round(sum(sum(row[clock].values()) for row in rows) / 1000, 3)
        for clock in ("cpu_ms", "wall_ms")
    }
    result = {
        "measured": "milliseconds an image, 512×384 pixels, one core; least of the repeats",
        "photo": {"file": arguments.photo.name, "sha256": hashlib.sha256(photo.tobytes()).hexdigest()},
        "repeats": arguments.repeats,
        "machine": machine(),
        "set_of_125_seconds": {"cpu": totals["cpu_ms"], "wall": totals["wall_ms"]},
        "types": rows,
    }
    arguments.output.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(table(rows))
    print(f"all 125: {totals['cpu_ms']:.2f} s of processor time, {totals['wall_ms']:.2f} s by the clock")
    slowest = max(max(row["cpu_ms"].values()) for row in rows)
    return 0 if totals["cpu_ms"] <= SET_SECONDS and slowest <= TYPE_MS else 1


def crop(photo: ByteImage) -> ByteImage:
    """The middle of a photograph, uint8 [384, 512, 3]."""
    height, width = photo.shape[:2]
    if height < HEIGHT or width < WIDTH:
        sys.exit(f"the photograph has {width}×{height} pixels; {WIDTH}×{HEIGHT} are needed")
    top, left = (height - HEIGHT) // 2, (width - WIDTH) // 2
    return photo[top : top + HEIGHT, left : left + WIDTH].copy()


def measure(photo: ByteImage, kind: DistortionType, repeats: int) -> dict[str, Any]:
    """Least times of one type, by level."""
    cpu, wall = {}, {}
    synthesize(photo[:64, :64], "warm-up", kind.number, 1, seed=0)  # compiles #19
    for level in LEVELS:
        times = []
        for _ in range(repeats):
            before = time.process_time(), time.perf_counter()
            synthesize(photo, "benchmark", kind.number, level, seed=0)
            times.append((time.process_time() - before[0], time.perf_counter() - before[1]))
        cpu[str(level)], wall[str(level)] = (
            round(1000 * min(column), 1) for column in zip(*times, strict=True)
        )
    return {"type": kind.number, "name": kind.name, "cpu_ms": cpu, "wall_ms": wall}


def machine() -> dict[str, Any]:
    """What decides the times: processor, its load, and versions."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.partition(":")[2].strip()
            for line in cpuinfo.read_text().splitlines()
            if "model name" in line
        ]
        model = names[0] if names else model
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "load_at_the_end": round(os.getloadavg()[0], 2),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "pillow": PIL.__version__,
        "openjpeg": features.version("jpg_2000"),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The times as a table for people."""
    lines = [f"{'':34}" + "".join(f"level {level:<3}" for level in LEVELS)]
    for row in rows:
        lines.append(
            f"{row['type']:02} {row['name']:30} " + "".join(f"{ms:8.1f} " for ms in row["cpu_ms"].values())
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
