"""Finish the card of a bundle that is to be released: version, licence, how it was made, and what it reached.

    python -m benchmarks model_card BUNDLE --version 1.0.0 --licence Apache-2.0 --made-by COMMAND --made-by
    COMMAND [--standard-preprocessing]

Figures come from those files of `results/` that were measured with this very bundle. So: run this once,
measure the bundle, and run it again. The weights are not touched. --standard-preprocessing gives a bundle
that was made before it the preprocessing that training has by now.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.machine import RESULTS
from benchmarks.options import new_parser
from dgqa_export.bundles import describe, in_precision
from dgqa_infer.bundle.bundle import DOMAIN_GRAPH, INT8_GRAPH, QUALITY_GRAPH, Bundle, write_bundle
from dgqa_infer.bundle.preprocessing import STANDARD

SOURCES = {
    "accuracy_biq2021_dev": "agreement with mean opinion scores: 500 photographs of BIQ2021's training split",
    "anchors": "what scores look like, and the share of 500 photographs of that split below each",
    "levels": "pairs of a photograph's distorted copies in the order of people's opinion, unseen photographs",
    "monotonicity": "photographs whose score falls at each of three steps of blur, and of JPEG compression",
}
"""Result → what it says, in words."""


_LEFT_OUT = ("machine", "model", "rows", "types")


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--version", required=True)
    parser.add_argument("--licence", required=True)
    parser.add_argument(
        "--made-by", action="append", metavar="COMMAND", help="those of the card where none is given"
    )
    parser.add_argument("--standard-preprocessing", action="store_true")
    arguments = parser.parse_args()

    bundle = Bundle.load(arguments.bundle)
    training = dict(bundle.card.training)
    if arguments.made_by:
        training["commands"] = arguments.made_by
    preprocessing = STANDARD if arguments.standard_preprocessing else bundle.card.preprocessing
    others = tuple(figure for figure in bundle.card.figures if figure.get("kind") not in SOURCES)
    card = replace(
        bundle.card,
        version=arguments.version,
        licence=arguments.licence,
        preprocessing=preprocessing,
        training=training,
        figures=others,
    )
    files = {QUALITY_GRAPH: describe(bundle.graph_bytes(QUALITY_GRAPH), card)}
    if DOMAIN_GRAPH in bundle.card.files:
        files[DOMAIN_GRAPH] = bundle.graph_bytes(DOMAIN_GRAPH)
    if INT8_GRAPH in bundle.card.files:
        files[INT8_GRAPH] = describe(bundle.graph_bytes(INT8_GRAPH), in_precision(card, "int8", []))
    described = write_bundle(bundle.path, files, card)
    figures = tuple(figures_of(described.model_id))
    write_bundle(bundle.path, files, replace(card, figures=(*others, *figures)))
    print(f"{described.model_id}: {len(figures)} of {len(SOURCES)} results are of this bundle")


def figures_of(model: str) -> list[dict[str, Any]]:
    """What was measured with a model; the rows of single photographs stay in the results."""
    figures = []
    for name, words in SOURCES.items():
        file = RESULTS / f"{name}.json"
        result = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        if result.get("model") == model:
            measured = {key: value for key, value in result.items() if key not in _LEFT_OUT}
            figures.append({"kind": name, "what": words, **measured})
    return figures


if __name__ == "__main__":
    main()
