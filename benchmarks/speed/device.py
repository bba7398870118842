"""Measure how long a frame takes on a device: by the C++ example, and by the camera's example in Python.

    python -m benchmarks device BUILD/dgqa-score MODEL.onnx PHOTOGRAPH.jpg FOLDER [--rounds 200]

docs/device.md tells how the program and the model are made. FOLDER holds the frames of the camera, which
delivers five a second. The milliseconds, and how busy the machine was, go to `results/device.json`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser

CAMERA = Path(__file__).resolve().parents[2] / "examples" / "camera.py"
FRAMES_PER_SECOND = 5
BUDGET = 1000 / FRAMES_PER_SECOND


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("program", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("photograph", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=200, help="frames of each")
    arguments = parser.parse_args()

    result = {
        "cpp": in_cpp(arguments.program, arguments.model, arguments.photograph, arguments.rounds),
        "camera": camera(arguments.folder, arguments.rounds),
        "other_work": {"load_average": round(os.getloadavg()[0], 1)},
        "machine": machine("onnxruntime", "cykooz.resizer"),
    }
    write_result("device", result)
    print(json.dumps(result, indent=1))


def in_cpp(program: Path, model: Path, photograph: Path, rounds: int) -> dict[str, Any]:
    """What the example tells of its latency, its decoding apart."""
    command = [str(program), "--repeat", str(rounds), str(model), str(photograph)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(ran.stderr)
    return json.loads(ran.stderr)  # type: ignore[no-any-return]


def camera(folder: Path, frames: int) -> dict[str, Any]:
    """Frames of a camera that does not wait, against the time until the next one."""
    options = ["--frames", str(frames), "--fps", str(FRAMES_PER_SECOND), "--budget", str(BUDGET)]
    command = [sys.executable, str(CAMERA), str(folder), "--device", "cpu", *options]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    milliseconds = [row["ms"] for row in rows]
    return {
        "frames_per_second": FRAMES_PER_SECOND,
        "budget_ms": BUDGET,
        "scored": len(rows),
        "dropped": rows[-1]["frame"] - len(rows),
        "p50_ms": round(float(np.percentile(milliseconds, 50)), 1),
        "p99_ms": round(float(np.percentile(milliseconds, 99)), 1),
        "within_budget": ran.returncode == 0,
    }


if __name__ == "__main__":
    main()
