"""Measure how a run's cost grows with its files, their size and the workers; work out larger machines.

    python -m benchmarks scaling PHOTOGRAPH SMALL [--files 100 10000 100000] [--seconds 6] [--rounds 6]

PHOTOGRAPH is one of a camera; resized, it becomes files of 0.2 to 50 MP. SMALL holds small photographs.
Files: so many times one tiny photograph goes through workers and pipeline, with a model that does nothing;
time a file and memory on the way. Sizes: milliseconds of one core for each part. Workers: photographs a
second with one worker and with one a core, by the threads of the model. The figures, and what follows from
them for many cores and GPUs (`scaling_model.py`), go to `results/scaling.json`.
"""

from __future__ import annotations

import json
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from benchmarks.speed.scaling_model import Parts, on_cores, on_gpus
from dgqa_infer import Bundle, Scorer
from dgqa_infer.bench.intervals import median
from dgqa_infer.bench.processes import memory_mb, tree
from dgqa_infer.bench.rounds import Effort, Way, rates
from dgqa_infer.bench.whole import parts
from dgqa_infer.images.decode import decode
from dgqa_infer.pipeline.crops import CropsPredictor
from dgqa_infer.pipeline.pipeline import Pipeline
from dgqa_infer.results import Score
from dgqa_infer.system import cores

MEGAPIXELS = (0.2, 1, 4, 12, 24, 50)
READINGS = 5
BATCH = 8
# What one GPU infers is not measured here: the model of larger machines takes what it is told.
GPU_RATES = (2_000, 10_000)


def main() -> None:
    parser = new_parser(__doc__, model=True)
    parser.add_argument("photograph", type=Path)
    parser.add_argument("small", type=Path)
    parser.add_argument("--files", type=int, nargs="+", default=[100, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=6)
    arguments = parser.parse_args()

    bundle = Bundle.load(arguments.model)
    effort = Effort(arguments.rounds, arguments.seconds)
    small = sorted(str(path) for path in arguments.small.iterdir())[:64]
    with tempfile.TemporaryDirectory() as scratch:
        photographs = dict(resized(arguments.photograph, Path(scratch)))
        tiny = str(photographs[MEGAPIXELS[0]])
        grown = [growth(bundle, tiny, count) for count in arguments.files]
        sizes = {f"{size:g}": cost(bundle, str(path), effort) for size, path in photographs.items()}
        divisions = {
            "small": division(bundle, small, effort),
            "12 MP": division(bundle, [str(photographs[12])] * BATCH, effort),
        }
    measured = Parts(**sizes["12"], parent=grown[-1]["parent_milliseconds_a_file"])
    result = {
        "files": grown,
        "milliseconds_by_megapixels": sizes,
        "photographs_per_second_by_workers_and_threads": divisions,
        "larger_machines_at_12_mp": {"cores": on_cores(measured), "gpus": on_gpus(measured, GPU_RATES)},
        "machine": machine("onnxruntime", "simplejpeg", "cykooz.resizer"),
    }
    write_result("scaling", result)
    print(json.dumps(result, indent=1))


def resized(photograph: Path, folder: Path) -> Iterator[tuple[float, Path]]:
    """The photograph in every size, as JPEG."""
    picture = Image.fromarray(decode(photograph).pixels)
    for size in MEGAPIXELS:
        factor = (size * 1e6 / (picture.width * picture.height)) ** 0.5
        path = folder / f"{size:g}.jpg"
        shape = (round(picture.width * factor), round(picture.height * factor))
        picture.resize(shape, Image.Resampling.BICUBIC).save(path, quality=92, subsampling="4:2:0")
        yield size, path


def growth(bundle: Bundle, path: str, count: int) -> dict[str, Any]:
    """Time a file, the parent's own part of it, and the memory of all processes on the way."""
    readings = []
    own = own_seconds()
    began = time.perf_counter()
    with Pipeline(CropsPredictor(bundle.card.preprocessing, bundle.model_id, batch_size=BATCH)) as pipeline:
        for number, _ in enumerate(pipeline.run(repeat(path, count)), 1):
            if number % (count // READINGS) == 0:
                readings.append(round(sum(map(memory_mb, tree(os.getpid()))), 1))
        seconds = time.perf_counter() - began
    return {
        "files": count,
        "milliseconds_a_file": round(1000 * seconds / count, 4),
        "parent_milliseconds_a_file": round(1000 * (own_seconds() - own) / count, 4),
        "memory_mb": readings,
    }


def own_seconds() -> float:
    """What this process has taken of the processor."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def cost(bundle: Bundle, path: str, effort: Effort) -> dict[str, float]:
    """Milliseconds of each part for one photograph, the model on one thread."""
    with Scorer(bundle, device="cpu", threads=1, batch_size=BATCH) as scorer:
        found = parts([path], scorer, effort)
        return {figure.subject: round(figure.value, 3) for figure in found}


def counted(pipeline: Pipeline[Score], paths: list[str]) -> int:
    """How many photographs come out of a pipeline."""
    return sum(1 for _ in pipeline.run(paths))


def division(bundle: Bundle, paths: list[str], effort: Effort) -> list[dict[str, Any]]:
    """Photographs a second of each number of workers with each number of threads, in turns."""
    counts = sorted({1, cores()})
    ways: dict[str, Way] = {}
    with ExitStack() as stack:
        for threads in counts:
            scorer = stack.enter_context(Scorer(bundle, device="cpu", threads=threads, batch_size=BATCH))
            for workers in counts:
                pipeline = stack.enter_context(Pipeline(scorer, workers=workers))
                ways[f"{workers} {threads}"] = partial(counted, pipeline, paths)
        found = rates(ways, effort)
    rows = []
    for name, each in found.items():
        workers_, threads_ = map(int, name.split())
        value, low, high = (round(number, 3) for number in median(each))
        rows.append({"workers": workers_, "threads": threads_, "rate": value, "interval": [low, high]})
    return rows


if __name__ == "__main__":
    main()
