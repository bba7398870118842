"""Measure what decoding JPEGs on a GPU moves and what it saves: `dgqa-infer score --gpu-decode`.

    python -m benchmarks gpu_decoding PHOTOS [--device cuda:0] [--workers 1 2 4 8] [--model dgqa-lite0]

Every photograph's crops and raw quality, decoded there, are compared with those that are decoded on the CPU;
the model runs on the same device for both, and no label is read. What the CPU had to decode nevertheless is
counted. Then all are scored through worker processes, both ways in turns. The report goes to
`results/gpu_decoding.json`.

`--device cpu` takes nvImageCodec's own codec without a GPU, with `--name gpu_decoding_on_cpu` for the report.
It shows how far this way's pixels and scores are from the usual one's, which decodes large photographs at a
part of their size; its times would mean nothing and are not taken. On a GPU this has not been run yet.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_infer import Bundle, Scorer
from dgqa_infer.images.crops import crops
from dgqa_infer.images.decode import CPU_DECODED, decode
from dgqa_infer.images.decoders.nvjpeg import DeviceDecoder
from dgqa_infer.pipeline.pipeline import Pipeline
from dgqa_infer.results import Score

ROUNDS = 3
LEAST_PHOTOGRAPHS = 400
"""In a timed run; fewer are gone through several times."""


def main() -> int:
    parser = new_parser(__doc__, model=True)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--name", default="gpu_decoding", help="of the report in results/")
    chosen = parser.parse_args()
    found = measure(Bundle.load(chosen.model), chosen.photos, chosen.device, chosen.workers)
    versions = machine("onnxruntime", "onnxruntime-gpu", "nvidia-nvimgcodec-cu13", "nvidia-nvjpeg")
    write_result(chosen.name, {"machine": versions, **found})
    print(json.dumps(found, indent=1))
    return 0


def measure(bundle: Bundle, photos: Path, device: str, workers: Sequence[int]) -> dict[str, Any]:
    """All of it, ready for JSON; `BackendError` where the device cannot decode."""
    paths = [path for path in sorted(photos.rglob("*")) if path.suffix.lower() in (".jpg", ".jpeg")]
    with scorer(bundle, device, on_device=True) as there, scorer(bundle, device, on_device=False) as here:
        found: dict[str, Any] = {
            "model": there.model_id,
            "runs_on": f"{there.backend} {there.device}",
            "decoded_on": there.jpeg_device,
            **drift(there, here, paths),
        }
        if device != "cpu":
            found["photographs_per_second"] = [rates(there, here, paths, count) for count in workers]
    return found


def scorer(bundle: Bundle, device: str, *, on_device: bool) -> Scorer:
    """One that decodes on the device, or one that does not."""
    if device != "cpu":
        return Scorer(bundle, device=device, decoding="gpu" if on_device else "model")
    made = Scorer(bundle, device=device, threads=1)
    if on_device:
        made.jpeg_device, made.bundle = "cpu", made.bundle.with_gpu_decoding()
    return made


def drift(there: Scorer, here: Scorer, paths: Sequence[Path]) -> dict[str, Any]:
    """How far crops, in levels, and raw quality are from the CPU's; of those that were decoded there."""
    assert there.jpeg_device is not None
    way = there.bundle.card.preprocessing
    decoder = DeviceDecoder(there.jpeg_device, way)
    off, raws, took = [], [], []
    by_cpu = 0
    for path in paths:
        began = time.perf_counter()
        photograph = decode(path, on_device=decoder)
        one = crops(photograph.pixels, way, photograph.box)[0]
        between = time.perf_counter()
        plain = decode(path)
        other = crops(plain.pixels, here.bundle.card.preprocessing)[0]
        if CPU_DECODED in photograph.warnings:
            by_cpu += 1
            continue
        took.append([between - began, time.perf_counter() - between])
        levels = np.abs(one.astype(np.int16) - other)
        off.append([levels.max(), levels.mean(), (levels > 0).mean(), (levels > 1).mean()])
        raws.append([there.infer(one)[0].raw, here.infer(other)[0].raw])
    found: dict[str, Any] = {"jpegs": len(paths), "decoded_by_the_cpu": by_cpu}
    if not raws:
        return found
    values = np.array(raws)
    moved = values[:, 0] - values[:, 1]
    most, mean, differing, by_more = np.array(off).T
    tolerance = there.bundle.card.tolerances["fp16"]
    found["crops"] = {
        "most_levels": int(most.max()),
        "mean_levels": float(f"{mean.mean():.3g}"),
        "share_that_differs": float(f"{differing.mean():.3g}"),
        "share_that_differs_in_the_worst": float(f"{differing.max():.3g}"),
        "share_by_more_than_a_level": float(f"{by_more.mean():.3g}"),
    }
    found["raw"] = {
        "mean": round(float(np.abs(moved).mean()), 5),
        "bias": round(float(moved.mean()), 5),
        "max": round(float(np.abs(moved).max()), 5),
        "srcc": round(float(spearmanr(*values.T).statistic), 5) if len(values) > 2 else None,
        "tolerance_fp16": tolerance,
        "within_tolerance": bool(np.abs(moved).max() <= tolerance),
    }
    if there.jpeg_device != "cpu":
        ours, cpus = 1000 * np.median(np.array(took), axis=0)
        found["milliseconds_to_crops"] = {"there": round(float(ours), 2), "cpu": round(float(cpus), 2)}
    return found


def rates(there: Scorer, here: Scorer, paths: Sequence[Path], workers: int) -> dict[str, Any]:
    """Photographs a second from files to scores, both ways in turns; the median of some rounds."""
    many = [str(path) for path in paths] * -(-LEAST_PHOTOGRAPHS // len(paths))
    found: dict[str, list[float]] = {"there": [], "cpu": []}
    with Pipeline(there, workers=workers) as ours, Pipeline(here, workers=workers) as cpus:
        for number in range(ROUNDS + 1):
            for name, pipeline in (("there", ours), ("cpu", cpus)):
                began = time.perf_counter()
                scored = sum(isinstance(outcome.result, Score) for outcome in pipeline.run(many))
                # The first round starts the processes.
                if number:
                    found[name].append(scored / (time.perf_counter() - began))
    return {"workers": workers} | {name: round(float(np.median(each)), 1) for name, each in found.items()}


if __name__ == "__main__":
    sys.exit(main())
