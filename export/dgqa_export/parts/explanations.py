"""When a bundle names a distortion: chosen for its own graphs, on photographs that trained nothing.

    python -m dgqa_export.parts.explanations BUNDLE PRISTINE OUT

The training's report chooses thresholds of a classifier by itself. In a bundle an explanation also rests on
the score, and perhaps on fewer crops; so they are chosen anew for a bundle whose quality graph is another.
PRISTINE holds the photographs that the classifier's training kept back: the card names them.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dgqa_infer.backends.batches import infer_photographs
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.bundle.bundle import DOMAIN_GRAPH, QUALITY_GRAPH, Bundle, write_bundle
from dgqa_infer.bundle.card import Fault
from dgqa_infer.domains.classes import require_kadid
from dgqa_infer.domains.explainer import mean_logits
from dgqa_infer.domains.explanation import with_score
from dgqa_infer.errors import ModelError, UsageError
from dgqa_infer.images.crops import crops
from dgqa_training.classifier.examples import examples
from dgqa_training.classifier.faults import FALSE_ALARMS, choose
from dgqa_training.classifier.held_out import HeldOut
from dgqa_training.classifier.temperature import fit_temperature

SCORE_WEIGHTS: Final = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Of a low score in an explanation; the one that names most on contents left out is kept."""

