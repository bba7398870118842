"""Does `compare --max-drop` raise false alarms, and what does it find?

    python -m benchmarks comparison [--model dgqa-lite0] [--device cpu] [--photographs 150] [--seed 0]

Photographs of `../shared/data/authentic/dev` are scored as they are, after a change that harms nothing (cut
by a few pixels and saved as JPEG at quality 95), and after a Gaussian blur of known size. From the
differences, sets of 10, 20, 50 and 100 pairs are drawn 2,000 times.

A null is the harmless change with its mean difference set to zero, or to a drop of exactly the margin, the
hardest case: whatever fails there is a false alarm. Beside their share stands the upper end of its 95 %
interval (Clopper and Pearson). Power is the share of the sets with the blur that fail. The figures go to
`results/comparison.json`; the exit code is 1 if that end is above 5 % for any null.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy.stats import binomtest

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_infer import Score, Scorer
from dgqa_infer.comparison.intervals import drops_beyond, mean_of

PHOTOGRAPHS = Path(__file__).resolve().parents[3] / "shared" / "data" / "authentic" / "dev"
BLURS, SIZES, DRAWS, MARGIN, ALLOWED = (0.5, 0.75, 1.0, 1.5), (10, 20, 50, 100), 2000, 1.0, 0.05
Change = Callable[[Image.Image], Image.Image]


def main() -> int:
    parser = new_parser(__doc__, model=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--photographs", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    paths = sorted(PHOTOGRAPHS.glob("*.jpg"))
    chosen = np.random.default_rng(arguments.seed).permutation(len(paths))[: arguments.photographs]
    with Scorer(arguments.model, device=arguments.device, precision="fp32") as scorer:
        before = scores(scorer, (paths[place].read_bytes() for place in chosen))
        changed = {
            name: scores(scorer, (saved(paths[place], change) for place in chosen)) - before
            for name, change in changes().items()
        }
        model = scorer.model_id
    generator = np.random.default_rng(arguments.seed)
    harmless = changed["harmless"]
    nulls = {0.0: harmless - harmless.mean(), MARGIN: harmless - harmless.mean() - MARGIN}
    alarms = [
        {"true_drop": drop, "max_drop": drop, "pairs": size}
        | with_bound(failed(values, size, drop, generator))
        for drop, values in nulls.items()
        for size in SIZES
    ]
    power = [
        {
            "change": name,
            "mean_difference": round(float(values.mean()), 2),
            "max_drop": MARGIN,
            "pairs": size,
            "failed": failed(values, size, MARGIN, generator),
        }
        for name, values in changed.items()
        for size in SIZES
    ]
    worst = max(each["at_most"] for each in alarms)
    result: dict[str, Any] = {
        "model": model,
        "photographs": len(chosen),
        "sets_drawn": DRAWS,
        "false_alarms": alarms,
        "false_alarms_at_most": worst,
        "power": power,
        "seed": arguments.seed,
        "machine": machine("onnxruntime"),
    }
    write_result("comparison", result)
    print(json.dumps(result, indent=1))
    return int(worst > ALLOWED)


def changes() -> dict[str, Change]:
    """Name → what is done to a photograph."""

    def blur(sigma: float) -> Change:
        return lambda image: image.filter(ImageFilter.GaussianBlur(sigma))

    return {
        "harmless": lambda image: image.crop((3, 2, image.width - 1, image.height - 2)),
        **{f"blur {sigma:g} px": blur(sigma) for sigma in BLURS},
    }


def saved(path: Path, change: Change) -> bytes:
    """A photograph, changed, as a JPEG file."""
    with Image.open(path) as image:
        pixels = change(image.convert("RGB"))
    file = io.BytesIO()
    pixels.save(file, "JPEG", quality=95)
    return file.getvalue()


def scores(scorer: Scorer, photographs: Iterator[bytes]) -> NDArray[np.float64]:
    results = list(scorer.score_many(photographs))
    return np.array([result.score for result in results if isinstance(result, Score)], np.float64)


def failed(values: NDArray[np.float64], size: int, margin: float, generator: np.random.Generator) -> float:
    """Share of the sets, drawn from differences, that the rule lets fail."""
    sets = (generator.choice(values, size) for _ in range(DRAWS))
    return float(np.mean([drops_beyond(mean_of(each, seed), margin) for seed, each in enumerate(sets)]))


def with_bound(share: float) -> dict[str, float]:
    """A share of the sets, and what it surely does not exceed."""
    interval = binomtest(round(share * DRAWS), DRAWS).proportion_ci(0.95, method="exact")
    return {"failed": share, "at_most": round(float(interval.high), 4)}


if __name__ == "__main__":
    sys.exit(main())
