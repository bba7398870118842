"""What a cluster costs against the plain pipeline, what a second worker brings, what follows for large ones.

    python -m benchmarks cluster PHOTOGRAPHS [--photographs 96] [--rounds 3] [--cores N]

PHOTOGRAPHS is a folder; links to its files make as many as are needed. Each way is run with some photographs
and with twice as many, in turns: the difference is what a photograph costs in a long run, the rest is what
starting costs. All on this machine, with a Ray of its own. Simulated are 10^6, 10^8 and 10^9 photographs on
clusters with and without GPUs (`cluster_model.py`). Figures go to `results/cluster.json`, the picture to
`docs/pictures/cluster.png`; `--simulate` works both out again from the figures of an earlier run.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.cluster.cluster_model import Assumed, Cluster, Measured, drivers, limits, simulate
from benchmarks.cluster.cluster_picture import draw
from benchmarks.machine import RESULTS, machine, write_result
from benchmarks.options import new_parser
from benchmarks.speed.scaling import own_seconds
from dgqa_infer import Bundle, Scorer
from dgqa_infer.bench.intervals import median
from dgqa_infer.bench.rounds import Effort
from dgqa_infer.bench.whole import parts
from dgqa_infer.inputs.finder import InputFinder
from dgqa_infer.options import ScoringOptions
from dgqa_infer.outputs import open_sink
from dgqa_infer.pipeline.crops import CropsPredictor
from dgqa_infer.pipeline.pipeline import Pipeline
from dgqa_infer.ray import score_dataset
from dgqa_infer.ray.connection import LOCAL, connected
from dgqa_infer.ray.destination import Destination
from dgqa_infer.ray.plan import LARGEST, make_plan
from dgqa_infer.ray.resources import Resources
from dgqa_infer.ray.run import score_partitions
from dgqa_infer.ray.settings import Settings
from dgqa_infer.results import Score
from dgqa_infer.system import cores

PHOTOGRAPHS = (10**6, 10**8, 10**9)
NODES = (1, 3, 10, 30, 100, 300, 1000)
GPUS = (0, 1)
PARTITIONS = 8
TINY = 1_000
ROWS = 20_000
FEW, MANY = 10, 90

Way = Callable[[int], float]
"""Scores so many photographs, and says how many seconds it took."""


def main() -> None:
    parser = new_parser(__doc__, model=True)
    parser.add_argument("photographs_in", metavar="PHOTOGRAPHS", type=Path)
    parser.add_argument("--photographs", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=cores())
    parser.add_argument("--simulate", action="store_true")
    arguments = parser.parse_args()

    if arguments.simulate:
        result = json.loads((RESULTS / "cluster.json").read_text(encoding="utf-8"))
    else:
        result = measured(arguments)
    result["simulated"] = simulated(Measured(**result["parts"]))
    write_result("cluster", result)
    draw(result)
    print(json.dumps(result, indent=1))


def measured(arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything that is measured here."""
    # As the plain pipeline's processes; Ray's own are nicer.
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 (its name)
    settings = Settings.of(Bundle.load(arguments.model), ScoringOptions(device="cpu"))
    with tempfile.TemporaryDirectory() as scratch, connected(LOCAL, progress=False):
        bench = Bench(settings, arguments.photographs_in, Path(scratch), arguments.cores)
        found = {
            "against_plain": bench.turns(
                {"plain": bench.plain, "cluster": bench.clustered(arguments.cores, 1)}, arguments
            ),
            "workers": bench.turns(
                {"1 worker": bench.clustered(1, 1), "2 workers": bench.clustered(1, 2)}, arguments
            ),
            "stages": bench.turns(
                {"one stage": bench.dataset(False), "two stages": bench.dataset(True)}, arguments
            ),
        }
        start = found["against_plain"]["cluster"]["seconds_to_start"]["value"]
        return {
            **found,
            "overhead": ratio(found["against_plain"], "cluster", "plain"),
            "second_worker": ratio(found["workers"], "1 worker", "2 workers"),
            "two_stages": ratio(found["stages"], "two stages", "one stage"),
            "parts": bench.parts(start),
            "photographs": arguments.photographs,
            "cores": arguments.cores,
            "machine": machine("onnxruntime", "simplejpeg", "ray", "pyarrow"),
        }


