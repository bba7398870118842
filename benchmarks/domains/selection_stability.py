"""How far does the selection of domains depend on what it should not: seed, crops, sample, backbone?

    python -m benchmarks selection_stability PHOTOS --model dgqa-lite0 --logits runs/logits

Each bundle looks at all photographs once by its fixed grid and once for each seed of random crops; the logits
are kept in the folder --logits, so that an interrupted run goes on. The rest is resampling: photographs are
drawn with replacement, as if other photographs of the same kind had been taken.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import machine
from dgqa_infer.cli._errors import report
from dgqa_infer.cli._output import Output
from dgqa_infer.domains.classes import CLASSES
from dgqa_infer.domains.classifier import DomainClassifier, DomainLogits
from dgqa_infer.errors import DgqaError, UsageError
from dgqa_infer.inputs.finder import InputFinder
from dgqa_infer.pipeline.pipeline import Pipeline
from dgqa_training.selection.votes import PAPER, DomainSelection, ballots, overlap, select

SIZES = (20, 100, 300, 1000, 1500)
REPEATS = 500
SEEDS = (123, 124, 125)

Logits = NDArray[np.float64]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("photos", type=Path, help="folder of the photographs")
    parser.add_argument("--model", nargs="+", default=["dgqa-lite0"], help="bundles, one a backbone")
    parser.add_argument("--logits", type=Path, required=True, help="folder that keeps the logits")
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS, help="of the random crops")
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parents[1] / "results/selection_stability.json"
    )
    given = parser.parse_args(arguments)
    try:
        result = measure(given.photos, given.model, given.seeds, given.logits, given.device)
    except DgqaError as error:
        return report(error)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    for model in result["models"]:
        Output(json=False).table(
            model["sample_sizes"], title=f"{model['model']}: {model['grid']['selected']}"
        )
    return 0


def measure(
    photos: Path, models: Sequence[str], seeds: Sequence[int], kept: Path, device: str
) -> dict[str, Any]:
    """All figures, ready for JSON."""
    kept.mkdir(parents=True, exist_ok=True)
    found = [of_model(photos, model, seeds, kept, device) for model in models]
    return {
        "photographs": photos.name,
        "photos": found[0]["photos"],
        "rule": str(PAPER),
        "repeats": REPEATS,
        "models": found,
        "backbones": [
            {"first": one["model"], "second": other["model"], "overlap": of_types(one["grid"], other["grid"])}
            for one, other in combinations(found, 2)
        ],
        "machine": machine("onnxruntime"),
    }


def of_model(photos: Path, model: str, seeds: Sequence[int], kept: Path, device: str) -> dict[str, Any]:
    """One bundle's selection, and how it changes."""
    with DomainClassifier(model, device=device) as classifier:
        grid = logits(photos, classifier, None, kept)
        drawn = {seed: logits(photos, classifier, seed, kept) for seed in seeds}
        name = classifier.model_id
    reference = described(select(grid))
    at_random = {str(seed): described(select(found)) for seed, found in drawn.items()}
    return {
        "model": name,
        "photos": len(grid),
        "grid": reference,
        "random_crops": at_random,
        "with_kadis_prior": described(select(with_kadis_prior(grid))),
        "overlap_between_seeds": [of_types(one, other) for one, other in combinations(at_random.values(), 2)],
        "overlap_of_random_crops_with_grid": [of_types(reference, other) for other in at_random.values()],
        "sample_sizes": [of_size(grid, size) for size in SIZES],
    }


def logits(photos: Path, classifier: DomainClassifier, seed: int | None, kept: Path) -> Logits:
    """Logits of all photographs, [n, 26], from the folder that keeps them or anew."""
    crops = "grid" if seed is None else f"random-{seed}"
    file = kept / f"{classifier.model_id.replace('@', '-')}-{crops}.npy"
    if file.exists():
        found: Logits = np.load(file)
        return found
    rows = []
    with Pipeline(classifier, seed=seed) as pipeline, Output().progress(f"{crops} crops") as bar:
        for outcome in pipeline.run(InputFinder().find([str(photos)])):
            if not isinstance(outcome.result, DomainLogits):
                raise UsageError(f"{outcome.result.path}: {outcome.result.message}")
            rows.append(outcome.result.logits)
            bar.advance()
    if not rows:
        raise UsageError(f"there are no photographs in {photos}")
    np.save(file, np.array(rows))
    return np.array(rows)


def with_kadis_prior(grid: Logits) -> Logits:
    """Logits as if pristine images had been five times as frequent as a type's, as they are in KADIS-700k."""
    return np.asarray(grid + np.log(5) * (np.arange(len(CLASSES)) == 0))


def of_size(grid: Logits, size: int) -> dict[str, Any]:
    """How selections by other samples of so many photographs agree with that by all."""
    reference = select(grid).selected
    voted = np.zeros((len(grid), len(CLASSES)), np.int64)
    np.put_along_axis(voted, ballots(grid), 1, axis=1)
    generator = np.random.default_rng(size)
    chosen = [
        DomainSelection(tuple(voted[generator.integers(len(grid), size=size)].sum(0).tolist()), size).selected
        for _ in range(REPEATS)
    ]
    overlaps = np.array([overlap(reference, each) for each in chosen])
    return {
        "photos": size,
        "mean_overlap": round(float(overlaps.mean()), 4),
        "quantile_05": round(float(np.quantile(overlaps, 0.05)), 4),
        "identical": round(float((overlaps == 1).mean()), 4),
        "types": round(float(np.mean([len(each) for each in chosen])), 2),
    }


def described(selection: DomainSelection) -> dict[str, Any]:
    return {
        "selected": list(selection.selected),
        "undecided": list(selection.undecided),
        "scores": [round(score, 5) for score in selection.scores],
    }


def of_types(one: dict[str, Any], other: dict[str, Any]) -> float:
    return round(overlap(one["selected"], other["selected"]), 4)


if __name__ == "__main__":
    sys.exit(main())