_BATCH = 8


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a bundle says of photographs whose faults are known.

    Attributes:
        held_out: the mean logits over the crops that explanations rest on, and what is known.
        scores: float64 [n], 0–100.
    """

    held_out: HeldOut
    scores: NDArray[np.float64]

    def weighed(self, weight: float) -> HeldOut:
        """With the score as evidence, see `dgqa_infer.domains.explanation.with_score`."""
        return replace(self.held_out, logits=with_score(self.held_out.logits, self.scores, weight))


def kept_back(bundle: Bundle) -> list[str]:
    """Names of the photographs that neither the classifier's head nor its network was trained on.

    Raises:
        ModelError: the bundle's card has none.
    """
    for part in ("domain_head", "classifier"):
        if names := bundle.card.training.get(part, {}).get("held_out"):
            return list(names)
    raise ModelError(
        f"{bundle.card.name}: its card names no photographs that the classifier's training kept back"
    )


def look_at_examples(
    bundle: Bundle, contents: Sequence[Path], *, advance: Callable[[int], None] = lambda _: None
) -> Seen:
    """What a bundle says of `dgqa_training.classifier.examples`.

    Args:
        bundle: with a domain classifier.
        contents: pristine photographs that the classifier was not trained on.
        advance: called with the number of further examples done.

    Raises:
        ModelError: the bundle has no domain classifier, or one with other classes.
    """
    domains, preprocessing = bundle.card.domains, bundle.card.preprocessing
    require_kadid(domains, bundle.card.name)
    assert domains is not None
    images = examples(contents, preprocessing)
    logits, raws, facts = [], [], []
    with (
        OnnxRuntimeBackend(bundle.graph_bytes(QUALITY_GRAPH)) as quality,
        OnnxRuntimeBackend(bundle.graph_bytes(DOMAIN_GRAPH)) as classifier,
    ):
        while some := list(islice(images, _BATCH)):
            stack = np.concatenate([crops(each.pixels, preprocessing)[0] for each in some])
            logits.append(mean_logits(classifier, stack, preprocessing.grid, domains))
            found = infer_photographs(quality, stack, preprocessing.grid)["quality"]
            raws.append(found.reshape(len(some), preprocessing.grid).mean(axis=1, dtype=np.float64))
            facts += [(each.content, each.type, each.level) for each in some]
            advance(len(some))
    places, types, levels = np.array(facts, np.int64).T
    scores = np.array([bundle.card.calibration(raw) for raw in np.concatenate(raws).tolist()])
    return Seen(HeldOut(np.concatenate(logits), types, levels, places), scores)


def replace_domain_graph(
    bundle: Bundle, graph: bytes, record: dict[str, Any], kept: Sequence[Path], folder: Path
) -> Bundle:
    """Write a bundle again, with another classifier and the explanations that rest on it.

    Args:
        bundle: with a domain classifier.
        graph: of the other one, in fp32.
        record: of how it was trained, for the card's `training`.
        kept: pristine photographs that it was not trained on.
        folder: of the new bundle; may be that of the old one, which is replaced when all has been chosen.

    Raises:
        UsageError: too few photographs, see `with_explanations`.
        OutputError: the folder cannot be written.
    """
    assert bundle.card.domains is not None
    # A profile is what another classifier says: it does not outlive it.
    card = replace(
        bundle.card,
        domains=replace(bundle.card.domains, faults={}, profile={}),
        training={**bundle.card.training, **record},
    )
    graphs = {name: bundle.graph_bytes(name) for name in bundle.card.files} | {DOMAIN_GRAPH: graph}
    with tempfile.TemporaryDirectory() as temporary:
        draft = write_bundle(Path(temporary, "draft"), graphs, card)
        return with_explanations(draft, look_at_examples(draft, kept), folder)


def with_explanations(
    bundle: Bundle,
    seen: Seen,
    folder: str | os.PathLike[str],
    score_weights: Sequence[float] = SCORE_WEIGHTS,
) -> Bundle:
    """Write a bundle again: temperature, thresholds, severities and the score's weight, for its own graphs.

    Args:
        bundle: with a domain classifier.
        seen: see `look_at_examples`.
        folder: of the new bundle; may be that of the old one.
        score_weights: of which one is chosen.

    Raises:
        ModelError: the bundle has no domain classifier, or one with other classes.
        UsageError: the examples are of fewer than five contents, or of so few that no thresholds keep false
            alarms within the limit.
        OutputError: the folder cannot be written.
    """
    domains = bundle.card.domains
    require_kadid(domains, bundle.card.name)
    assert domains is not None
    candidates = [_chosen(seen, weight) for weight in score_weights]
    temperature, faults, record = max(candidates, key=lambda each: _preference(each[2]))
    if not record["within_limit"]:
        raise UsageError(
            f"no thresholds keep false alarms within {FALSE_ALARMS:.0%}: with the best something is named on "
            f"{record['false_alarms_on_contents_left_out']:.1%} of undistorted images; choose them on more "
            f"photographs than {record['contents']}"
        )
    card = replace(
        bundle.card,
        domains=replace(
            domains,
            temperature=temperature,
            faults={name: faults[name.replace("_", "-")] for name in domains.classes[1:]},
            score_weight=record["score_weight"],
        ),
        training={
            **bundle.card.training,
            "explanations": {**record, "tried": [tried for _, _, tried in candidates]},
        },
    )
    return write_bundle(folder, {name: bundle.graph_bytes(name) for name in card.files}, card)


def _preference(record: Mapping[str, Any]) -> tuple[bool, float]:
    """By which thresholds are compared: a limit that is kept counts more than any share that is named."""
    return record["within_limit"], record["named_on_contents_left_out"]


def _chosen(seen: Seen, weight: float) -> tuple[float, dict[str, Fault], dict[str, Any]]:
    """Temperature and thresholds at a weight of the score, and how they were chosen."""
    held_out = seen.weighed(weight)
    classes = np.where(held_out.identities, 0, held_out.classes)
    temperature = round(fit_temperature(held_out.logits, classes), 5)
    faults, record = choose(held_out, temperature)
    return temperature, faults, {"score_weight": weight, **record}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("pristine", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args(arguments)
    bundle = Bundle.load(given.bundle)
    seen = look_at_examples(bundle, [given.pristine / name for name in kept_back(bundle)])
    print(f"{given.out}: {with_explanations(bundle, seen, given.out).model_id}")


if __name__ == "__main__":
    main()