def ratio(found: dict[str, Any], one: str, other: str) -> dict[str, Any]:
    """Seconds of one way for those of the other, in each round: the median and its interval."""
    pairs = zip(found[one]["each"], found[other]["each"], strict=True)
    value, low, high = median([a / b for a, b in pairs])
    return {"value": round(value, 4), "interval": [round(low, 4), round(high, 4)]}


class Bench:
    """Photographs, and ways to score them."""

    def __init__(self, settings: Settings, photographs: Path, scratch: Path, cores: int) -> None:
        self.settings = settings
        self.cores = cores
        self._scratch = scratch
        self._numbers = count()
        self._found = [found for found in InputFinder().find([str(photographs)]) if isinstance(found, str)]
        self.spreads: list[float] = []

    def turns(self, ways: dict[str, Way], arguments: argparse.Namespace) -> dict[str, Any]:
        """Seconds of a photograph in a long run, and of starting, for each way."""
        few = arguments.photographs
        each: dict[str, list[float]] = {name: [] for name in ways}
        starts: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(arguments.rounds):
            for name, way in ways.items():
                short, long = way(few), way(2 * few)
                each[name].append((long - short) / few)
                starts[name].append(2 * short - long)
        return {
            name: {
                "photographs_per_second": interval([1 / value for value in each[name]]),
                "seconds_to_start": interval(starts[name]),
                "each": [round(value, 6) for value in each[name]],
            }
            for name in ways
        }

    def plain(self, photographs: int) -> float:
        """The pipeline of one machine."""
        folder, rows = self.links(photographs), self._scratch / "rows.parquet"
        with self.settings.on(self.cores, 1).open() as (_, pipeline), rows.open("wb") as file:
            began = time.perf_counter()
            with open_sink("parquet", file) as sink:
                for outcome in pipeline.run(InputFinder().find([str(folder)])):
                    sink.write(outcome.row())
            return time.perf_counter() - began

    def clustered(self, cores: int, actors: int) -> Way:
        """`score-cluster`, from the plan to the last report."""

        def way(photographs: int) -> float:
            folder = self.links(photographs)
            destination = self.fresh()
            began = time.perf_counter()
            largest = math.ceil(photographs / (PARTITIONS * actors))
            plan = make_plan([str(folder)], InputFinder(), destination, actors=actors, largest=largest)
            resources = Resources(cores, 0, actors, actors)
            done = list(
                score_partitions(
                    list(plan.partitions), destination, "parquet", self.settings, resources, str(Path.cwd())
                )
            )
            seconds = time.perf_counter() - began
            if sum(report.rows for report in done) != photographs:
                raise RuntimeError(f"{photographs} photographs, and not as many rows")
            took = [report.seconds / report.rows for report in done if report.rows == largest]
            self.spreads.append(statistics.stdev(map(math.log, took)))
            return seconds

        return way

    def dataset(self, separate: bool) -> Way:
        """`score_dataset` on paths."""

        def way(photographs: int) -> float:
            import ray

            rows = [{"path": str(path)} for path in self.links(photographs).glob("*.*")]
            began = time.perf_counter()
            scored = score_dataset(
                ray.data.from_items(rows, override_num_blocks=PARTITIONS),
                model=self.bundle(),
                device="cpu",
                cpus=self.cores,
                separate_decoding=separate,
            )
            if sum(1 for _ in scored.iter_rows()) != photographs:
                raise RuntimeError(f"{photographs} photographs, and not as many rows")
            return time.perf_counter() - began

        return way

    def parts(self, start: float) -> dict[str, float]:
        """`Measured`, as a mapping."""
        effort = Effort(3, 0)
        sample = self._found[:16]
        with Scorer(self.bundle(), device="cpu", threads=1) as scorer:
            found = {each.subject: each.value / 1000 for each in parts(sample, scorer, effort)}
        named = Measured(
            **found,
            parent=self._parent_seconds(),
            write=self._write_seconds(),
            partition=self._partition_seconds(),
            start=start,
            spread=statistics.median(self.spreads),
            bytes=statistics.fmean(Path(path).stat().st_size for path in self._found),
        )
        rounded = {name: float(f"{value:.4g}") for name, value in asdict(named).items()}
        return rounded

    def bundle(self) -> Bundle:
        """The model."""
        kept = self._scratch / "model"
        if not kept.exists():
            kept.mkdir()
            for name, data in self.settings.files.items():
                (kept / name).write_bytes(data)
        return Bundle.load(kept)

    def links(self, photographs: int) -> Path:
        """A folder with so many names of photographs."""
        folder = self._scratch / f"{photographs}"
        if not folder.exists():
            folder.mkdir()
            for number in range(photographs):
                near = self._near(number % len(self._found))
                (folder / f"{number:06d}{near.suffix}").hardlink_to(near)
        return folder

    def fresh(self) -> Destination:
        """A destination that nobody has."""
        return Destination(str(self._scratch / f"rows-{next(self._numbers)}"))

    def _near(self, number: int) -> Path:
        """A copy of a photograph on the file system where links are made."""
        original = Path(self._found[number])
        near = self._scratch / "originals" / f"{number}{original.suffix}"
        near.parent.mkdir(exist_ok=True)
        if not near.exists():
            near.write_bytes(original.read_bytes())
        return near

    def _parent_seconds(self) -> float:
        tiny = self._scratch / "tiny.jpg"
        Image.new("RGB", (64, 64)).save(tiny)
        bundle = self.bundle()
        nothing = CropsPredictor(bundle.card.preprocessing, bundle.model_id)
        with Pipeline(nothing, workers=1) as pipeline:
            sum(1 for _ in pipeline.run([str(tiny)] * 100))
            began = own_seconds()
            sum(1 for _ in pipeline.run([str(tiny)] * TINY))
            return (own_seconds() - began) / TINY

    def _write_seconds(self) -> float:
        name, model = "s3://bucket/folder/photograph.jpg", "dgqa-lite0@00000000"
        row = Score(name, 61.8, 6.31, 0.42, 4000, 3000, (), model).row()
        began = time.perf_counter()
        with open_sink("parquet", BytesIO()) as sink:
            for _ in range(ROWS):
                sink.write(row)
        return (time.perf_counter() - began) / ROWS

    def _partition_seconds(self) -> float:
        """Of partitions that hold one name of nothing: what is left is what a partition costs."""

        def seconds(partitions: int) -> float:
            destination = self.fresh()
            names = [f"{self._scratch}/gone-{number}" for number in range(partitions)]
            plan = make_plan(names, InputFinder(), destination, actors=1, largest=1)
            began = time.perf_counter()
            todo = list(plan.partitions)
            for _ in score_partitions(
                todo, destination, "parquet", self.settings, Resources(self.cores, 0, 1, 1), str(Path.cwd())
            ):
                pass
            return time.perf_counter() - began

        return (seconds(FEW + MANY) - seconds(FEW)) / MANY


def interval(values: list[float]) -> dict[str, Any]:
    """The median and its interval."""
    value, low, high = median(values)
    return {"value": round(value, 3), "interval": [round(low, 3), round(high, 3)]}


def simulated(measured: Measured) -> dict[str, Any]:
    """The same photographs on clusters of many sizes."""
    assumed = Assumed()
    runs = [
        simulate(measured, assumed, Cluster(nodes, gpus), photographs, LARGEST)
        for gpus in GPUS
        for photographs in PHOTOGRAPHS
        for nodes in NODES
    ]
    ceilings = {
        f"{gpus} GPU": {
            name: round(rate, 1)
            for name, rate in limits(measured, assumed, Cluster(1, gpus), LARGEST).items()
        }
        for gpus in GPUS
    }
    return {
        "assumed": asdict(assumed),
        "core_seconds_of_a_photograph": {
            "without a GPU": drivers(measured, False),
            "with": drivers(measured, True),
        },
        "photographs_per_second_that_each_allows_one_node": ceilings,
        "runs": runs,
    }


if __name__ == "__main__":
    main()
