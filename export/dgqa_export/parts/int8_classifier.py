"""A bundle whose domain classifier computes in int8: a smaller file, and explanations that cost less.

    python -m dgqa_export.parts.int8_classifier BUNDLE PRISTINE OUT

PRISTINE holds the photographs that the classifier was trained on, and those that its training kept back: the
card names them. Ranges are measured, and what int8 does is judged, on distorted views of the former;
temperature and thresholds are then chosen anew on the latter. How much a low score counts stays.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from dgqa_export.graphs.packing import pack, unpack
from dgqa_export.parts.explanations import kept_back, look_at_examples, with_explanations
from dgqa_export.precisions.int8 import to_int8
from dgqa_infer.bundle.bundle import DOMAIN_GRAPH, Bundle, write_bundle
from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.domains.classes import require_kadid
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.images.crops import crops
from dgqa_infer.inputs.finder import photographs_in
from dgqa_training.classifier.examples import examples

TOLERANCE: Final = 0.25
"""How far int8 may move a logit in the mean. Evidence for a distortion spreads over several."""

SEEN: Final = 16
"""Contents of the training that are looked at, at every type: every other view calibrates, others choose."""

_SEED = 123


def with_int8_classifier(bundle: Bundle, pristine: Path, folder: Path) -> Bundle:
    """Write a bundle again, its domain classifier in int8.

    Args:
        bundle: with a domain classifier in fp32.
        pristine: the photographs of its training, and those that were kept back from it.
        folder: of the new bundle; may be that of the old one.

    Raises:
        ModelError: the bundle has no domain classifier, one with other classes, one whose training kept back
            no photographs, or one that int8 changes.
        UsageError: there are too few photographs.
        ImageError: a photograph cannot be read.
        OutputError: the folder cannot be written.
    """
    require_kadid(bundle.card.domains, bundle.card.name)
    assert bundle.card.domains is not None
    weight = bundle.card.domains.score_weight
    training = bundle.card.training
    held_out = kept_back(bundle)
    trained_on = [path for path in photographs_in(pristine) if path.name not in held_out]
    contents = [trained_on[place] for place in np.random.default_rng(_SEED).permutation(len(trained_on))]
    views = list(_views(contents[:SEEN], bundle.card.preprocessing))
    found = to_int8(
        unpack(bundle.graph_bytes(DOMAIN_GRAPH)), views[0::2], views[1::2], TOLERANCE, report=print
    )
    graphs = {name: bundle.graph_bytes(name) for name in bundle.card.files}
    graphs[DOMAIN_GRAPH] = pack(found.graph)
    record = {"contents": SEEN, "left_out": len(found.left_out), "trials": [t.row() for t in found.trials]}
    card = replace(bundle.card, training={**training, "int8_classifier": record})
    kept = [pristine / name for name in held_out]
    # The folder may hold the only good bundle: it is replaced when all has been chosen.
    with tempfile.TemporaryDirectory() as temporary:
        draft = write_bundle(Path(temporary, "draft"), graphs, card)
        return with_explanations(draft, look_at_examples(draft, kept), folder, (weight,))


def _views(contents: Sequence[Path], preprocessing: Preprocessing) -> Iterator[Pixels]:
    """Crops of contents at every type, uint8 [grid, crop, crop, 3] each."""
    for example in examples(contents, preprocessing):
        yield crops(example.pixels, preprocessing)[0]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("pristine", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args(arguments)
    bundle = with_int8_classifier(Bundle.load(given.bundle), given.pristine, given.out)
    print(f"{given.out}: {bundle.model_id}")


if __name__ == "__main__":
    main()
