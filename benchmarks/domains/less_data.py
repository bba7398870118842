"""Two more of the papers' claims on frozen features: selected types need less data, and suit any head.

    python -m benchmarks less_data FEATURES.npz LABELS.csv FOLDER --selected 1,3,10

The arguments are those of `domain_selection`, and so is the recipe. *Less data*: SRCC with people's opinion
against the number of synthetic images, drawn anew for each seed; all 25 types, the selected ones, and those
that DGQA's authors select for LIVE in the Wild. *Orthogonality*: the same images under the plug-in head of
`dgqa_training.networks.hyper`, whose weights each photograph's content generates, trained on pooled features
by Adam for a fixed number of epochs. DGQA claims that selecting types helps whatever the head is.

The figures go to `results/less_data.json`, a picture to `docs/pictures/less_data.png`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from benchmarks.domains.domain_selection import (
    CONTENTS,
    DRAWS,
    LEVELS,
    RIDGE,
    TYPES,
    labels_of,
    rated_features,
    rows_of,
    srcc,
)
from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_infer.cli._output import Output
from dgqa_infer.cli._type_lists import types_of
from dgqa_training.datasets import read_table
from dgqa_training.networks.heads import Head, build_backbone
from dgqa_training.networks.hyper import HyperNetwork
from dgqa_training.regressor.features import FeatureTable
from dgqa_training.regressor.linear_probe import RidgeSums
from dgqa_training.selection.published import SELECTED

SIZES = (75, 150, 300, 600, 1200, CONTENTS * 6 * LEVELS)
SEEDS, EPOCHS, BATCH, RATE = 3, 20, 64, 1e-3
PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "less_data.png"

Predictions = NDArray[np.float64]


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("features", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--selected", required=True, type=types_of)
    parser.add_argument("--kept", type=Path, metavar="FILE.npz", help="keeps the photographs' features")
    given = parser.parse_args()
    table, rated = FeatureTable.load(given.features), read_table(given.labels, given.folder)
    photographs, here = rated_features(table, rated, given.kept)
    scores = rated.scores[here]
    sets = {
        "all 25 types": tuple(range(1, TYPES + 1)),
        "selected": given.selected,
        "DGQA's livec": SELECTED["livec"],
    }
    curve = [
        summary(
            name, size, np.stack([linear(table, types, size, photographs, s) for s in range(SEEDS)]), scores
        )
        for name, types in sets.items()
        for size in SIZES
    ]
    heads = {
        name: np.stack([hyper(table, types, photographs, seed) for seed in range(SEEDS)])
        for name, types in sets.items()
    }
    result: dict[str, Any] = {
        "machine": machine("scipy", "torch"),
        "set": dict(table.record),
        "photographs": len(scores),
        "types": {name: list(types) for name, types in sets.items()},
        "less_data": curve,
        "hyper": {
            "epochs": EPOCHS,
            "seeds": SEEDS,
            "rows": [summary(name, SIZES[-1], found, scores) for name, found in heads.items()],
            "differences": [
                difference(name, heads[name], heads["all 25 types"], scores) for name in list(heads)[1:]
            ],
        },
    }
    write_result("less_data", result)
    picture(curve)
    output = Output(json=False)
    output.table([{k: str(v) for k, v in row.items()} for row in curve], title="less data")
    for part in ("rows", "differences"):
        output.table(
            [{k: str(v) for k, v in row.items()} for row in result["hyper"][part]], title="hyper head"
        )


def drawn(
    table: FeatureTable, types: tuple[int, ...], size: int, generator: np.random.Generator
) -> NDArray[np.intp]:
    """So many distorted images of 81 contents, and the pristine images of the contents that they are of."""
    contents = generator.permutation(int(table.contents.max()) + 1)[:CONTENTS]
    distorted = rows_of(table, contents, types)
    if len(distorted) > size:
        distorted = generator.choice(distorted, size, replace=False)
    pristine = rows_of(table, np.unique(table.contents[distorted]), (0,))
    return np.concatenate([pristine, distorted])


def linear(
    table: FeatureTable, types: tuple[int, ...], size: int, photographs: Predictions, seed: int
) -> Predictions:
    """The ridge regression's opinion of photographs, float64 [n]."""
    rows = drawn(table, types, size, np.random.default_rng(seed))
    sums = RidgeSums(table.features.shape[1])
    sums.add(table.features[rows].astype(np.float64), labels_of(table)[rows])
    weights, bias = sums.solve(RIDGE)
    return photographs @ weights + bias


