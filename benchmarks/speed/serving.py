"""Measure `serve` under load: requests a second and their latency, against the pipeline alone.

    python -m benchmarks serving PHOTOGRAPHS [--clients 1 8 64] [--rounds 6]

One service and one pipeline, with the same model, device, workers and batch size, score the same photographs
from memory, each once in a turn. They take turns, so that what else the machine does falls on both alike; the
pipeline has one before and one after the service's. Each client sends one photograph after the other over a
connection that it keeps; the clients have no cores of their own. The ratio is that of a round's turns, its
median over the rounds; the time of processors, of all processes of either, is what a shared machine changes
least. Figures go to `results/serving.json`; those of the most clients are held to the target.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import subprocess
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_infer import Scorer, system
from dgqa_infer.bench.intervals import median, quantile
from dgqa_infer.bench.processes import PROGRAM, tree
from dgqa_infer.inputs.files import Encoded
from dgqa_infer.pipeline.pipeline import Pipeline
from dgqa_infer.results import Score

WANTED = 0.85
MOST = 64


@dataclass(slots=True)
class Turns:
    """What a number of clients saw.

    Attributes:
        rates: requests a second, in each round.
        ratios: the same, as a share of what the pipeline did in that round.
        seconds: of each request.
        processor: milliseconds of processors that a photograph took, in each round.
    """

    rates: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """Ready for JSON."""
        p50, p99 = (quantile(self.seconds, q) for q in (0.5, 0.99))
        return {
            "requests_per_second": spread(self.rates),
            "of_the_pipeline_alone": spread(self.ratios),
            "p50_ms": p50 and round(1000 * p50[0], 1),
            "p99_ms": p99 and round(1000 * p99[0], 1),
            "requests": len(self.seconds),
            "processor_ms": spread(self.processor),
        }


def main() -> None:
    parser = new_parser(__doc__, model=True)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--rounds", type=int, default=6)
    arguments = parser.parse_args()

    photographs = [path.read_bytes() for path in sorted(arguments.photographs.iterdir())[:MOST]]
    load = system.load()
    alone, cost = [], []
    turns = {count: Turns() for count in arguments.clients}
    with (
        service(arguments.model, max(arguments.clients)) as (pid, port),
        Scorer(arguments.model, device="cpu") as scorer,
        Pipeline(scorer) as pipeline,
    ):
        for number in range(arguments.rounds + 1):
            before, own = by_pipeline(pipeline, photographs)
            found = {count: by_clients(pid, port, photographs, count) for count in turns}
            after, _ = by_pipeline(pipeline, photographs)
            if number == 0:
                # Everything has been used once by now.
                continue
            alone.append((before + after) / 2)
            cost.append(own)
            for count, (served, seconds, processor) in found.items():
                turns[count].rates.append(served)
                turns[count].ratios.append(served / alone[-1])
                turns[count].seconds += seconds
                turns[count].processor.append(processor)
    reached = round(median(turns[max(turns)].ratios)[0], 3)
    result = {
        "photographs": len(photographs),
        "mean_kb": round(sum(map(len, photographs)) / len(photographs) / 1000, 1),
        "pipeline_alone": {"per_second": spread(alone), "processor_ms": spread(cost)},
        "clients": {str(count): turn.figures() for count, turn in turns.items()},
        "target": {"of_the_pipeline_alone": WANTED, "reached": reached, "met": reached >= WANTED},
        "rounds": arguments.rounds,
        "processes_at_work_before": round(load, 2),
        "machine_was_shared": load > 1,
        "machine": machine("onnxruntime", "starlette", "uvicorn"),
    }
    write_result("serving", result)
    print(json.dumps(result, indent=1))


def spread(values: list[float]) -> dict[str, Any]:
    """The median over the rounds, and the interval around it."""
    value, low, high = (round(number, 3) for number in median(values))
    return {"median": value, "interval": [low, high]}


@contextlib.contextmanager
def service(model: str, clients: int) -> Iterator[tuple[int, int]]:
    """A service with room for so many clients; its process and its port."""
    options = ["--model", model, "--device", "cpu", "--port", "0", "--queue", str(2 * clients)]
    with subprocess.Popen([*PROGRAM, "serve", *options], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            if (found := re.search(r":(\d+) \(", line)) is None:
                raise RuntimeError(line + process.stderr.read())
            yield process.pid, int(found[1])
        finally:
            process.terminate()


def processor_seconds(process: int) -> float:
    """What a process and all that it has started have taken of processors, as far as Linux tells."""
    ticks = 0
    for pid in tree(process):
        # Fields 14 and 15 of proc(5), counted behind the program's name, which may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def by_pipeline(pipeline: Pipeline[Score], photographs: list[bytes]) -> tuple[float, float]:
    """Photographs a second, when the pipeline scores each of them once, and milliseconds of processors."""
    began, taken = time.perf_counter(), processor_seconds(os.getpid())
    outcomes = list(pipeline.run(map(Encoded, photographs)))
    passed, taken = time.perf_counter() - began, processor_seconds(os.getpid()) - taken
    if not all(isinstance(outcome.result, Score) for outcome in outcomes):
        raise SystemExit("a photograph has no score: leave it out")
    return len(outcomes) / passed, 1000 * taken / len(outcomes)


def by_clients(
    pid: int, port: int, photographs: list[bytes], clients: int
) -> tuple[float, list[float], float]:
    """Photographs a second, when clients send each once; seconds of each request; processor ms for each."""
    waiting = deque(photographs)
    began, taken = time.perf_counter(), processor_seconds(pid)

    def client(_: int) -> list[float]:
        answered: list[float] = []
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
            while True:
                try:
                    data = waiting.popleft()
                except IndexError:
                    return answered
                sent = time.perf_counter()
                connection.request("POST", "/v1/score", data)
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    raise SystemExit(f"a photograph was answered {answer.status}")
                answered.append(time.perf_counter() - sent)

    with ThreadPoolExecutor(clients) as pool:
        seconds = [each for answered in pool.map(client, range(clients)) for each in answered]
    passed, taken = time.perf_counter() - began, processor_seconds(pid) - taken
    return len(seconds) / passed, seconds, 1000 * taken / len(seconds)


if __name__ == "__main__":
    main()
