"""DGQA's claim with tuned networks: does it matter which types train a regressor?

    python -m benchmarks tuned_selection PRISTINE LABELS.csv FOLDER RUN --selected 1,3,10 --agreeing 3,9,10

`domain_selection` compares sets of types by ridge regressions on frozen features. Here each variant's network
is then tuned as the papers tune theirs, with their loss and rate: the backbone but for its depthwise kernels,
for a few epochs instead of 24, on crops of 160 pixels, which is what a CPU can do. LABELS.csv rates the
photographs of FOLDER and does nothing but evaluate.

Each seed draws 81 of the contents of PRISTINE, and of their images as many as six types have. Each image is
seen through a view that is no fault. Labels are KADID's mean of the type and level.

RUN keeps crops and what each network says; interrupted, the same command goes on where it was. The figures go
to `results/tuned_selection.json`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.domains.domain_selection import CONTENTS, LEVELS, RIDGE, TYPES
from benchmarks.domains.less_data import SEEDS, difference, summary
from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_infer.bundle.preprocessing import STANDARD
from dgqa_infer.cli._output import Output
from dgqa_infer.cli._type_lists import types_of
from dgqa_infer.images.crops import crops
from dgqa_infer.images.decode import decode
from dgqa_infer.inputs.finder import photographs_in
from dgqa_training.datasets import LabelledSet, read_table
from dgqa_training.distortions import LEVELS as ALL_LEVELS
from dgqa_training.evaluation.of_network import predict
from dgqa_training.evaluation.protocols import OURS
from dgqa_training.loop.crop_sources import PRISTINE, Synthetic, SyntheticCrops
from dgqa_training.loop.kept_crops import KeptCrops, keep_crops
from dgqa_training.loop.loop import Training, half_where_it_pays
from dgqa_training.loop.recipe import Recipe
from dgqa_training.networks.heads import Head, QualityNetwork, pretrained_backbone
from dgqa_training.regressor.linear_probe import fit_probe
from dgqa_training.regressor.training import STAGES, absolute_error, synthetic_samples
from dgqa_training.selection.published import SELECTED

BACKBONE, CROP, SEED = "efficientnet_lite0", 160, 123
RECIPE = Recipe(epochs=3, cooldown=1, tune="pointwise")

Predictions = NDArray[np.float64]


@dataclass(frozen=True)
class Variant:
    """What is trained on: its name in the table, and types of distortion."""

    name: str
    types: tuple[int, ...]


class Chosen:
    """Some of a source's samples.

    Args:
        source: of all.
        places: of those that are trained on.
    """

    def __init__(self, source: KeptCrops, places: Sequence[int]) -> None:
        self._source, self._places = source, list(places)

    def __len__(self) -> int:
        return len(self._places)

    def target(self, index: int) -> float:
        """Label of sample `index`, 0–10."""
        return self._source.target(self._places[index])

    def crop(self, index: int, generator: np.random.Generator) -> NDArray[np.uint8]:
        """One random crop of sample `index`."""
        return self._source.crop(self._places[index], generator)

    def centre(self, index: int) -> NDArray[np.uint8]:
        """The centre of sample `index`, always the same."""
        return self._source.centre(self._places[index])


def variants(selected: tuple[int, ...], agreeing: tuple[int, ...]) -> list[Variant]:
    """All that is compared; the first is what the others are compared with."""
    return [
        Variant("all 25 types", tuple(range(1, TYPES + 1))),
        Variant("our selection", selected),
        Variant("agreeing types", agreeing),
        Variant("DGQA's livec", SELECTED["livec"]),
    ]


def chosen(samples: Sequence[Synthetic], types: Sequence[int], generator: np.random.Generator) -> list[int]:
    """Places of the images that a variant trains on, ascending.

    Args:
        samples: of all contents, types and levels.
        types: of distortion.
        generator: draws the contents, then of their distorted images the number that six types have.
    """
    contents = sorted({sample.reference for sample in samples})
    drawn = {contents[place] for place in generator.permutation(len(contents))[:CONTENTS]}
    here = [place for place, sample in enumerate(samples) if sample.reference in drawn]
    pristine = [place for place in here if samples[place].type == PRISTINE]
    distorted = [place for place in here if samples[place].type in types]
    if len(distorted) > (budget := CONTENTS * 6 * LEVELS):
        distorted = generator.choice(distorted, budget, replace=False).tolist()
    return sorted(pristine + distorted)


def frozen_features(rated: LabelledSet) -> Predictions:
    """What heads read of photographs before anything is tuned, float64 [n, channels], means over crops."""
    network, found = network_to_tune().eval(), []
    with torch.inference_mode(), half_where_it_pays("cpu"):
        for sample in rated.samples:
            features = network.features(torch.from_numpy(crops(decode(sample.path).pixels, STANDARD)[0]))
            found.append(features.double().mean((0, 2, 3)).numpy())
    return np.stack(found)


def network_to_tune() -> QualityNetwork:
    return QualityNetwork(pretrained_backbone(BACKBONE), Head(STAGES[BACKBONE]))


def judged(
    variant: Variant, seed: int, source: Chosen, rated: LabelledSet, frozen: Predictions, run: Path
) -> Predictions:
    """What a variant says of photographs before and after it is tuned, float64 [2, n]; kept in a file.

    Args:
        variant: names the file.
        seed: of all randomness.
        source: what it trains on.
        rated: the photographs.
        frozen: their features, see `frozen_features`.
        run: folder of the file.
    """
    settings = {"types": list(variant.types), "images": len(source)}
    known = json.dumps([settings, asdict(RECIPE), RIDGE, CROP])
    name = f"{variant.name.replace(' ', '-')}-{seed}-{hashlib.sha256(known.encode()).hexdigest()[:8]}"
    file = run / f"{name}.npy"
    if file.exists():
        return np.asarray(np.load(file))
    torch.manual_seed(seed)
    network = network_to_tune()
    training = Training(
        network,
        source,
        absolute_error,
        replace(RECIPE, seed=seed),
        run / name,
        settings,
    )
    fit_probe(network, source, ridge=RIDGE, seed=seed)
    weights, bias = (each.detach().double().numpy().ravel() for each in network.linear.parameters())
    before = frozen @ weights + bias
    training.run()
    with half_where_it_pays("cpu"):
        after = predict(network, rated.samples, OURS)
    found = np.stack([before, after])
    np.save(file, found)
    print(f"{variant.name}, seed {seed}: {len(source)} images", flush=True)
    return found


def rows_of(
    found: dict[str, Predictions], sizes: dict[str, int], scores: Predictions
) -> dict[str, list[dict[str, Any]]]:
    """SRCC of each variant, and its difference to the first.

    Args:
        found: name → float64 [seeds, n].
        sizes: name → images.
        scores: people's.
    """
    first = next(iter(found))
    return {
        "rows": [summary(name, sizes[name], each, scores) for name, each in found.items()],
        "differences": [
            difference(name, each, found[first], scores) for name, each in found.items() if name != first
        ],
    }


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("pristine", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--selected", required=True, type=types_of)
    parser.add_argument("--agreeing", required=True, type=types_of)
    parser.add_argument("--workers", type=int, default=2, help="processes that make crops")
    given = parser.parse_args()
    rated = read_table(given.labels, given.folder)
    references = photographs_in(given.pristine)
    samples = synthetic_samples(references, range(1, TYPES + 1), ALL_LEVELS)
    made = keep_crops(
        SyntheticCrops(samples, STANDARD, views=True),
        given.run,
        names=[path.name for path in references],
        kept=STANDARD.crop,
        side=CROP,
        rounds=1,
        seed=SEED,
        workers=given.workers,
    )
    frozen = frozen_features(rated)
    compared = variants(given.selected, given.agreeing)
    found: dict[str, list[Predictions]] = {variant.name: [] for variant in compared}
    sizes = {}
    for seed in range(SEEDS):
        for variant in compared:
            source = Chosen(made, chosen(samples, variant.types, np.random.default_rng(seed)))
            sizes[variant.name] = len(source)
            found[variant.name].append(judged(variant, seed, source, rated, frozen, given.run))
    stacks = {name: np.stack(each) for name, each in found.items()}
    result: dict[str, Any] = {
        "machine": machine("scipy", "torch"),
        "photographs": len(rated.samples),
        "contents": [CONTENTS, len(references)],
        "images": sizes,
        "types": {variant.name: list(variant.types) for variant in compared},
        "seeds": SEEDS,
        "ridge": RIDGE,
        "crop": CROP,
        "recipe": asdict(RECIPE),
        "frozen": rows_of({name: each[:, 0] for name, each in stacks.items()}, sizes, rated.scores),
        "tuned": rows_of({name: each[:, 1] for name, each in stacks.items()}, sizes, rated.scores),
    }
    write_result("tuned_selection", result)
    output = Output(json=False)
    for way in ("frozen", "tuned"):
        for part, rows in result[way].items():
            output.table([{k: str(v) for k, v in row.items()} for row in rows], title=f"{way}: {part}")


if __name__ == "__main__":
    main()
