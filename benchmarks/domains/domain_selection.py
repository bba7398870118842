"""The papers' claim on real photographs: which distortion types, and which contents, should a model train on?

    python -m benchmarks domain_selection FEATURES.npz LABELS.csv FOLDER --selected 1,3,10 --agreeing 3,9,10

FEATURES.npz is what `dgqa-infer train moments … --backbone … --features` kept of a synthetic set;
LABELS.csv rates the photographs of FOLDER and does nothing but evaluate. `--selected` are the types that
`dgqa-infer select` found for unlabelled photographs of that kind, `--agreeing` those whose judgements agree
on them: see `type_agreement.py`.

Every variant is the same recipe on the same budget: a ridge regression (penalty 10) of KADID's mean labels on
the frozen features of as many images as six types of 81 contents have, drawn by the seed. So all 25 types see
each content at fewer levels, not more images. DDCUp adds contents of the rest of the set to the 81, DRCDown
thins them; both then train on what that leaves. Ten random sets of six types stand for "any six types". Last,
each selected type is left out in turn: which of them helps, and which hurts?
The figures go to `results/domain_selection.json`, a picture to `docs/pictures/domain_selection.png`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_infer.bundle.preprocessing import STANDARD, Preprocessing
from dgqa_infer.errors import ModelError
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.pipeline.crops import read_crops
from dgqa_infer.results import Failure
from dgqa_training.datasets import LabelledSet, read_table
from dgqa_training.evaluation.of_bundle import group_by_prefix
from dgqa_training.labels.labels import PRISTINE_LABEL, kadid_mean
from dgqa_training.networks.heads import Head, QualityNetwork, pretrained_backbone
from dgqa_training.regressor.features import FeatureTable
from dgqa_training.regressor.linear_probe import RidgeSums
from dgqa_training.reshaping.algorithms import choose_contents, thin_clusters
from dgqa_training.selection.published import GREEDY, SELECTED

CONTENTS, TYPES, LEVELS, RIDGE = 81, 25, 5, 10.0
SEEDS, RANDOM_SETS, DRAWS = 3, 10, 2000
PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "domain_selection.png"

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Variant:
    """What is trained on.

    Attributes:
        name: in the table.
        types: of distortion.
        add: contents that DDCUp chooses.
        thin: clusters, as DRCDown does.
    """

    name: str
    types: tuple[int, ...]
    add: bool = False
    thin: bool = False


def features_of(
    reader: Callable[[Pixels], NDArray[np.float64]],
    paths: Sequence[Path],
    way: Preprocessing,
    observe: Callable[[int], None] = lambda _: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Features float64 [m, d] of the photographs that can be read, and which those are, bool [n]."""
    rows, here = [], np.zeros(len(paths), bool)
    for index, outcome in enumerate(read_crops([str(path) for path in paths], way)):
        if not isinstance(outcome.result, Failure):
            rows.append(reader(outcome.result.crops))
            here[index] = True
        observe(1)
    return np.stack(rows), here


def rated_features(
    table: FeatureTable, rated: LabelledSet, kept: Path | None
) -> tuple[np.ndarray, np.ndarray]:
    """Features of rated photographs under the pretrained backbone of a table; as an earlier run kept them.

    Args:
        table: of a pretrained backbone.
        rated: the photographs.
        kept: file of an earlier run's; written where it is missing.

    Returns:
        Float64 [m, d] of those that can be read, and which those are, bool [n].

    Raises:
        ModelError: the table is of a trained backbone.
    """
    if "trained" in table.record:
        raise ModelError("these features are of a trained backbone; the benchmark is of pretrained ones")
    if kept is not None and kept.exists():
        with np.load(kept) as found:
            return found["features"].astype(np.float64), found["here"]
    backbone = pretrained_backbone(table.record["backbone"])
    network = QualityNetwork(backbone, Head(tuple(table.record["stages"]))).eval()
    paths = [Path(sample.path) for sample in rated.samples]
    features, here = features_of(lambda stack: of_photograph(network, stack), paths, STANDARD)
    if kept is not None:
        np.savez(kept, features=features, here=here)
    return features, here


