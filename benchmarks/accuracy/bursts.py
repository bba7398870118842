"""Does the score find the best frame of a burst? Top-1 on bursts with errors of known size.

    python -m benchmarks bursts [--model dgqa-lite0] [--device cpu] [--bursts 6] [--seed 0]

A burst is one photograph as a hand would take it six times: each frame is moved by a few pixels, has sensor
noise of its own and is saved as JPEG. One frame has no error; the others have motion blur, a wrong focus, a
wrong exposure, or one of these each, in sizes that grow from hardly visible on. The errors are made in linear
light at 1,024 pixels of the longer side, so that a size means the same for every photograph. Photographs are
those of `../shared/data/photos`, and the hundred of `../shared/data/authentic/dev` that people rate best; the
model was trained on neither. A burst counts as right where its frame without an error has the highest score
(with chance: one in six). The figures, by kind of error and of photograph, go to `results/bursts.json`;
grouping by burst is offered only if top-1 over all is at least 0.8, and the exit code is 1 if it is not.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy.signal import oaconvolve

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_infer import Scorer

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
SIDE, MARGIN, FRAMES, TARGET = 1024, 24, 6, 0.8
SIZES = {
    "motion": (2.0, 4.0, 8.0, 16.0, 24.0),  # pixels of the path
    "focus": (1.0, 1.5, 2.5, 4.0, 6.0),  # pixels of the disk's radius
    "exposure": (0.5, 1.0, 1.5, 2.0, 2.5),  # stops, over or under
}
Linear = NDArray[np.float32]


def main() -> int:
    parser = new_parser(__doc__, model=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--bursts", type=int, default=6, help="of each kind and each camera photograph")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    generator = np.random.default_rng(arguments.seed)
    right: dict[str, list[bool]] = defaultdict(list)
    beaten_by: dict[str, int] = defaultdict(int)
    with Scorer(arguments.model, device=arguments.device, precision="fp32") as scorer:
        for source, photograph in photographs(arguments.bursts):
            for kind in (*SIZES, "mixed"):
                names, frames = burst(photograph, kind, generator)
                scores = [scorer.score(frame).raw for frame in frames]
                best = int(np.argmax(scores))
                for group in ("all", kind, source, f"{kind}, {source}"):
                    right[group].append(best == 0)
                if best:
                    beaten_by[names[best]] += 1
        model = scorer.model_id
    figures = {
        group: {"bursts": len(each), "top1": round(float(np.mean(each)), 4)} for group, each in right.items()
    }
    result = {
        "model": model,
        "frames": FRAMES,
        "sizes": SIZES,
        "top1": figures,
        "chosen_instead": dict(sorted(beaten_by.items())),
        "target": TARGET,
        "reached": figures["all"]["top1"] >= TARGET,
        "seed": arguments.seed,
        "machine": machine("onnxruntime"),
    }
    write_result("bursts", result)
    print(json.dumps(result, indent=1))
    return int(not result["reached"])


def photographs(repeats: int) -> Iterator[tuple[str, Linear]]:
    """The camera's photographs, each several times, and the best-rated authentic ones, in linear light."""
    for path in sorted((SHARED / "photos").glob("*.jpg")):
        linear = opened(path)
        for _ in range(repeats):
            yield "camera", linear
    with (SHARED / "authentic" / "dev_mos.csv").open(encoding="utf-8") as file:
        next(reader := csv.reader(file))
        rated = sorted(((float(row[1]), row[0]) for row in reader), reverse=True)[:100]
    for _, name in rated:
        yield "authentic", opened(SHARED / "authentic" / "dev" / name)


def opened(path: Path) -> Linear:
    """A photograph of at most so many pixels a side, linear RGB in 0–1."""
    with Image.open(path) as image:
        image.draft("RGB", (SIDE + 2 * MARGIN,) * 2)
        upright = ImageOps.exif_transpose(image).convert("RGB")
    upright.thumbnail((SIDE + 2 * MARGIN,) * 2, Image.Resampling.LANCZOS)
    encoded = np.asarray(upright, np.float32) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4).astype(
        np.float32
    )


def burst(photograph: Linear, kind: str, generator: np.random.Generator) -> tuple[list[str], list[bytes]]:
    """Names of the errors and the frames' files; the first has no error."""
    errors: list[tuple[str, float]] = [("none", 0.0)]
    for place in range(FRAMES - 1):
        name = kind if kind != "mixed" else str(generator.choice(list(SIZES)))
        errors.append((name, SIZES[name][place]))
    frames = [frame(photograph, name, size, generator) for name, size in errors]
    return [f"{name} {size:g}" for name, size in errors], frames


def frame(photograph: Linear, error: str, size: float, generator: np.random.Generator) -> bytes:
    """One frame as a file: moved, with its error, with noise, as JPEG."""
    y, x = generator.integers(0, 2 * MARGIN, 2)
    height, width = photograph.shape[:2]
    linear = photograph[y : height - 2 * MARGIN + y, x : width - 2 * MARGIN + x]
    if error != "none":
        linear = ERRORS[error](linear, size, generator)
    # Shot and read noise of a good camera at a low sensitivity.
    noisy = linear + generator.normal(0, 1, linear.shape) * np.sqrt(2e-5 * np.clip(linear, 0, 1) + 1e-6)
    clipped = np.clip(noisy, 0, 1)
    encoded = np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * clipped ** (1 / 2.4) - 0.055)
    file = io.BytesIO()
    Image.fromarray((encoded * 255).round().astype(np.uint8)).save(file, "JPEG", quality=92)
    return file.getvalue()


def motion(linear: Linear, length: float, generator: np.random.Generator) -> Linear:
    """Blur along a straight path of so many pixels, in a direction that chance gives."""
    angle = generator.uniform(0, np.pi)
    reach = int(np.ceil(length / 2))
    kernel = np.zeros((2 * reach + 1,) * 2, np.float32)
    for step in np.linspace(-length / 2, length / 2, int(8 * length) + 1):
        row, column = reach + step * np.sin(angle), reach + step * np.cos(angle)
        top, left = min(int(row), 2 * reach - 1), min(int(column), 2 * reach - 1)
        down, right = row - top, column - left
        kernel[top : top + 2, left : left + 2] += np.outer((1 - down, down), (1 - right, right))
    return blurred(linear, kernel)


def focus(linear: Linear, radius: float, generator: np.random.Generator) -> Linear:  # noqa: ARG001
    """Blur by a disk, as a lens out of focus does; its edge is smooth."""
    reach = int(np.ceil(radius))
    distance = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1])
    return blurred(linear, np.clip(radius + 0.5 - distance, 0, 1).astype(np.float32))


def exposure(linear: Linear, stops: float, generator: np.random.Generator) -> Linear:
    """Too much or too little light, as chance has it."""
    return np.asarray(linear * 2.0 ** (stops * generator.choice((-1, 1))), np.float32)


def blurred(linear: Linear, kernel: NDArray[np.float32]) -> Linear:
    rows, columns = kernel.shape[0] // 2, kernel.shape[1] // 2
    padded = np.pad(linear, ((rows, rows), (columns, columns), (0, 0)), "edge")
    mixed = oaconvolve(padded, (kernel / kernel.sum())[..., None], mode="valid", axes=(0, 1))
    return np.asarray(mixed, np.float32)


ERRORS: dict[str, Callable[[Linear, float, np.random.Generator], Linear]] = {
    "motion": motion,
    "focus": focus,
    "exposure": exposure,
}

if __name__ == "__main__":
    sys.exit(main())
