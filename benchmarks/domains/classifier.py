"""How well does a bundle's classifier tell types apart on unseen contents, saved as users save them?

    python -m benchmarks classifier PRISTINE [--model dgqa-lite0] [--selection FILE.json] [--logits FILE.npz]

PRISTINE holds the photographs that the card names as kept back from the classifier. Each is looked at
pristine and at every type and level, each image through a view that is no fault; and pristine once more,
without loss and as JPEG of quality 95, 85 and 75. --selection is what `dgqa-infer select --json` found for
real photographs: a classifier that sees file formats gives pristine photographs that are saved as JPEG the
same domain profile. --logits keeps what was said of each image, for `planted_domains`. The figures go to
`results/classifier.json`, the confusion to `results/classifier_confusion.csv` and
`docs/pictures/domain_confusion.png`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import RESULTS, machine, write_result
from benchmarks.options import new_parser
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.bundle.bundle import DOMAIN_GRAPH, Bundle
from dgqa_infer.cli._output import Output
from dgqa_infer.domains.profile import votes_of
from dgqa_infer.images.arrays import Pixels
from dgqa_training.classifier.figures import confusion_picture
from dgqa_training.classifier.held_out import CASES, HeldOut, judge
from dgqa_training.classifier.report import as_csv, confusion, figures, pristine_saved_as
from dgqa_training.loop.crop_sources import PRISTINE

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"


def main() -> int:
    parser = new_parser(__doc__, model=True)
    parser.add_argument("pristine", type=Path)
    parser.add_argument("--selection", type=Path)
    parser.add_argument("--logits", type=Path, metavar="FILE.npz")
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    bundle = Bundle.load(given.model)
    training, way = bundle.card.training, bundle.card.preprocessing
    record = training.get("domain_head", training["classifier"])
    kept = [given.pristine / name for name in record["held_out"]]

    with OnnxRuntimeBackend(bundle.graph_bytes(DOMAIN_GRAPH), threads=1) as backend:

        def classify(crops: Pixels) -> NDArray[np.float32]:
            return backend.infer(crops)["domain_logits"].copy()

        with Output(json=False).progress("held-out contents", len(kept) * len(CASES)) as bar:
            seen = judge(classify, way, kept, workers=given.workers, advance=bar.advance)
        saved = pristine_saved_as(classify, way, kept)

    result: dict[str, Any] = {
        "machine": machine("onnxruntime"),
        "classifier": bundle.card.files[DOMAIN_GRAPH].sha256[:8],
        **figures(seen),
        "pristine_saved_as": {name: pristine(each) for name, each in saved.items()},
    }
    targets = {
        "top1": (result["top1"], 0.80),
        "top1_levels_3_5": (result["top1_levels_3_5"], 0.90),
        "pristine": (min(each["top1"] for each in result["pristine_saved_as"].values()), 0.80),
    }
    if given.selection is not None:
        scores = json.loads(given.selection.read_text(encoding="utf-8"))["scores"]
        result["profiles"] = profiles(saved, np.array([scores[str(kind)] for kind in range(26)]))
        targets["likeness"] = (-result["profiles"]["jpeg-75"]["correlation_of_types"], -0.5)
    result["targets"] = {
        name: {"value": abs(value), "target": abs(target), "met": bool(value >= target)}
        for name, (value, target) in targets.items()
    }
    write_result("classifier", result)
    if given.logits is not None:
        seen.save(given.logits)
    matrix = confusion(seen)
    (RESULTS / "classifier_confusion.csv").write_text(as_csv(matrix), encoding="utf-8")
    confusion_picture(matrix).savefig(PICTURES / "domain_confusion.png")
    print(json.dumps(result["targets"], indent=1))
    return 0 if all(each["met"] for each in result["targets"].values()) else 1


def pristine(seen: HeldOut) -> dict[str, Any]:
    """How often "pristine" is the likeliest class, and how often one of the four."""
    ranks = (-seen.logits).argsort(1)
    return {
        "images": len(ranks),
        "top1": round(float((ranks[:, 0] == PRISTINE).mean()), 4),
        "among_four": round(float((ranks[:, :4] == PRISTINE).any(1).mean()), 4),
    }


def profiles(saved: dict[str, HeldOut], real: NDArray[np.float64]) -> dict[str, Any]:
    """How like the domain profile of pristine photographs is to that of real ones, by how they are saved.

    Args:
        saved: what was said of the pristine ones.
        real: share of each class in the scores of `select`, float64 [26].
    """
    found = {}
    for name, seen in saved.items():
        ballots = np.array([votes_of(row) for row in seen.logits])
        profile = np.bincount(ballots.ravel(), minlength=26) / (3 * len(ballots))
        found[name] = {
            "correlation": round(float(np.corrcoef(profile, real)[0, 1]), 4),
            "correlation_of_types": round(float(np.corrcoef(profile[1:], real[1:])[0, 1]), 4),
            "scores": [round(float(score), 4) for score in profile],
        }
    return found


if __name__ == "__main__":
    main()
