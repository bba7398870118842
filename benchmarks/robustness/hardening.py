"""Measure what it costs that a file cannot harm a run, and that memory does not grow.

    python -m benchmarks hardening FOLDER [--rounds 3] [--times 4] [--inputs 100000] [--model dgqa-lite0]

The photographs in FOLDER are scored --times over by the pipeline and by the plain way: a pool of as many
processes that decode and cut, handing crops over by pickling, without limits, time-outs or replacement. The
two take turns. Then so many --inputs go through workers, pipeline and log, with a model that does nothing,
and memory is read on the way. The figures go to `results/hardening.json`.
"""

from __future__ import annotations

import json
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_infer import Bundle, DecodeLimits, Scorer
from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.images.crops import crops
from dgqa_infer.images.decode import decode
from dgqa_infer.outputs.recovery import RecoveryLog
from dgqa_infer.pipeline.pipeline import Pipeline
from dgqa_infer.pipeline.predictor import Photo
from dgqa_infer.results import Score

WORKERS = 2
READINGS = 10
PEAKS: list[float] = []


def main() -> None:
    parser = new_parser(__doc__, model=True)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--times", type=int, default=4)
    parser.add_argument("--inputs", type=int, default=100_000)
    arguments = parser.parse_args()
    files = sorted(str(path) for path in arguments.folder.iterdir()) * arguments.times
    result = {
        "photographs": len(files),
        "workers": WORKERS,
        **throughput(files, arguments.model, arguments.rounds),
        "growth": growth(arguments.inputs, Bundle.load(arguments.model)),
        "machine": machine("onnxruntime", "simplejpeg"),
    }
    write_result("hardening", result)
    print(json.dumps(result, indent=1))


def throughput(files: list[str], model: str, rounds: int) -> dict[str, Any]:
    """Images a second of both ways, interleaved, and how large the pipeline's processes became."""
    wall: dict[str, list[float]] = {"plain": [], "pipeline": []}
    processor: dict[str, list[float]] = {"plain": [], "pipeline": []}
    with Scorer(model, device="cpu") as scorer:
        scorer.infer(np.zeros((5 * scorer.batch_size, 224, 224, 3), np.uint8))
        ways = {"plain": partial(plain, scorer, files), "pipeline": partial(hardened, scorer, files)}
        for _ in range(rounds):
            for name, way in ways.items():
                seconds, processor_seconds = timed(way)
                wall[name].append(len(files) / seconds)
                processor[name].append(processor_seconds / len(files))
    return {
        "images_per_second": {name: round(statistics.median(each), 2) for name, each in wall.items()},
        "processor_seconds_per_image": {
            name: round(statistics.median(each), 4) for name, each in processor.items()
        },
        "peak_mb_of_workers": PEAKS,
    }


def plain(scorer: Scorer, files: list[str]) -> None:
    """What one would write first."""
    prepare = partial(prepared, preprocessing=scorer.bundle.card.preprocessing)
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        stacks = pool.map(prepare, files)
        while batch := list(islice(stacks, scorer.batch_size)):
            scorer.infer(np.concatenate(batch))


def prepared(path: str, preprocessing: Preprocessing) -> Pixels:
    """Decode and cut, in a process of the pool."""
    return crops(decode(path).pixels, preprocessing)[0]


def hardened(scorer: Scorer, files: list[str]) -> None:
    """The pipeline."""
    with Pipeline(scorer, workers=WORKERS) as pipeline:
        for number, _ in enumerate(pipeline.run(files), 1):
            if number == len(files):
                PEAKS[:] = [peak_mb(process) for process in pipeline.processes]


def timed(way: Callable[[], None]) -> tuple[float, float]:
    """Seconds by the clock, and of the processor by this process and those that it started."""
    before, began = processor_seconds(), time.perf_counter()
    way()
    return time.perf_counter() - began, processor_seconds() - before


def processor_seconds() -> float:
    """Of this process and of its children that have ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


class Nothing:
    """A predictor that does nothing, so that all else can be measured."""

    model_id = "nothing@00000000"

    def __init__(self, bundle: Bundle) -> None:
        self.preprocessing = bundle.card.preprocessing
        self.limits = DecodeLimits()
        self.strict = self.measure = False
        self.jpeg_device: str | None = None
        self.batch_size = 8
        self.memory_bytes = 0

    def predict(self, _: Pixels, photos: Sequence[Photo], /) -> list[Score]:
        """A score of no meaning for each."""
        return [
            Score(photo.path, 5.0, 5.0, 0.0, photo.width, photo.height, photo.warnings, self.model_id)
            for photo in photos
        ]


def growth(inputs: int, bundle: Bundle) -> dict[str, Any]:
    """Memory of this process and of its workers while many inputs go by."""
    readings = []
    with tempfile.TemporaryDirectory() as scratch:
        photo = Path(scratch) / "photo.jpg"
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)).save(photo)
        with (
            Pipeline(Nothing(bundle), workers=WORKERS) as pipeline,
            RecoveryLog(Path(scratch) / "rows.jsonl", resume=False) as log,
        ):
            began = time.perf_counter()
            for number, outcome in enumerate(pipeline.run(str(photo) for _ in range(inputs)), 1):
                log.write(outcome.row() | {"path": f"{photo}/{number}"})
                if number % (inputs // READINGS) == 0:
                    workers = pipeline.processes
                    readings.append(
                        {
                            "inputs": number,
                            "parent_mb": resident_mb(),
                            "workers_mb": [*map(resident_mb, workers)],
                        }
                    )
            seconds = time.perf_counter() - began
    return {"inputs_per_second": round(inputs / seconds, 1), "readings": readings}


def peak_mb(process: int) -> float:
    """The most memory that a process has held."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(round(int(line.split()[1]) * 1024 / 1e6, 1) for line in lines if line.startswith("VmHWM"))


def resident_mb(process: int | str = "self") -> float:
    """Memory that a process holds at this moment."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return round(pages * resource.getpagesize() / 1e6, 1)


if __name__ == "__main__":
    main()
