"""How far do scores move when a good photograph is mirrored, turned, or loses its colours?

    python -m benchmarks invariance LABELS.csv FOLDER [--model dgqa-lite0] [--name invariance]

Of the labelled photographs in FOLDER the best rated are taken, each shrunk as for scoring. The changes of the
score, in points, go to `results/NAME.json`; the labels choose the photographs and do nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_infer import Score, Scorer
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.images.crops import shrink
from dgqa_infer.images.decode import decode
from dgqa_training.datasets import read_table

VIEWS: dict[str, Callable[[Pixels], Pixels]] = {
    "mirrored": lambda image: image[:, ::-1],
    "turned by 90 degrees": lambda image: np.rot90(image),
    "turned by 180 degrees": lambda image: np.rot90(image, 2),
    "grey": lambda image: np.asarray(Image.fromarray(image).convert("L").convert("RGB")),
}


def main() -> None:
    parser = new_parser(__doc__, model=True)
    parser.add_argument("labels", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photographs", type=int, default=40)
    parser.add_argument("--name", default="invariance", help="of the result")
    arguments = parser.parse_args()

    samples = read_table(arguments.labels, arguments.folder).samples
    best = sorted(samples, key=lambda sample: -float(sample.score or 0))[: arguments.photographs]
    changes: dict[str, list[float]] = {name: [] for name in VIEWS}
    with Scorer(arguments.model, device="cpu", precision="fp32") as scorer:
        for sample in best:
            image = shrink(decode(sample.path).pixels, scorer.bundle.card.preprocessing)
            before = score_of(scorer, image)
            for name, view in VIEWS.items():
                changes[name].append(score_of(scorer, np.ascontiguousarray(view(image))) - before)
        model = scorer.model_id
    result = {
        "model": model,
        "photographs": len(best),
        "change of the score": {name: described(values) for name, values in changes.items()},
        "machine": machine("onnxruntime"),
    }
    write_result(arguments.name, result)
    print(json.dumps(result["change of the score"], indent=1))


def score_of(scorer: Scorer, image: Pixels) -> float:
    """The score of an image in memory."""
    result = scorer.score(image)
    assert isinstance(result, Score)
    return result.score


def described(values: list[float]) -> dict[str, float]:
    """Median, the change that is largest in either direction, and the median size of a change."""
    found = np.array(values)
    return {
        "median": round(float(np.median(found)), 2),
        "largest": round(float(found[np.abs(found).argmax()]), 2),
        "median_size": round(float(np.median(np.abs(found))), 2),
    }


if __name__ == "__main__":
    main()
