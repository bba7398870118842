"""Replay a folder of hostile files: one row for each, no crash, within the limits; and what that costs.

    python -m benchmarks hostile --corpus DIR [--model dgqa-lite0] [--name odd_images]

Every file under DIR is scored, whatever it is, by one worker and one photograph at a time, so that the time
between two rows is that of a file. Exit code 1 if a file has no row or two, or if a time limit was passed.
The figures go to `results/hostile_NAME.json`.
"""

from __future__ import annotations

import resource
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_infer import Failure, Scorer
from dgqa_infer.inputs.finder import InputFinder
from dgqa_infer.options import WorkerLimits
from dgqa_infer.pipeline.pipeline import Pipeline

# Start of a worker and of the model, which the first row waits for, and a file's second chance.
GRACE_SECONDS = 10.0


def main() -> int:
    parser = new_parser(__doc__, model=True)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--name")
    arguments = parser.parse_args()

    wanted = sorted(
        str(path) for path in arguments.corpus.rglob("*") if path.is_file() and not path.is_symlink()
    )
    result = replay(arguments.corpus, arguments.model)
    problems = []
    if sorted(result.pop("paths")) != wanted:
        problems.append("files and rows are not the same")
    if result["seconds_per_file"]["longest"] > WorkerLimits().seconds + GRACE_SECONDS:
        problems.append("a file took longer than the limit")
    result |= {"files": len(wanted), "problems": problems, "machine": machine("onnxruntime", "simplejpeg")}
    write_result(f"hostile_{arguments.name or arguments.corpus.name}", result)
    for name, value in result.items():
        print(f"{name}: {value}")
    return 1 if problems else 0


def replay(corpus: Path, model: str) -> dict[str, Any]:
    """Score everything under a folder: the result, how long it took, how large the processes became."""
    codes: Counter[str] = Counter()
    warnings: Counter[str] = Counter()
    paths, gaps = [], []
    with (
        Scorer(model, device="cpu", precision="fp32", batch_size=1) as scorer,
        Pipeline(scorer, workers=1) as pipeline,
    ):
        began = before = time.perf_counter()
        for outcome in pipeline.run(InputFinder(include=["*"]).find([str(corpus)])):
            now = time.perf_counter()
            gaps.append(now - before)
            before = now
            paths.append(outcome.result.path)
            if isinstance(outcome.result, Failure):
                codes[outcome.result.code] += 1
            else:
                warnings.update(outcome.result.warnings)
    p50, p99 = np.percentile(gaps, [50, 99])
    return {
        "paths": paths,
        "scored": len(paths) - codes.total(),
        "failed": dict(codes.most_common()),
        "warnings": dict(warnings.most_common()),
        "seconds": round(before - began, 2),
        "seconds_per_file": {
            "median": round(float(p50), 4),
            "p99": round(float(p99), 4),
            "longest": round(max(gaps[1:], default=0), 3),
        },
        "peak_mb": {
            "worker": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1000,
            "parent": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000,
        },
    }


if __name__ == "__main__":
    sys.exit(main())
