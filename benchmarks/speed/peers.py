"""Measure ways of judging photographs side by side: how fast, in how much memory, and how well.

    python -m benchmarks peers LARGE RATINGS.csv RATED [--rounds 6] [--seconds 8] [--checkpoint FILE]

LARGE holds photographs of cameras, RATED those that RATINGS.csv has opinions of. The ways are in
`peer_ways.py`, each with a process of its own that has loaded what it needs; they take turns of so many
--seconds, one process at work at a time. Memory is looked at in a turn that is not timed. Every rated
photograph is then judged once. The opinions do nothing but evaluate. The figures go to
`results/peers.json`, the picture to `docs/pictures/peers.png`; the exit code is 1 if a target of `targets.py`
is missed.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from scipy.stats import spearmanr

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from benchmarks.speed.peer_ways import WAYS
from benchmarks.speed.targets import DECODING, PLAIN, RESNET, table, targets
from dgqa_infer.bench.intervals import median
from dgqa_infer.bench.processes import memory_mb, tree
from dgqa_training.datasets import read_table

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
# Without a checkpoint these have random weights, and what they say means nothing.
RANDOM = (PLAIN, RESNET)


class Way:
    """One way's process."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        program = [sys.executable, "-m", "benchmarks.speed.peer_ways", name, json.dumps(options)]
        self.name = name
        self.process = subprocess.Popen(
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.ready = self._answer()

    def judge(self, paths: list[str], seconds: float | None) -> dict[str, Any]:
        """Judge photographs for so long, or each once."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"paths": paths, "seconds": seconds}) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def peak_mb(self, paths: list[str], seconds: float) -> float:
        """The most memory that it and its processes hold while they judge."""
        peak, done = 0.0, threading.Event()

        def look() -> None:
            nonlocal peak
            while not done.wait(0.05):
                peak = max(peak, sum(map(memory_mb, tree(self.process.pid))))

        watcher = threading.Thread(target=look)
        watcher.start()
        self.judge(paths, seconds)
        done.set()
        watcher.join()
        return round(peak, 1)

    def close(self) -> None:
        """End it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"reason": f"it ended with exit code {self.process.wait()}"}


def arguments_of() -> argparse.Namespace:
    parser = new_parser(__doc__, model=True)
    parser.add_argument("large", type=Path)
    parser.add_argument("ratings", type=Path)
    parser.add_argument("rated", type=Path)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--checkpoint", help="the model's, for the weights of the plain way")
    parser.add_argument("--only", action="append", choices=list(WAYS), help="a way; repeat it")
    parser.add_argument("--name", default="peers", help="of the result and the picture")
    parser.add_argument("--most", type=int, help="so many of the rated photographs")
    return parser.parse_args()


def main() -> int:
    arguments = arguments_of()
    samples = read_table(arguments.ratings, arguments.rated).samples[: arguments.most]
    sets = {
        "large": [str(path) for path in sorted(arguments.large.iterdir())],
        "rated": [str(sample.path) for sample in samples],
    }
    opinions = [float(sample.score or 0) for sample in samples]
    options = {
        "model": arguments.model,
        "checkpoint": arguments.checkpoint,
        "trial": sets["rated"][0],
    }
    ways = [Way(name, options) for name in arguments.only or WAYS]
    told("ready")
    missing = {way.name: way.ready["reason"] for way in ways if "reason" in way.ready}
    ways = [way for way in ways if way.name not in missing]
    found: dict[str, dict[str, Any]] = {way.name: {"packages": way.ready["packages"]} for way in ways}
    for name, paths in sets.items():
        for way, rates in turns(ways, paths, arguments.rounds, arguments.seconds).items():
            value, low, high = (round(each, 4) for each in median(rates))
            peak = next(each for each in ways if each.name == way).peak_mb(paths, arguments.seconds)
            found[way][name] = {
                "photographs_per_second": value,
                "interval": [low, high],
                "peak_mb": peak,
            }
    for each in ways:
        meaningless = each.name == DECODING or (
            each.name in RANDOM and not (arguments.checkpoint and each.name == RANDOM[0])
        )
        found[each.name]["srcc"] = None if meaningless else agreement(each, sets["rated"], opinions)
        each.close()
    result = {
        "model": arguments.model,
        "photographs": {name: len(paths) for name, paths in sets.items()},
        "rounds": arguments.rounds,
        "seconds_a_turn": arguments.seconds,
        "ways": found,
        "times_as_fast": ratios(found),
        "targets": targets(found),
        "not_measured": missing,
        "random_weights": [name for name in RANDOM if name in found and found[name]["srcc"] is None],
        "machine": machine("torch", "onnxruntime", "openvino", "simplejpeg", "brisque", "scikit-video"),
    }
    write_result(arguments.name, result)
    print(json.dumps(result, indent=1))
    print(table(result["targets"]))
    picture(found, PICTURES / f"{arguments.name}.png")
    return int(not all(each["met"] for each in result["targets"]))


def turns(ways: list[Way], paths: list[str], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Photographs a second of each way in each round, after one photograph that does not count."""
    for way in ways:
        way.judge(paths, 0)
    rates: dict[str, list[float]] = {way.name: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            answer = way.judge(paths, seconds)
            rates[way.name].append(answer["done"] / answer["seconds"])
            told(f"{way.name}: {rates[way.name][-1]:.2f} photographs a second")
    return rates


def told(words: str) -> None:
    """Say how it goes."""
    print(words, file=sys.stderr, flush=True)


def agreement(way: Way, paths: list[str], opinions: list[float]) -> float:
    """SRCC with people; what was given no number counts as judged worst."""
    better = way.ready["better"]
    given = [
        better * value if math.isfinite(value) else -math.inf for value in way.judge(paths, None)["given"]
    ]
    return round(float(spearmanr(given, opinions).statistic), 4)


def ratios(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """How many times as fast ours is as each other way, on each set."""
    mine = [name for name in found if name.startswith("dgqa-infer")]
    speed = "photographs_per_second"
    return {
        own: {
            kind: {
                name: round(found[own][kind][speed] / each[kind][speed], 2)
                for name, each in found.items()
                if name not in mine
            }
            for kind in ("large", "rated")
        }
        for own in mine
    }


def picture(found: dict[str, dict[str, Any]], file: Path) -> None:
    """Accuracy against speed; what has no weights to be accurate with lies on the lower edge."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    figure, panels = pyplot.subplots(1, 2, figsize=(10, 4.6), sharey=True, layout="constrained")
    markers = dict(zip(found, "osD^v<>PX*", strict=False))
    for panel, (kind, title) in zip(
        panels, {"rated": "512 × 512", "large": "large photographs"}.items(), strict=True
    ):
        for name, each in found.items():
            known = each["srcc"] is not None
            panel.plot(
                [each[kind]["photographs_per_second"]],
                [each["srcc"] if known else 0.0],
                markers[name],
                markersize=9,
                alpha=0.8,
                fillstyle="full" if known else "none",
                label=name if known else f"{name} (speed only)",
            )
        panel.set(xscale="log", xlabel="photographs a second", title=title, ylim=(-0.05, 1))
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.margins(x=0.15)
        panel.grid(alpha=0.3)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    panels[0].set_ylabel("SRCC with people, rated photographs")
    file.parent.mkdir(exist_ok=True)
    figure.savefig(file, dpi=120)
    print(file)


if __name__ == "__main__":
    sys.exit(main())
