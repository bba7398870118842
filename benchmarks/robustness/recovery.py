"""Kill runs at random points and continue them: does any row get lost or repeated, or change?

    python -m benchmarks recovery [--kills 120] [--photographs 150] [--seed 0] [--model dgqa-lite0]

Small photographs are made, one in ten of them cut off, and scored without disturbance. Then the same is done
in runs in which something is killed (SIGKILL) after a random number of rows, in turn the program and one
of the processes that decode, and which are continued with --resume, and again, until so many kills have been
done: a third each for JSONL, CSV and Parquet. Every finished file must have the undisturbed one's rows, in
its order, digit by digit. The figures go to `results/recovery.json`; the exit code is 1 if a row differs.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
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
from dgqa_infer.outputs.reader import read_rows

CODE = "from dgqa_infer.cli.app import main; main()"
FORMATS = ("jsonl", "csv", "parquet")
DIFFERENCES = ("rows_lost", "rows_repeated", "rows_changed")


def main() -> int:
    parser = new_parser(__doc__, model=True)
    parser.add_argument("--kills", type=int, default=120)
    parser.add_argument("--photographs", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        found = killed(arguments.model, Path(scratch), arguments.photographs, arguments.kills, arguments.seed)
    result = {"formats": found, "photographs": arguments.photographs, "seed": arguments.seed}
    result |= {"kills": sum(each["kills"] for each in found.values()), "machine": machine("onnxruntime")}
    write_result("recovery", result)
    print(json.dumps(result, indent=1))
    return 1 if any(each[name] for each in found.values() for name in DIFFERENCES) else 0


def killed(model: str, folder: Path, count: int, kills: int, seed: int) -> dict[str, dict[str, int]]:
    """Disturb runs in each format.

    Args:
        model: name or folder of a bundle.
        folder: for photographs and outputs.
        count: of photographs.
        kills: for all formats together.
        seed: of the photographs and of the moments.

    Returns:
        By format: kills of each kind, and how many rows differ.
    """
    photographs(folder / "photos", count, seed)
    command = [sys.executable, "-c", CODE, "score", "--model", model, "--device", "cpu", "--quiet"]
    command += ["--workers", "2", str(folder / "photos"), "--resume", "--output"]
    chance = random.Random(seed)
    found = {}
    for format in FORMATS:
        undisturbed = folder / f"undisturbed.{format}"
        subprocess.run([*command, undisturbed], check=False)
        expected = rows(undisturbed)
        if len(expected) != count:
            raise RuntimeError(f"the undisturbed run gave {len(expected)} rows for {count} photographs")
        found[format] = disturb(command, folder, expected, -(-kills // len(FORMATS)), format, chance)
    return found


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
    command: list[str],
    folder: Path,
    expected: list[dict[str, Any]],
    kills: int,
    format: str,
    chance: random.Random,
) -> dict[str, int]:
    """Run to the end again and again, with kills at random moments, until there were enough of them."""
    counts = dict.fromkeys(("kills", "kills_of_the_program", "kills_of_a_worker", "finished_files"), 0)
    counts |= dict.fromkeys(DIFFERENCES, 0)
    while counts["kills"] < kills:
        output = folder / f"{counts['finished_files']}.{format}"
        log = output if format == "jsonl" else output.with_name(f"{output.name}.rows.jsonl")
        while counts["kills"] < kills:
            process = subprocess.Popen([*command, str(output)])
            # A few rows on, or none; and then a moment later, so that it may be at anything.
            wanted = lines(log) + chance.randint(0, max(1, len(expected) // 5))
            while process.poll() is None and lines(log) < wanted:
                time.sleep(0.002)
            time.sleep(chance.uniform(0, 0.1))
            if process.poll() is not None:
                break
            if counts["kills"] % 2 and (workers := children(process.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(chance.choice(workers), signal.SIGKILL)
                counts["kills_of_a_worker"] += 1
                process.wait()
            else:
                process.kill()
                process.wait()
                counts["kills_of_the_program"] += 1
            counts["kills"] += 1
            if output.exists() and not (format == "jsonl" and lines(log) < len(expected)):
                break
        if format == "jsonl" or not output.exists():
            subprocess.run([*command, str(output)], check=False)
        compare(rows(output), expected, counts)
        counts["finished_files"] += 1
    return counts


def children(pid: int) -> list[int]:
    """Processes that a process has begun."""
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def lines(path: Path) -> int:
    """How many whole rows a file has."""
    with contextlib.suppress(FileNotFoundError):
        return path.read_bytes().count(b"\n")
    return 0


def compare(found: list[dict[str, Any]], expected: list[dict[str, Any]], counts: dict[str, int]) -> None:
    """Count how a finished file differs from the undisturbed one."""
    paths = [row["path"] for row in found]
    counts["rows_repeated"] += len(paths) - len(set(paths))
    counts["rows_lost"] += len({row["path"] for row in expected} - set(paths))
    counts["rows_changed"] += sum(one != two for one, two in zip(found, expected, strict=False))


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file."""
    return [row for _, row in read_rows(str(path), print)]


if __name__ == "__main__":
    sys.exit(main())
