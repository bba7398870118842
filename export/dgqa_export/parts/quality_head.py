"""A bundle's quality head is fitted anew on features that were taken once, its scale on real photographs.

    python -m dgqa_export.parts.quality_head BUNDLE FEATURES.npz PHOTOS OUT --types 1,3,10 --ridge 3

FEATURES.npz is what `dgqa-infer train moments --features` keeps. The head is the ridge regression of KADID's
mean labels on the features of the chosen types, with differences between views as further samples whose
target is 0. No rating of any photograph is read.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dgqa_export.bundles import describe
from dgqa_export.graphs.head import replace_head
from dgqa_infer import Failure, Scorer
from dgqa_infer.bundle.bundle import DOMAIN_GRAPH, QUALITY_GRAPH, Bundle, write_bundle
from dgqa_infer.bundle.card import Card
from dgqa_infer.errors import UsageError
from dgqa_training.adaptation.moments import LinearHead
from dgqa_training.labels.labels import PRISTINE_LABEL, kadid_mean
from dgqa_training.labels.score_scale import percentiles
from dgqa_training.loop.crop_sources import PRISTINE
from dgqa_training.loop.loop import software
from dgqa_training.regressor.consistency import WEIGHTS
from dgqa_training.regressor.features import FeatureTable
from dgqa_training.regressor.linear_probe import RidgeSums


def fit(table: FeatureTable, types: Sequence[int], ridge: float) -> LinearHead:
    """The head for a selection of types.

    Args:
        table: features of a synthetic set, with differences between views if the head shall be consistent.
        types: 1–25; pristine images come with them.
        ridge: penalty on the squared weights of standardised features, relative to the number of samples.

    Raises:
        UsageError: the table has no image of these types.
    """
    rows = np.isin(table.types, [PRISTINE, *types])
    if set(types) - set(table.types.tolist()):
        raise UsageError(f"the features are not of all of the types {', '.join(map(str, types))}")
    kinds, levels = table.types[rows], table.levels[rows]
    features = table.features[rows]
    labels = np.where(kinds == PRISTINE, PRISTINE_LABEL, kadid_mean()[kinds - 1, levels - 1])
    sums = RidgeSums(table.features.shape[1])
    for start in range(0, len(labels), 4096):
        part = slice(start, start + 4096)
        sums.add(features[part].astype(np.float64), labels[part])
    differences = table.differences if table.differences is not None else np.zeros((0, 0, sums.channels))
    for changes in differences:
        sums.add_differences(changes.astype(np.float64))
    return LinearHead(*sums.solve(ridge))


def rebuild(
    bundle: Bundle, table: FeatureTable, photographs: Path, folder: Path, types: Sequence[int], ridge: float
) -> Bundle:
    """Write a bundle again, with a head fitted to the types and a scale of percentiles of the photographs.

    Args:
        bundle: in fp32, whose head reads the table's features.
        table: see `fit`.
        photographs: folder of ordinary photographs: half of them score below 50, a tenth above 90.
        folder: of the new bundle; may be that of the old one.
        types: 1–25.
        ridge: see `fit`.

    Raises:
        ModelError: the head does not fit.
        UsageError: the table lacks a type, or too few photographs can be scored.
        OutputError: the folder cannot be written.
    """
    head = fit(table, types, ridge)
    old = bundle.card
    plan = {**old.training.get("plan", {}), "types": sorted(types), "ridge": ridge, "views": True}
    views = {"photographs": 0 if table.differences is None else len(table.differences), "weights": WEIGHTS}
    training = {
        **old.training,
        "plan": plan,
        "contents": table.record["contents"],
        "consistency": views,
        "software": software(),
    }
    for replaced in ("scale", "int8"):  # the int8 graph has the old head, and is left out
        training.pop(replaced, None)
    card = replace(old, training=training, figures=())
    graph = replace_head(bundle.graph_bytes(QUALITY_GRAPH), head.weights, head.bias)
    others = {name: bundle.graph_bytes(name) for name in old.files if name == DOMAIN_GRAPH}
    card = rescaled(card, graph, photographs)
    return write_bundle(folder, {**others, QUALITY_GRAPH: describe(graph, card)}, card)


def rescaled(card: Card, graph: bytes, photographs: Path) -> Card:
    """The card with a scale by which the graph's scores are percentiles of photographs, and its record.

    Args:
        card: of a bundle in fp32.
        graph: of quality.
        photographs: folder of ordinary photographs; those that cannot be read are left out.

    Raises:
        UsageError: too few photographs can be scored.
    """
    plain = replace(card, domains=None)
    with tempfile.TemporaryDirectory() as temporary:
        draft = write_bundle(Path(temporary, "draft"), {QUALITY_GRAPH: describe(graph, plain)}, plain)
        with Scorer(draft, device="cpu") as scorer:
            results = list(scorer.score_files([photographs]))
    raw: NDArray[np.float64] = np.array([each.raw for each in results if not isinstance(each, Failure)])
    scale = percentiles(raw)
    record = {**scale.as_card(), "photographs": len(raw)}
    return replace(card, calibration=scale, training={**card.training, "scale": record})


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("features", type=Path)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--types", required=True, help="numbers 1-25, separated by commas")
    parser.add_argument("--ridge", type=float, default=3.0)
    given = parser.parse_args(arguments)
    types = [int(number) for number in given.types.split(",")]
    table = FeatureTable.load(given.features)
    bundle = rebuild(Bundle.load(given.bundle), table, given.photographs, given.out, types, given.ridge)
    print(f"{given.out}: {bundle.model_id}")


if __name__ == "__main__":
    main()
