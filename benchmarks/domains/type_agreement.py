"""Do the distortion types that agree on unlabelled photographs also agree with people?

    python -m benchmarks type_agreement PHOTOS LABELS.csv FOLDER --resembling 1,4,8 [--prefix 4]

PHOTOS are unlabelled; LABELS.csv rates the photographs of FOLDER and does nothing but evaluate. Each of the
25 types trains a head of its own, from the moments that come with the package. How far the types agree is
taken of PHOTOS, as `dgqa-infer adapt` does it; how well each orders the rated ones, of FOLDER. Then heads of
several selections are compared, as `adapt` trains them; `--resembling` are the types that `dgqa-infer select`
finds in PHOTOS. Last, PHOTOS are drawn with replacement, fewer each time: how many does one need?
The figures go to `results/type_agreement.json`, a picture to `docs/pictures/type_agreement.png`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr

from benchmarks.domains.domain_selection import DRAWS, SEEDS, TYPES, Variant, features_of, figures, srcc
from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_export.adaptation.adaptation import moments_for
from dgqa_export.graphs.head import FeatureReader
from dgqa_infer.bundle.bundle import QUALITY_GRAPH, Bundle
from dgqa_infer.cli._output import Output
from dgqa_infer.cli._type_lists import types_of
from dgqa_infer.inputs.finder import InputFinder
from dgqa_training.adaptation.agreement import Agreement, agreement
from dgqa_training.adaptation.moments import Moments
from dgqa_training.datasets import read_table
from dgqa_training.evaluation.of_bundle import group_by_prefix
from dgqa_training.selection.published import SELECTED

SIZES, REPEATS = (20, 50, 100, 300, 1000), 50
PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "type_agreement.png"

Features = NDArray[np.float64]


def arguments_of() -> argparse.Namespace:
    parser = new_parser(__doc__, model=True)
    parser.add_argument("photos", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--resembling", required=True, type=types_of)
    parser.add_argument("--prefix", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    arguments = arguments_of()
    bundle = Bundle.load(arguments.model)
    ridge, moments = float(bundle.card.training["plan"]["ridge"]), moments_for(bundle, None)
    unrated = [Path(path) for path in InputFinder().find([str(arguments.photos)]) if isinstance(path, str)]
    rated = read_table(arguments.labels, arguments.folder)
    with Output().progress("looking", len(unrated) + len(rated.samples)) as bar:
        reader = FeatureReader(bundle.graph_bytes(QUALITY_GRAPH))
        way = bundle.card.preprocessing
        seen, _ = features_of(reader, unrated, way, bar.advance)
        features, here = features_of(reader, [Path(each.path) for each in rated.samples], way, bar.advance)
    scores = rated.scores[here]
    groups = np.array(group_by_prefix(rated.samples, arguments.prefix))[here] if arguments.prefix else None

    def judged(types: Sequence[int]) -> NDArray[np.float64]:
        head = moments.solve(types, ridge)
        return features @ head.weights + head.bias

    found = agreement(seen, moments, ridge)
    accuracy = [srcc(judged([kind]), scores) for kind in range(1, TYPES + 1)]
    rows = [
        figures(Variant(name, types), np.stack([judged(types)] * SEEDS), scores, groups)
        for name, types in selections(found, arguments.resembling).items()
    ]
    for row in rows:
        del row["sd"]  # the moments are of all images: no seed decides anything
    result: dict[str, Any] = {
        "machine": machine("scipy"),
        "photographs": {"unlabelled": len(seen), "rated": len(scores)},
        "moments": dict(moments.record),
        "ridge": ridge,
        "types": [
            {"type": kind, "agreement": round(value, 4), "srcc": round(right, 4)}
            for kind, (value, right) in enumerate(zip(found.values, accuracy, strict=True), 1)
        ],
        "agreement_and_srcc": {
            "pearson": round(float(pearsonr(found.values, accuracy).statistic), 4),
            "spearman": round(float(spearmanr(found.values, accuracy).statistic), 4),
            "p": float(spearmanr(found.values, accuracy).pvalue),
        },
        "rows": rows,
        "differences": differences({row["name"]: judged(row["types"]) for row in rows}, scores),
        "sample_sizes": [
            sampled(seen, size, found, moments, ridge, judged, scores) for size in SIZES if size <= len(seen)
        ],
    }
    write_result("type_agreement", result)
    picture(found, accuracy)
    for name in ("rows", "differences", "sample_sizes"):
        Output(json=False).table([{k: str(v) for k, v in row.items()} for row in result[name]], title=name)


def selections(found: Agreement, resembling: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """What is compared."""
    return {
        "all 25 types": tuple(range(1, TYPES + 1)),
        "resembling": resembling,
        "agreeing": found.selected,
        "resembling and agreeing": tuple(sorted(set(resembling) & set(found.selected))),
        "DGQA's livec": SELECTED["livec"],
        "DGQA's livec or agreeing": tuple(sorted({*SELECTED["livec"], *found.selected})),
    }


def differences(judged: Mapping[str, Features], scores: NDArray[np.float64]) -> list[dict[str, Any]]:
    """SRCC of the agreeing types less that of others; paired bootstrap over photographs, 95 %."""
    rows = []
    for other in ("all 25 types", "resembling", "DGQA's livec"):
        generator = np.random.default_rng(3)
        draws = []
        for _ in range(DRAWS):
            drawn = generator.integers(len(scores), size=len(scores))
            mine, theirs = (srcc(judged[name][drawn], scores[drawn]) for name in ("agreeing", other))
            draws.append(mine - theirs)
        rows.append(
            {
                "first": "agreeing",
                "second": other,
                "difference": round(srcc(judged["agreeing"], scores) - srcc(judged[other], scores), 4),
                "interval": [round(float(end), 4) for end in np.quantile(draws, (0.025, 0.975))],
            }
        )
    return rows


def sampled(
    seen: Features, size: int, whole: Agreement, moments: Moments, ridge: float, judged: Any, scores: Features
) -> dict[str, Any]:
    """What fewer photographs would have chosen, and how well that orders the rated ones."""
    generator = np.random.default_rng(size)
    overlaps, srccs = [], []
    for _ in range(REPEATS):
        drawn = agreement(seen[generator.integers(len(seen), size=size)], moments, ridge).selected
        both = {*drawn, *whole.selected}
        overlaps.append(len({*drawn} & {*whole.selected}) / len(both))
        srccs.append(srcc(judged(drawn), scores))
    return {
        "photographs": size,
        "jaccard": round(float(np.mean(overlaps)), 3),
        "srcc": round(float(np.mean(srccs)), 4),
        "lowest_srcc": round(float(np.min(srccs)), 4),
    }


def picture(found: Agreement, accuracy: Sequence[float]) -> None:
    """Each type: agreement with the others against agreement with people."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.axvline(float(np.mean(found.values)), color="0.8")
    for kind, (value, right) in enumerate(zip(found.values, accuracy, strict=True), 1):
        chosen = kind in found.selected
        axes.plot(value, right, "o", color="C0" if chosen else "0.6")
        axes.annotate(str(kind), (value, right), xytext=(4, 3), textcoords="offset points", fontsize=8)
    axes.set_xlabel("agreement with the other types on unlabelled photographs")
    axes.set_ylabel("SRCC with people's opinion of other photographs")
    axes.grid(alpha=0.3)
    figure.savefig(PICTURE, dpi=120)


if __name__ == "__main__":
    main()
