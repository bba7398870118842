"""Training throughput and peak memory of each way to tune, and how long a step waits for its crops.

    python -m benchmarks training PRISTINE [--device cpu] [--crop 160] [--steps 12]

PRISTINE holds pristine photographs. Each way trains the domain classifier (EfficientNet-Lite0, batch 32) in a
process of its own for a few steps, first on crops that are there already, then on crops that are distorted in
memory by one worker; the difference is what distortions cost. Goes to `results/training.json`.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_infer.bundle.preprocessing import STANDARD
from dgqa_training.classifier.material import samples
from dgqa_training.classifier.training import STAGES, cross_entropy
from dgqa_training.loop.crop_sources import SyntheticCrops
from dgqa_training.loop.crops import CropSource
from dgqa_training.loop.loop import Progress, Training, half_where_it_pays
from dgqa_training.loop.recipe import Recipe
from dgqa_training.networks.heads import DomainNetwork, Head, pretrained_backbone

BACKBONE, BATCH = "efficientnet_lite0", 32
WAYS = ("all", "pointwise", "head")


class Ready:
    """Crops that are there already."""

    def __init__(self, count: int, side: int) -> None:
        self.count = count
        self.pixels = np.random.default_rng(0).integers(0, 256, (BATCH, side, side, 3), dtype=np.uint8)

    def __len__(self) -> int:
        return self.count

    def target(self, index: int) -> float:
        """Some class or other."""
        return float(index % 26)

    def crop(self, index: int, generator: np.random.Generator) -> NDArray[np.uint8]:  # noqa: ARG002
        """Some crop or other."""
        return np.asarray(self.pixels[index % BATCH])


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("pristine", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--crop", type=int, default=160)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--ready", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        print(json.dumps(measure(arguments)))
        return
    rows = [row(arguments, way, ready) for way in WAYS for ready in (True, False)]
    with half_where_it_pays(arguments.device):
        half = torch.is_autocast_enabled(arguments.device)
    result = {
        "machine": machine("torch"),
        "device": arguments.device,
        "backbone": BACKBONE,
        "batch": BATCH,
        "crop": arguments.crop,
        "precision": "bf16" if half else "fp32",
        "rows": rows,
    }
    write_result("training", result)
    print("| tuned | crops | crops/s | peak memory |\n|---|---|---|---|")
    for each in rows:
        kind = "there already" if each["ready"] else "distorted in memory"
        print(f"| {each['tune']} | {kind} | {each['crops_per_second']} | {each['peak_mb']} MB |")


def row(arguments: argparse.Namespace, way: str, ready: bool) -> dict[str, Any]:
    """One way, in a process of its own, so that its peak of memory is its own."""
    given = [str(arguments.pristine), "--device", arguments.device, "--crop", str(arguments.crop)]
    given += ["--steps", str(arguments.steps), "--way", way, *(["--ready"] if ready else [])]
    command = [sys.executable, "-m", "benchmarks", "training", *given]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Crops a second without the first quarter of the steps, and the peak of memory with the worker's."""
    source: CropSource = Ready(arguments.steps * BATCH, arguments.crop)
    if not arguments.ready:
        references = sorted(arguments.pristine.iterdir())[: max(1, arguments.steps * BATCH // 130 + 1)]
        crops = SyntheticCrops(samples(references), STANDARD, arguments.crop)
        crops.samples = crops.samples[: arguments.steps * BATCH]
        source = crops
    network = DomainNetwork(pretrained_backbone(BACKBONE), Head(STAGES[BACKBONE]))
    seconds: list[float] = []

    def note(progress: Progress) -> None:
        seconds.append(progress.step * BATCH / progress.crops_per_second)

    with tempfile.TemporaryDirectory() as folder:
        recipe = Recipe(epochs=1, batch=BATCH, lr=1e-5, tune=arguments.way)
        Training(
            network, source, cross_entropy, recipe, Path(folder), device=arguments.device, workers=1
        ).run(note)
    warm = len(seconds) // 4
    rate = BATCH * (len(seconds) - 1 - warm) / (seconds[-1] - seconds[warm])
    peak = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {
        "tune": arguments.way,
        "ready": arguments.ready,
        "crops_per_second": round(rate, 1),
        "peak_mb": round(peak / 1000),
    }


if __name__ == "__main__":
    main()
