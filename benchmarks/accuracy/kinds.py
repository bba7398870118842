"""Do good photographs of unusual kinds score well: high key, low key, plain background, soft background?

    python -m benchmarks kinds PRISTINE [--model dgqa-lite0] [--versus BUNDLE]

PRISTINE holds photographs that are good by their making. Eight of each kind are taken by statistics of their
pixels alone, no photograph twice; what they score, and what a second bundle says of them, goes to
`results/kinds.json`. The built-in model was trained on distortions of these very contents.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_infer import Score, Scorer
from dgqa_infer.bundle.preprocessing import STANDARD
from dgqa_infer.images.crops import shrink
from dgqa_infer.images.decode import decode
from dgqa_infer.inputs.formats import EXTENSIONS

EACH = 8
POOR = 45
"""Good photographs of these kinds scored below this with version 1.2.0."""
_CELL = 32
_LUMA = np.array([0.299, 0.587, 0.114])


def main() -> None:
    parser = new_parser(__doc__, model=True)
    parser.add_argument("pristine", type=Path)
    parser.add_argument("--versus", metavar="BUNDLE", help="scores the same photographs")
    arguments = parser.parse_args()

    files = sorted(path for path in arguments.pristine.iterdir() if path.suffix.lower() in EXTENSIONS)
    lumas = [shrink(decode(file).pixels, STANDARD) @ _LUMA for file in files]
    chosen = choose(lumas)
    models = [str(arguments.model)] + ([str(arguments.versus)] if arguments.versus else [])
    found = [figures(model, files, chosen) for model in models]
    write_result("kinds", {"machine": machine("onnxruntime"), "models": found})
    for each in found:
        medians = {kind: row["median"] for kind, row in each["kinds"].items()}
        print(each["model"], medians, f"{each['below_45']} below {POOR}")


def choose(lumas: list[NDArray[np.float64]]) -> dict[str, list[int]]:
    """Places of the photographs of each kind, the plainest examples first."""
    cells = [_cell_contrasts(luma) for luma in lumas]
    measures: dict[str, Callable[[int], float]] = {
        "high key": lambda at: float(lumas[at].mean()),
        "low key": lambda at: -float(lumas[at].mean()),
        "plain background": lambda at: float((cells[at] < 1.5).mean()),
        "soft background": lambda at: float(np.quantile(cells[at], 0.95) / (np.median(cells[at]) + 1)),
    }
    taken: set[int] = set()
    chosen = {}
    for kind, measure in measures.items():
        order = sorted((at for at in range(len(lumas)) if at not in taken), key=measure, reverse=True)
        chosen[kind] = order[:EACH]
        taken |= set(chosen[kind])
    return chosen


def _cell_contrasts(luma: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far neighbouring pixels differ in each cell of 32 × 32, in grey levels."""
    steps = np.abs(np.diff(luma, axis=1))[:, :-1]
    height, width = (side // _CELL * _CELL for side in steps.shape)
    blocks = steps[:height, :width].reshape(height // _CELL, _CELL, width // _CELL, _CELL)
    return np.asarray(blocks.mean((1, 3)))


def figures(model: str, files: list[Path], chosen: dict[str, list[int]]) -> dict[str, Any]:
    """Scores of the chosen photographs by kind, and of all others."""
    with Scorer(model, device="cpu", precision="fp32") as scorer:
        results = list(scorer.score_files(files))
        name = scorer.model_id
    scores = np.array([each.score if isinstance(each, Score) else np.nan for each in results])
    special = sorted(at for places in chosen.values() for at in places)
    rest = np.delete(scores, special)
    kinds = {
        kind: {
            "median": round(float(np.median(scores[places])), 1),
            "scores": {files[at].name: round(float(scores[at]), 1) for at in places},
        }
        for kind, places in chosen.items()
    }
    return {
        "model": name,
        "photographs": len(special),
        "below_45": int((scores[special] < POOR).sum()),
        "median": round(float(np.median(scores[special])), 1),
        "all_others": {
            "median": round(float(np.median(rest)), 1),
            "share_below_45": float((rest < POOR).mean()),
        },
        "kinds": kinds,
    }


if __name__ == "__main__":
    main()