@torch.no_grad()
def of_photograph(network: QualityNetwork, crops: Pixels) -> NDArray[np.float64]:
    """Features of a photograph, float64 [d], the mean over its crops, uint8 [n, side, side, 3].

    In float32, as a bundle's graph has them: `regressor.features.looking` takes bf16 where that is faster.
    """
    found: NDArray[np.float64] = network.features(torch.from_numpy(crops)).mean((0, 2, 3)).double().numpy()
    return found


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("features", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--selected", required=True, type=lambda text: tuple(map(int, text.split(","))))
    parser.add_argument("--agreeing", required=True, type=lambda text: tuple(map(int, text.split(","))))
    parser.add_argument("--prefix", type=int, default=0)
    parser.add_argument("--kept", type=Path, metavar="FILE.npz", help="keeps the photographs' features")
    arguments = parser.parse_args()

    table = FeatureTable.load(arguments.features)
    rated = read_table(arguments.labels, arguments.folder)
    features, here = rated_features(table, rated, arguments.kept)
    scores = rated.scores[here]
    groups = np.array(group_by_prefix(rated.samples, arguments.prefix))[here] if arguments.prefix else None

    predictions = {
        variant: np.stack([predict(table, variant, features, seed) for seed in range(SEEDS)])
        for variant in variants(arguments.selected, arguments.agreeing)
    }
    rows = [figures(variant, found, scores, groups) for variant, found in predictions.items()]
    comparisons = list(compared(predictions, scores))
    result = {
        "machine": machine("scipy"),
        "set": dict(table.record),
        "photographs": len(scores),
        "seeds": SEEDS,
        "contents": CONTENTS,
        "ridge": RIDGE,
        "rows": rows,
        "comparisons": comparisons,
    }
    write_result("domain_selection", result)
    picture(rows)
    print(markdown(rows, comparisons))


def variants(selected: tuple[int, ...], agreeing: tuple[int, ...]) -> list[Variant]:
    """All that is compared."""
    everything = tuple(range(1, TYPES + 1))
    generator = np.random.default_rng(0)
    sets = {
        "all 25 types": everything,
        "our selection": selected,
        "agreeing types": agreeing,
        **{f"DGQA's {target}": SELECTED[target] for target in ("livec", "koniq10k", "bid")},
        **{f"DGQA's {target}, greedy": types for target, types in GREEDY.items()},
        **{
            f"random {number + 1}": tuple(sorted(generator.choice(everything, 6, replace=False).tolist()))
            for number in range(RANDOM_SETS)
        },
    }
    plain = [Variant(name, types) for name, types in sets.items()]
    reshaped = [
        Variant(f"{name} + {words}", sets[name], add, thin)
        for name in ("all 25 types", "our selection", "agreeing types")
        for words, add, thin in (
            ("DDCUp", True, False),
            ("DRCDown", False, True),
            ("DDCUp + DRCDown", True, True),
        )
    ]
    without = [
        Variant(f"our selection without {kind}", tuple(each for each in selected if each != kind))
        for kind in selected
        if len(selected) > 1
    ]
    return plain + reshaped + without


def predict(
    table: FeatureTable, variant: Variant, photographs: NDArray[np.float64], seed: int
) -> NDArray[np.float64]:
    """Train a variant, and judge photographs; float64 [n]."""
    rows = chosen(table, variant, np.random.default_rng(seed))
    sums = RidgeSums(table.features.shape[1])
    sums.add(table.features[rows].astype(np.float64), labels_of(table)[rows])
    weights, bias = sums.solve(RIDGE)
    return photographs @ weights + bias


def chosen(table: FeatureTable, variant: Variant, generator: np.random.Generator) -> Rows:
    """The images that a variant trains on."""
    contents = generator.permutation(int(table.contents.max()) + 1)
    base, others = np.sort(contents[:CONTENTS]), np.sort(contents[CONTENTS:])
    pristine = rows_of(table, base, (0,))
    distorted = rows_of(table, base, variant.types)
    budget = CONTENTS * 6 * LEVELS
    if len(distorted) > budget:
        distorted = np.sort(generator.choice(distorted, budget, replace=False))
    if variant.thin:
        features = table.features[distorted].astype(np.float32)
        distorted = distorted[thin_clusters(features, labels_of(table)[distorted], generator)]
    rows = [pristine, distorted]
    if variant.add:
        references, candidates = (undistorted(table, part) for part in (base, others))
        added = others[choose_contents(references, candidates).kept]
        extra = rows_of(table, added, variant.types)
        rows.append(extra[np.isin(table.levels[extra], (1, 3, 5))])
    return np.concatenate(rows)


def undistorted(table: FeatureTable, contents: NDArray[np.int64]) -> NDArray[np.float64]:
    """Features of each content without a distortion, the mean over its views; float64 [contents, d]."""
    return np.stack(
        [table.features[rows_of(table, content, (0,))].mean(0, np.float64) for content in contents[:, None]]
    )


def labels_of(table: FeatureTable) -> NDArray[np.float64]:
    """KADID's mean label of the type and level, 0–10; pristine images count as 10."""
    by_kind = kadid_mean()[np.maximum(table.types, 1) - 1, np.maximum(table.levels, 1) - 1]
    return np.where(table.types == 0, PRISTINE_LABEL, by_kind)


def rows_of(table: FeatureTable, contents: NDArray[np.intp], types: Sequence[int]) -> Rows:
    return np.flatnonzero(np.isin(table.contents, contents) & np.isin(table.types, types))


def srcc(predictions: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    return float(spearmanr(predictions, scores).statistic)


def figures(
    variant: Variant,
    predictions: NDArray[np.float64],
    scores: NDArray[np.float64],
    groups: NDArray[np.str_] | None,
) -> dict[str, Any]:
    """SRCC of a variant: mean and standard deviation over seeds, and a 95 % interval over photographs too."""
    found = [srcc(each, scores) for each in predictions]
    generator = np.random.default_rng(1)
    draws = []
    for _ in range(DRAWS):
        drawn = generator.integers(len(scores), size=len(scores))
        draws.append(srcc(predictions[generator.integers(len(predictions))][drawn], scores[drawn]))
    row: dict[str, Any] = {
        "name": variant.name,
        "types": list(variant.types),
        "srcc": round(float(np.mean(found)), 4),
        "sd": round(float(np.std(found, ddof=1)), 4),
        "interval": [round(float(end), 4) for end in np.quantile(draws, (0.025, 0.975))],
    }
    if groups is not None:
        row["groups"] = {
            str(name): round(
                float(np.mean([srcc(each[groups == name], scores[groups == name]) for each in predictions])),
                4,
            )
            for name in np.unique(groups)
        }
    return row


def compared(
    predictions: dict[Variant, NDArray[np.float64]], scores: NDArray[np.float64]
) -> Iterator[dict[str, Any]]:
    """Paired differences of SRCC: the same photographs and seeds for both; bootstrap 95 % intervals."""
    by_name = {variant.name: found for variant, found in predictions.items()}
    random = [name for name in by_name if name.startswith("random")]
    pairs = [
        ("our selection", ["all 25 types"]),
        ("our selection", random),
        ("agreeing types", ["all 25 types"]),
        ("agreeing types", random),
        ("agreeing types", ["our selection"]),
        ("agreeing types", ["DGQA's livec"]),
        ("DGQA's livec", ["all 25 types"]),
        ("DGQA's livec", random),
        *(
            (f"{base} + {more}", [base])
            for base in ("all 25 types", "our selection", "agreeing types")
            for more in ("DDCUp", "DRCDown", "DDCUp + DRCDown")
        ),
        *((name, ["our selection"]) for name in by_name if "without" in name),
    ]
    for first, others in pairs:
        generator = np.random.default_rng(2)
        draws = []
        for _ in range(DRAWS):
            drawn, seed = generator.integers(len(scores), size=len(scores)), generator.integers(SEEDS)
            other = others[generator.integers(len(others))]
            mine, theirs = (srcc(by_name[name][seed][drawn], scores[drawn]) for name in (first, other))
            draws.append(mine - theirs)
        mean = np.mean([srcc(each, scores) for each in by_name[first]]) - np.mean(
            [srcc(each, scores) for other in others for each in by_name[other]]
        )
        yield {
            "first": first,
            "second": others[0] if len(others) == 1 else "random sets of six types",
            "difference": round(float(mean), 4),
            "interval": [round(float(end), 4) for end in np.quantile(draws, (0.025, 0.975))],
        }


def picture(rows: list[dict[str, Any]]) -> None:
    """Points and intervals, the best on top."""
    from matplotlib.figure import Figure

    shown = [row for row in rows if "without" not in row["name"]]
    ordered = sorted(shown, key=lambda row: row["srcc"])
    figure = Figure(figsize=(9, 0.32 * len(ordered) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    for place, row in enumerate(ordered):
        colour = (
            "0.6"
            if row["name"].startswith("random")
            else "C0"
            if "our" in row["name"] or "agreeing" in row["name"]
            else "C1"
        )
        axes.plot(row["interval"], [place, place], color=colour, linewidth=2)
        axes.plot(row["srcc"], place, "o", color=colour)
    axes.set_yticks(range(len(ordered)), [row["name"] for row in ordered])
    axes.set_xlabel(
        "SRCC with people's opinion (mean of the seeds; 95 % interval over photographs and seeds)"
    )
    axes.grid(axis="x", alpha=0.3)
    figure.savefig(PICTURE, dpi=120)


def markdown(rows: list[dict[str, Any]], comparisons: list[dict[str, Any]]) -> str:
    """Both tables, for the documentation."""
    groups = list(rows[0].get("groups", {}))
    lines = [
        f"| trained on | types | SRCC | 95 % | {' | '.join(groups)}".rstrip("| ") + " |",
        "|---" * (4 + len(groups)) + "|",
    ]
    for row in rows:
        cells = [row["name"], " ".join(map(str, row["types"])) if len(row["types"]) < TYPES else "1–25"]
        cells += [f"{row['srcc']:.3f} ± {row['sd']:.3f}", "{:.3f}–{:.3f}".format(*row["interval"])]
        lines.append(
            f"| {' | '.join(cells + [f'{value:.3f}' for value in row.get('groups', {}).values()])} |"
        )
    lines += ["", "| | less | difference of SRCC | 95 % |", "|---|---|---|---|"]
    for row in comparisons:
        interval = "{:+.3f} to {:+.3f}".format(*row["interval"])
        lines.append(f"| {row['first']} | {row['second']} | {row['difference']:+.3f} | {interval} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