def hyper(table: FeatureTable, types: tuple[int, ...], photographs: Predictions, seed: int) -> Predictions:
    """The plug-in head's opinion of photographs, float64 [n]; it sees a picture as one position."""
    rows = drawn(table, types, SIZES[-1], np.random.default_rng(seed))
    features = table.features[rows].astype(np.float32)
    middle, spread = features.mean(0), features.std(0) + 1e-6
    torch.manual_seed(seed)
    network = HyperNetwork(build_backbone("efficientnet_lite0"), Head(tuple(table.record["stages"])))
    network.features = lambda pooled: pooled  # type: ignore[method-assign, assignment]
    inputs = torch.from_numpy((features - middle) / spread)[:, :, None, None]
    targets = torch.from_numpy(labels_of(table)[rows]).float()
    own = [value for name, value in network.named_parameters() if not name.startswith("backbone")]
    optimiser = torch.optim.Adam(own, RATE, weight_decay=1e-3)
    order = np.random.default_rng([seed, 1])
    for _ in range(EPOCHS):
        for batch in np.array_split(order.permutation(len(inputs)), len(inputs) // BATCH):
            optimiser.zero_grad()
            loss = functional.l1_loss(network(inputs[batch])["quality"], targets[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    seen = torch.from_numpy(((photographs - middle) / spread).astype(np.float32))[:, :, None, None]
    with torch.no_grad():
        return np.asarray(network(seen)["quality"].double().numpy())


def summary(name: str, size: int, predictions: Predictions, scores: Predictions) -> dict[str, Any]:
    """SRCC over seeds: mean, standard deviation, and a 95 % interval over photographs and seeds."""
    found = [srcc(each, scores) for each in predictions]
    generator = np.random.default_rng(1)
    draws = []
    for _ in range(DRAWS):
        here = generator.integers(len(scores), size=len(scores))
        draws.append(srcc(predictions[generator.integers(len(predictions))][here], scores[here]))
    return {
        "name": name,
        "images": size,
        "srcc": round(float(np.mean(found)), 4),
        "sd": round(float(np.std(found, ddof=1)), 4),
        "interval": [round(float(end), 4) for end in np.quantile(draws, (0.025, 0.975))],
    }


def difference(name: str, mine: Predictions, theirs: Predictions, scores: Predictions) -> dict[str, Any]:
    """SRCC less that of all 25 types, on the same photographs and seeds; a paired bootstrap interval."""
    generator = np.random.default_rng(2)
    draws = []
    for _ in range(DRAWS):
        here, seed = generator.integers(len(scores), size=len(scores)), generator.integers(len(mine))
        draws.append(srcc(mine[seed][here], scores[here]) - srcc(theirs[seed][here], scores[here]))
    means = [np.mean([srcc(each, scores) for each in found]) for found in (mine, theirs)]
    return {
        "first": name,
        "second": "all 25 types",
        "difference": round(float(means[0] - means[1]), 4),
        "interval": [round(float(end), 4) for end in np.quantile(draws, (0.025, 0.975))],
    }


def picture(curve: list[dict[str, Any]]) -> None:
    """A line a set of types, with its interval."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for number, name in enumerate(dict.fromkeys(row["name"] for row in curve)):
        here = [row for row in curve if row["name"] == name]
        sizes = [row["images"] for row in here]
        low, high = np.transpose([row["interval"] for row in here])
        axes.fill_between(sizes, low, high, alpha=0.12)
        axes.plot(sizes, [row["srcc"] for row in here], "o-", color=f"C{number}", label=name)
    axes.set_xscale("log")
    axes.set_xlabel("synthetic images trained on")
    axes.set_ylabel("SRCC with people's opinion (mean of the seeds)")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(PICTURE, dpi=120)


if __name__ == "__main__":
    main()
