"""Measure how far the standard preprocessing moves scores from those of full decoding, and what it saves.

    python -m benchmarks scaled_decoding SMALL LARGE [--windows 3] [--model dgqa-lite0]

SMALL holds photographs of about the model's own size, LARGE those of cameras. Every photograph is scored as
version 2.0.0 of the built-in model was, decoded at its full size and shrunk by Pillow, and as the standard
preprocessing has it. So are windows of the large ones, just large enough to be decoded at a half, written as
JPEG anew: photographs of that size lose most. No label is read. The drift of the scores and the time of one
core go to `results/scaled_decoding.json`.
"""

from __future__ import annotations

import io
import json
import statistics
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import spearmanr

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_infer import Scorer
from dgqa_infer.bundle.preprocessing import FULL, SIMD, STANDARD, Preprocessing
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.images.crops import crops
from dgqa_infer.images.decode import decode

ASPECT = 4 / 3
ROUNDS = 3


def main() -> None:
    parser = new_parser(__doc__, model=True)
    parser.add_argument("small", type=Path)
    parser.add_argument("large", type=Path)
    parser.add_argument("--windows", type=int, default=3)
    arguments = parser.parse_args()

    large = [path.read_bytes() for path in sorted(arguments.large.iterdir())]
    with Scorer(arguments.model, device="cpu", precision="fp32", threads=1) as scorer:
        smallest = 2 * (STANDARD.decoded_side or 0)
        sets: dict[str, Iterable[bytes]] = {
            "small": (path.read_bytes() for path in sorted(arguments.small.iterdir())),
            "large": large,
            f"windows of {smallest} pixels": windows(large, arguments.windows, smallest),
        }
        ways = {
            "standard": STANDARD,
            "the resizer alone": replace(FULL, resizer=SIMD),
            # What decoding at no more than the short side that is needed would cost.
            "decoded at 512": replace(STANDARD, decoded_side=FULL.short_side),
        }
        tolerance = scorer.bundle.card.tolerances["fp16"]
        drifts = {name: drift(scorer, ways, photographs) for name, photographs in sets.items()}
        worst = max(found["standard"]["raw"]["max"] for found in drifts.values())
        result = {
            "model": scorer.model_id,
            "preprocessing": {
                "full": FULL.as_card(),
                **{name: way.as_card() for name, way in ways.items()},
            },
            "drift": drifts,
            "tolerance_fp16": tolerance,
            "within_tolerance": worst <= tolerance,
            "milliseconds_of_one_core_for_a_large_photograph": saved(large, {"full": FULL, **ways}),
            "machine": machine("onnxruntime", "simplejpeg", "cykooz.resizer"),
        }
    write_result("scaled_decoding", result)
    print(json.dumps(result, indent=1))


def windows(photographs: list[bytes], count: int, short: int) -> Iterator[bytes]:
    """Parts of large photographs, upright, as a camera would have written them."""
    generator = np.random.default_rng(0)
    for data in photographs:
        pixels = decode(data).pixels
        sides = round(short * ASPECT), short
        width, height = sides if pixels.shape[1] > pixels.shape[0] else sides[::-1]
        for _ in range(count):
            left = int(generator.integers(max(1, pixels.shape[1] - width)))
            top = int(generator.integers(max(1, pixels.shape[0] - height)))
            part = Image.fromarray(pixels[top : top + height, left : left + width])
            file = io.BytesIO()
            part.save(file, "JPEG", quality=93, subsampling="4:2:0")
            yield file.getvalue()


def drift(scorer: Scorer, ways: dict[str, Preprocessing], photographs: Iterable[bytes]) -> dict[str, Any]:
    """Quality and score one way less those of full decoding: mean and largest size, and the order."""
    calibration = scorer.bundle.card.calibration
    raws = []
    decoded_smaller = 0
    for data in photographs:
        stacks = [prepared(data, way) for way in (FULL, *ways.values())]
        raw = scorer.infer(stacks[0])[0].raw
        # A photograph that is not large has the very same crops.
        others = (
            raw if np.array_equal(each, stacks[0]) else scorer.infer(each)[0].raw for each in stacks[1:]
        )
        raws.append([raw, *others])
        decoded_smaller += decode(data, short_side=STANDARD.decoded_side).box is not None
    values = np.array(raws)
    scores = np.vectorize(calibration)(values)
    found: dict[str, Any] = {"photographs": len(values), "decoded_at_a_part": decoded_smaller}
    for column, name in enumerate(ways, 1):
        found[name] = {
            "raw": moved(values[:, column] - values[:, 0]),
            "score": moved(scores[:, column] - scores[:, 0]),
            "srcc": round(float(spearmanr(values[:, column], values[:, 0]).statistic), 5),
        }
    return found


def moved(differences: NDArray[np.float64]) -> dict[str, float]:
    sizes = np.abs(differences)
    found = {"mean": sizes.mean(), "bias": differences.mean(), "max": sizes.max()}
    return {name: round(float(value), 5) for name, value in found.items()}


def prepared(data: bytes, way: Preprocessing) -> Pixels:
    """A file's crops, one way or the other."""
    photograph = decode(data, short_side=way.decoded_side)
    return crops(photograph.pixels, way, photograph.box)[0]


def saved(photographs: list[bytes], ways: dict[str, Preprocessing]) -> dict[str, dict[str, float]]:
    """The processor's time for decoding and for crops: the fastest of some rounds, the mean over files."""
    found: dict[str, dict[str, list[float]]] = {name: {"decode": [], "crops": []} for name in ways}
    for data in photographs:
        best = {name: [float("inf")] * 2 for name in ways}
        for _ in range(ROUNDS):
            for name, way in ways.items():
                began = time.thread_time()
                photograph = decode(data, short_side=way.decoded_side)
                between = time.thread_time()
                crops(photograph.pixels, way, photograph.box)
                took = between - began, time.thread_time() - between
                best[name] = [min(pair) for pair in zip(best[name], took, strict=True)]
        for name, (decoding, cutting) in best.items():
            found[name]["decode"].append(1000 * decoding)
            found[name]["crops"].append(1000 * cutting)
    return {
        name: {part: round(statistics.mean(times), 1) for part, times in parts.items()}
        for name, parts in found.items()
    }


if __name__ == "__main__":
    main()
