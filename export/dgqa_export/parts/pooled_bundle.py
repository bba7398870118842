"""A bundle whose quality graph takes the mean of its cells is given pooling, and its scale anew.

python -m dgqa_export.parts.pooled_bundle BUNDLE PHOTOS OUT --exponent 0.8
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dgqa_export.bundles import describe
from dgqa_export.graphs.pooling import with_pooling
from dgqa_export.parts.quality_head import rescaled
from dgqa_infer.bundle.bundle import DOMAIN_GRAPH, QUALITY_GRAPH, Bundle, write_bundle
from dgqa_infer.bundle.card import Calibration


def pool(bundle: Bundle, photographs: Path, folder: Path, exponent: float, version: str) -> Bundle:
    """Write a bundle again, with pooling and a scale of percentiles of the photographs.

    Tolerances of fp16 and int8 shrink with the spread of raw quality: they allow the same share of it.

    Args:
        bundle: in fp32, with a scale of percentiles of the same photographs.
        photographs: folder of ordinary photographs: half of them score below 50, a tenth above 90.
        folder: of the new bundle; may be that of the old one.
        exponent: see `dgqa_export.graphs.pooling`.
        version: of the new bundle.

    Raises:
        UsageError: the exponent is out of range, or too few photographs can be scored.
        OutputError: the folder cannot be written.
    """
    old = bundle.card
    training = {**old.training, "pooling": {"exponent": exponent}}
    for replaced in ("scale", "int8"):  # the int8 graph has the old pooling, and is left out
        training.pop(replaced, None)
    graph = with_pooling(bundle.graph_bytes(QUALITY_GRAPH), exponent)
    card = rescaled(replace(old, version=version, training=training, figures=()), graph, photographs)
    spread = _middle(card.calibration) / _middle(old.calibration)
    smaller = {name: float(f"{old.tolerances[name] * spread:.1g}") for name in ("fp16", "int8")}
    card = replace(card, tolerances={**old.tolerances, **smaller})
    others = {name: bundle.graph_bytes(name) for name in old.files if name == DOMAIN_GRAPH}
    return write_bundle(folder, {**others, QUALITY_GRAPH: describe(graph, card)}, card)


def _middle(scale: Calibration) -> float:
    """Raw quality between the scores 10 and 90: what ordinary photographs differ by."""
    low, high = np.interp([10, 90], scale.score, scale.raw)
    return float(high - low)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("photographs", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--exponent", type=float, required=True)
    parser.add_argument("--version", required=True, help="of the new bundle, such as 2.2.0")
    given = parser.parse_args(arguments)
    bundle = Bundle.load(given.bundle)
    bundle = pool(bundle, given.photographs, given.out, given.exponent, given.version)
    print(f"{given.out}: {bundle.model_id}")


if __name__ == "__main__":
    main()
