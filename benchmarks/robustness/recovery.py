"""Kill runs at random points and continue them: does any row get lost or repeated, or change?

    python -m benchmarks recovery [--kills 200] [--photographs 150] [--seed 0] [--model dgqa-lite0]

Small photographs are made, one in ten of them cut off, and scored without disturbance. Then the same is done
in runs that are killed (SIGKILL) after a random number of rows and continued with --resume, and again, until
so many kills have been done. Every finished log must have the undisturbed one's rows, in its order. The
figures go to `results/recovery.json`; the exit code is 1 if a row differs.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser

RAW_TOLERANCE = 1e-4
CODE = "from dgqa_infer.cli.app import main; main()"


def main() -> int:
    parser = new_parser(__doc__, model=True)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--photographs", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        photographs(folder / "photos", arguments.photographs, arguments.seed)
        command = [
            sys.executable,
            "-c",
            CODE,
            "score",
            "--model",
            arguments.model,
            "--device",
            "cpu",
            "--quiet",
        ]
        command += [str(folder / "photos"), "--resume", "--output"]
        subprocess.run([*command, folder / "undisturbed.jsonl"], check=False)
        expected = rows(folder / "undisturbed.jsonl")
        result = disturb(command, folder, expected, arguments.kills, random.Random(arguments.seed))
    result |= {"photographs": len(expected), "seed": arguments.seed, "machine": machine("onnxruntime")}
    write_result("recovery", result)
    print(json.dumps(result, indent=1))
    return 1 if result["rows_lost"] or result["rows_repeated"] or result["rows_changed"] else 0


def photographs(folder: Path, count: int, seed: int) -> None:
    """Small noisy JPEGs; every tenth ends in the middle."""
    folder.mkdir()
    generator = np.random.default_rng(seed)
    for number in range(count):
        pixels = generator.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        path = folder / f"{number:04}.jpg"
        Image.fromarray(pixels).resize((240, 180)).save(path)
        if number % 10 == 9:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def disturb(
    command: list[str], folder: Path, expected: list[dict[str, Any]], kills: int, chance: random.Random
) -> dict[str, Any]:
    """Run to the end again and again, killed at random, until there were enough kills."""
    counts = {"kills": 0, "kills_before_the_first_row": 0, "kills_that_added_rows": 0, "finished_logs": 0}
    counts |= {"rows_lost": 0, "rows_repeated": 0, "rows_changed": 0}
    while counts["kills"] < kills:
        output = folder / f"{counts['finished_logs']}.jsonl"
        while counts["kills"] < kills:
            before = lines(output)
            process = subprocess.Popen([*command, str(output)])
            # A few rows on, or none; and then a moment later, so that it may be at anything.
            wanted = before + chance.randint(0, max(1, len(expected) // 5))
            while process.poll() is None and lines(output) < wanted:
                time.sleep(0.002)
            time.sleep(chance.uniform(0, 0.1))
            if process.poll() is not None:
                break
            process.kill()
            process.wait()
            counts["kills"] += 1
            counts["kills_before_the_first_row"] += lines(output) == 0
            counts["kills_that_added_rows"] += lines(output) > before
        subprocess.run([*command, str(output)], check=False)
        compare(rows(output), expected, counts)
        counts["finished_logs"] += 1
    return dict(counts)


def lines(path: Path) -> int:
    """How many whole rows a file has."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def compare(found: list[dict[str, Any]], expected: list[dict[str, Any]], counts: dict[str, int]) -> None:
    """Count how a finished log differs from the undisturbed one."""
    paths = [row["path"] for row in found]
    counts["rows_repeated"] += len(paths) - len(set(paths))
    counts["rows_lost"] += len({row["path"] for row in expected} - set(paths))
    for one, two in zip(found, expected, strict=False):
        raw = abs(one.get("raw", 0) - two.get("raw", 0))
        same = {key: one[key] for key in one if key not in ("raw", "score", "spread")}
        counts["rows_changed"] += raw > RAW_TOLERANCE or same != {key: two.get(key) for key in same}


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a log."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]


if __name__ == "__main__":
    sys.exit(main())
