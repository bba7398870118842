"""Measure what a user waits for: Python itself, the import, the help, and the score of a large photograph.

    python -m benchmarks startup PHOTOGRAPH [--rounds 10] [--model dgqa-lite0]

Every program is begun anew each time, in turns, with its files in the system's cache as after a first use.
The seconds, and whether they are within the targets, go to `results/startup.json`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_infer.bench.startup import starts
from dgqa_infer.images.decode import decode

TARGETS = {"import dgqa_infer": 0.15, "dgqa-infer --help": 0.3, "score one photograph": 0.5}


def main() -> None:
    parser = new_parser(__doc__, model=True)
    parser.add_argument("photograph", type=Path)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()

    photograph = decode(arguments.photograph)
    scoring = ["--quiet", "--model", arguments.model]
    started = starts(scoring, str(arguments.photograph), arguments.rounds)
    found = {figure.subject: asdict(figure) for figure in started}
    result = {
        "photograph": {"width": photograph.width, "height": photograph.height},
        "rounds": arguments.rounds,
        "seconds": {
            name: {key: round(figure[key], 3) for key in ("value", "low", "high")}
            for name, figure in found.items()
        },
        "targets": {
            name: {"seconds": target, "met": found[name]["value"] <= target}
            for name, target in TARGETS.items()
        },
        "machine": machine("onnxruntime", "simplejpeg", "cykooz.resizer", "typer"),
    }
    write_result("startup", result)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
