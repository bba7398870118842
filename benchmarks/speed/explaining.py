"""Measure what `--explain` costs: photographs a second with it and without it, in turns.

    python -m benchmarks explaining FOLDER... [--rounds 8] [--seconds 8]

Each FOLDER holds photographs of one kind, such as large ones and small ones. They are scored as the command
line does, other processes decoding. The exit code is 1 if explaining takes more than 1.3 times as long in
any folder. The figures go to `results/explaining.json`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_infer.bench.intervals import median
from dgqa_infer.bench.rounds import Effort, Way, rates
from dgqa_infer.scorer import Scorer

MOST = 1.3
"""Times as long as without it."""


def main() -> int:
    parser = new_parser(__doc__, model=True)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=8)
    given = parser.parse_args()
    effort = Effort(given.rounds, given.seconds)
    with Scorer(given.model, device="cpu") as plain, Scorer(given.model, device="cpu", explain=True) as full:
        found = [cost(folder, plain, full, effort) for folder in given.folders]
    write_result(
        "explaining",
        {
            "model": plain.model_id,
            "rounds": given.rounds,
            "folders": found,
            "target": {"at_most": MOST, "met": all(each["times_as_long"] <= MOST for each in found)},
            "machine": machine("onnxruntime", "simplejpeg"),
        },
    )
    for each in found:
        print(each)
    return int(any(each["times_as_long"] > MOST for each in found))


def cost(folder: Path, plain: Scorer, full: Scorer, effort: Effort) -> dict[str, Any]:
    """How many times as long scoring a folder takes with explanations, with the interval of the rounds."""
    number = sum(1 for _ in plain.score_files([folder]))

    def way(scorer: Scorer) -> Way:
        return lambda: sum(1 for _ in scorer.score_files([folder]))

    speeds = rates({"plain": way(plain), "full": way(full)}, effort)
    ratios = [one / other for one, other in zip(speeds["plain"], speeds["full"], strict=True)]
    value, low, high = median(ratios)
    return {
        "folder": folder.name,
        "photographs": number,
        "per_second": {name: round(median(each)[0], 2) for name, each in speeds.items()},
        "times_as_long": round(value, 3),
        "interval": [round(low, 3), round(high, 3)],
    }


if __name__ == "__main__":
    raise SystemExit(main())
