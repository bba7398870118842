"""Measure `serve` under load: requests a second and their latency, against the pipeline alone.

    python -m benchmarks serving PHOTOGRAPHS [--clients 1 8 64] [--rounds 6]

One service and one pipeline, with the same model, device, workers and batch size, score the same photographs
from memory, each once in a turn. They take turns, so that what else the machine does falls on both alike.
Each client sends one photograph after the other over a connection that it keeps; the clients have no cores of
their own. The ratio is that of a round's two turns, its median over the rounds; figures go to
`results/serving.json`.
"""

from __future__ import annotations

import contextlib
import http.client
import json
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
from dgqa_infer.bench.processes import PROGRAM
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
    """

    rates: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """Ready for JSON."""
        p50, p99 = (quantile(self.seconds, q) for q in (0.5, 0.99))
        return {
            "requests_per_second": spread(self.rates),
            "of_the_pipeline_alone": spread(self.ratios),
            "p50_ms": p50 and round(1000 * p50[0], 1),
            "p99_ms": p99 and round(1000 * p99[0], 1),
            "requests": len(self.seconds),
        }


def main() -> None:
    parser = new_parser(__doc__, model=True)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--rounds", type=int, default=6)
    arguments = parser.parse_args()

    photographs = [path.read_bytes() for path in sorted(arguments.photographs.iterdir())[:MOST]]
    load = system.load()
    alone: list[float] = []
    turns = {count: Turns() for count in arguments.clients}
    with (
        service(arguments.model, max(arguments.clients)) as port,
        Scorer(arguments.model, device="cpu") as scorer,
        Pipeline(scorer) as pipeline,
    ):
        for number in range(arguments.rounds + 1):
            rate = by_pipeline(pipeline, photographs)
            found = {count: by_clients(port, photographs, count) for count in turns}
            if number == 0:
                # Everything has been used once by now.
                continue
            alone.append(rate)
            for count, (served, seconds) in found.items():
                turns[count].rates.append(served)
                turns[count].ratios.append(served / rate)
                turns[count].seconds += seconds
    best = max(median(turn.ratios)[0] for turn in turns.values())
    result = {
        "photographs": len(photographs),
        "mean_kb": round(sum(map(len, photographs)) / len(photographs) / 1000, 1),
        "pipeline_alone_per_second": spread(alone),
        "clients": {str(count): turn.figures() for count, turn in turns.items()},
        "target": {"of_the_pipeline_alone": WANTED, "reached": round(best, 3), "met": best >= WANTED},
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
def service(model: str, clients: int) -> Iterator[int]:
    """A service with room for so many clients; its port."""
    options = ["--model", model, "--device", "cpu", "--port", "0", "--queue", str(2 * clients)]
    with subprocess.Popen([*PROGRAM, "serve", *options], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            if (found := re.search(r":(\d+) \(", line)) is None:
                raise RuntimeError(line + process.stderr.read())
            yield int(found[1])
        finally:
            process.terminate()


def by_pipeline(pipeline: Pipeline[Score], photographs: list[bytes]) -> float:
    """Photographs a second, when the pipeline scores each of them once."""
    began = time.perf_counter()
    outcomes = list(pipeline.run(map(Encoded, photographs)))
    passed = time.perf_counter() - began
    if not all(isinstance(outcome.result, Score) for outcome in outcomes):
        raise SystemExit("a photograph has no score: leave it out")
    return len(outcomes) / passed


def by_clients(port: int, photographs: list[bytes], clients: int) -> tuple[float, list[float]]:
    """Photographs a second, when clients send each of them once, and the seconds of each request."""
    waiting = deque(photographs)
    began = time.perf_counter()

    def client(_: int) -> list[float]:
        taken: list[float] = []
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
            while True:
                try:
                    data = waiting.popleft()
                except IndexError:
                    return taken
                sent = time.perf_counter()
                connection.request("POST", "/v1/score", data)
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    raise SystemExit(f"a photograph was answered {answer.status}")
                taken.append(time.perf_counter() - sent)

    with ThreadPoolExecutor(clients) as pool:
        seconds = [each for taken in pool.map(client, range(clients)) for each in taken]
    return len(seconds) / (time.perf_counter() - began), seconds


if __name__ == "__main__":
    main()
