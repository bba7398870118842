"""Measure whether photographs that the model never saw score lower where people find a distortion worse.

    python -m benchmarks levels PHOTOS [--model dgqa-lite0] [--short-side 512] [--seed 0]

PHOTOS holds good photographs that the model was not trained on. Each is shrunk, and distorted with all 25
types at all 5 levels. Of the six images of a photograph and a type (pristine, levels 1–5) every two make a
pair; it is ordered rightly if the model ranks it as KADID-10k's mean opinion of the type and the levels does.
A type's levels are in the order of that opinion, which is not always that of their numbers. The shares go to
`results/levels.json`, the picture to `docs/pictures/levels.png`.
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_infer import Scorer
from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.images.crops import shrink
from dgqa_infer.images.decode import decode
from dgqa_training.distortions import DISTORTIONS, LEVELS, distort, to_bytes
from dgqa_training.labels.labels import PRISTINE_LABEL, kadid_mean

PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "levels.png"
PAIRS = tuple(combinations((0, *LEVELS), 2))


def main() -> None:
    parser = new_parser(__doc__, model=True)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--short-side", type=int, default=512)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    files = sorted(path for path in arguments.photos.iterdir() if path.is_file())
    size = Preprocessing("levels", arguments.short_side, 224, 5)
    with Scorer(arguments.model, device="cpu", precision="fp32") as scorer:
        raw = np.stack([judge(scorer, file, size, arguments.seed) for file in files])
        model, types = scorer.model_id, tuple(scorer.bundle.card.training["plan"]["types"])
    right = rightly_ordered(raw)
    rows = {
        str(kind): {
            "name": DISTORTIONS[kind].name,
            "trained_on": kind in types,
            "pairs": round(float(right[:, kind - 1].mean()), 3),
            "from_pristine": [
                round(float(right[:, kind - 1, PAIRS.index((0, level))].mean()), 3) for level in LEVELS
            ],
        }
        for kind in DISTORTIONS
    }
    trained = [kind - 1 for kind in types]
    result = {
        "machine": machine("scipy", "onnxruntime"),
        "model": model,
        "photographs": len(files),
        "short_side": arguments.short_side,
        "seed": arguments.seed,
        "pairs": {
            "all_types": round(float(right.mean()), 3),
            "types_trained_on": round(float(right[:, trained].mean()), 3),
        },
        "types": rows,
    }
    write_result("levels", result)
    picture(rows, model, len(files))
    print(f"{model}: {result['pairs']}")


def judge(scorer: Scorer, file: Path, size: Preprocessing, seed: int) -> np.ndarray:
    """Raw quality of a photograph at every type and level: float [25, 6], first of each row the pristine."""
    pristine = shrink(decode(file).pixels, size)
    untouched = scorer.score(pristine).raw
    found = np.full((len(DISTORTIONS), 1 + len(LEVELS)), untouched)
    for kind in DISTORTIONS:
        for level in LEVELS:
            generator = np.random.default_rng([seed, kind, level])
            found[kind - 1, level] = scorer.score(to_bytes(distort(pristine, kind, level, generator))).raw
    return found


def rightly_ordered(raw: np.ndarray) -> np.ndarray:
    """Of raw qualities [n, 25, 6], which pairs have people's order: 1 or 0; ½ for a tie. [n, 25, 15]."""
    opinion = np.column_stack([np.full(len(DISTORTIONS), PRISTINE_LABEL), kadid_mean()])
    first, second = np.array(PAIRS).T
    agreed = np.sign(raw[..., first] - raw[..., second]) * np.sign(opinion[:, first] - opinion[:, second])
    return np.asarray((1 + agreed) / 2)


def picture(rows: dict[str, Any], model: str, photographs: int) -> None:
    """A row a type: the share of rightly ordered pairs, against pristine by level, and of all pairs."""
    table = np.array([[*row["from_pristine"], row["pairs"]] for row in rows.values()])
    figure = Figure(figsize=(7, 9), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(table, cmap="RdYlGn", vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(table):
        axes.text(column, row, f"{share:.2f}", ha="center", va="center", fontsize=8)
    names = [f"{kind} {row['name']}{' *' if row['trained_on'] else ''}" for kind, row in rows.items()]
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_xticks(
        range(6), [*(f"pristine\nover level {level}" for level in LEVELS), "all 15\npairs"], fontsize=8
    )
    axes.xaxis.tick_top()
    axes.set_xlabel(f"share of pairs in people's order, {photographs} photographs\n{model}; * trained on")
    figure.savefig(PICTURE, dpi=110)


if __name__ == "__main__":
    main()
