"""Can an explanation be believed? Planted faults, undistorted photographs, and those that people like best.

    python -m benchmarks explanations PRISTINE PHOTOS... [--rated LABELS.csv FOLDER]
        [--choose BUNDLE [--crops N ...]]

PRISTINE holds the photographs that the classifier was trained on, and those that its training kept back:
its card names them. Only the latter are looked at here. Of each some undistorted views are made, as cameras
and web sites save them, and views of each distortion; see `dgqa_training.classifier.examples`. PHOTOS are
files or folders of other photographs: blur, motion blur, noise, darkness, brightness and JPEG compression are
planted in each at KADID's levels 3 to 5, and what comes out is saved as a JPEG of quality 75 to 95.

LABELS.csv rates the photographs of FOLDER. In the 100 best-rated nothing should be named, in the 100
worst-rated something; that is looked at last, and chooses nothing.

With --choose thresholds and the weight of the score are chosen first, and the bundle with them is written to
BUNDLE. False alarms are then also counted on the views that chose; those on contents that did not stand
beside them (`false_alarms_on_contents_left_out`). With --crops explanations then rest on these crops of the
grid, 0 to 4, alone: the fewer, the faster.

The figures go to `results/explanations.json`.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.stats import binomtest

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_export.parts.explanations import look_at_examples, with_explanations
from dgqa_infer.bundle.bundle import DOMAIN_GRAPH, Bundle
from dgqa_infer.cli._output import Output
from dgqa_infer.domains.classes import CLASSES, words
from dgqa_infer.domains.explanation import explain
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.images.crops import shrink
from dgqa_infer.images.decode import decode
from dgqa_infer.inputs.finder import InputFinder
from dgqa_infer.results import Distortion
from dgqa_infer.scorer import Scorer
from dgqa_training.classifier.examples import number_of
from dgqa_training.datasets import read_table
from dgqa_training.distortions import distort, to_bytes

FAULTS = {
    "blur": ((1, 2), (1, 2)),
    "motion blur": ((3,), (3,)),
    "noise": ((11, 12), (11, 12, 13, 14)),
    "darkness": ((17,), (17,)),
    "brightness": ((16,), (16,)),
    "JPEG": ((10,), (10,)),
}
"""Fault → the types that are planted, and those whose names say so."""

LEVELS, QUALITIES = (3, 4, 5), (75, 95)
BEST, SEED = 100, 1


@dataclass(frozen=True, slots=True)
class Case:
    """What is known of an image.

    Attributes:
        type: KADID's number; 0 for none.
        level: 1–5; 0 for none.
        fault: that was planted; empty for none.
    """

    type: int = 0
    level: int = 0
    fault: str = ""


Found = list[tuple[Case, tuple[Distortion, ...]]]
"""What is named in each image."""


class Explainer:
    """Says of images what `dgqa-infer score --explain` would."""

    def __init__(self, bundle: Bundle, output: Output) -> None:
        self._scorer, self._output = Scorer(bundle, device="cpu", explain=True), output

    def __call__(self, images: Iterable[tuple[Case, Pixels]], number: int, label: str) -> Found:
        """What is named in each of some images, uint8 [h, w, 3]."""
        found: Found = []
        with self._output.progress(label, number) as bar:
            for case, pixels in images:
                found.append((case, self._scorer.score(pixels).distortions or ()))
                bar.advance(1)
        return found


def main() -> None:
    parser = new_parser(__doc__, model=True)
    parser.add_argument("pristine", type=Path)
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--rated", type=Path, nargs=2, metavar=("LABELS.csv", "FOLDER"))
    parser.add_argument("--choose", type=Path, metavar="BUNDLE")
    parser.add_argument("--crops", type=int, nargs="+", metavar="N")
    given = parser.parse_args()
    output, bundle = Output(json=False), Bundle.load(given.model)
    card, training = bundle.card, bundle.card.training
    assert card.domains is not None
    if given.crops is not None:
        domains = replace(card.domains, crops=tuple(sorted(given.crops)))
        bundle = replace(bundle, card=replace(card, domains=domains))
    record = training.get("domain_head", training["classifier"])
    kept = [given.pristine / name for name in record["held_out"]]
    with output.progress("held-out contents", number_of(len(kept))) as bar:
        seen = look_at_examples(bundle, kept, advance=bar.advance)
    if given.choose is not None:
        bundle = with_explanations(bundle, seen, given.choose)
    explainer, way = Explainer(bundle, output), bundle.card.preprocessing
    photos = [Path(path) for path in InputFinder().find(map(str, given.photos)) if isinstance(path, str)]
    assert bundle.card.domains is not None
    held_out = seen.weighed(bundle.card.domains.score_weight)
    looked_at = [
        (Case(int(kind), int(level)), explain(logits, bundle.card.domains))
        for kind, level, logits in zip(held_out.classes, held_out.levels, held_out.logits, strict=True)
    ]
    shrunk = (shrink(decode(path).pixels, way) for path in photos)
    per_photo = 1 + len(LEVELS) * sum(len(types) for types, _ in FAULTS.values())
    planted = explainer(plant(shrunk), len(photos) * per_photo, "planted faults")
    result: dict[str, Any] = {
        "machine": machine("scipy", "onnxruntime"),
        "model": bundle.model_id,
        "classifier": bundle.card.files[DOMAIN_GRAPH].sha256[:8],
        "chosen": bundle.card.training.get("explanations")
        or bundle.card.training["classifier"].get("report", {}).get("explanations"),
        "undistorted": alarms([found for case, found in looked_at if not case.type], len(kept)),
        "by_type": by_type(looked_at),
        "planted": [figures(planted, name) for name in FAULTS],
        "photographs": {
            "number": len(photos),
            "as_they_are": alarms([found for case, found in planted if not case.fault], len(photos)),
        },
    }
    if given.rated:
        labelled = read_table(*given.rated)
        order = np.argsort(-labelled.scores, kind="stable")
        for name, places in (("best_rated", order[:BEST]), ("worst_rated", order[-BEST:])):
            images = ((Case(), decode(labelled.samples[place].path).pixels) for place in places)
            result[name] = alarms([found for _, found in explainer(images, BEST, name)], BEST)
    write_result("explanations", result)
    shown = [{k: str(v) for k, v in row.items() if k != "first_by_level"} for row in result["planted"]]
    output.table(shown, title="planted faults, then saved as JPEG")
    for name in ("undistorted", "best_rated", "worst_rated"):
        print(name, result.get(name))


def plant(photographs: Iterable[Pixels]) -> Iterator[tuple[Case, Pixels]]:
    """Each photograph as it is, and with each fault at each level, saved as a JPEG."""
    for place, pixels in enumerate(photographs):
        yield Case(), pixels
        for fault, (types, _) in FAULTS.items():
            for kind in types:
                for level in LEVELS:
                    generator = np.random.default_rng([SEED, place, kind, level])
                    image = to_bytes(distort(pixels, kind, level, generator))
                    quality = int(generator.integers(QUALITIES[0], QUALITIES[1] + 1))
                    yield Case(kind, level, fault), as_jpeg(image, quality)


def as_jpeg(image: Pixels, quality: int) -> Pixels:
    """An image after it was saved as a JPEG, as Pillow saves it."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def figures(planted: Found, fault: str) -> dict[str, Any]:
    """How often a planted fault is named first, or at all; its own type or one that says the same."""
    saying = {words(CLASSES[kind]) for kind in FAULTS[fault][1]}
    here = [(case, found) for case, found in planted if case.fault == fault]
    first = [bool(found) and found[0].name in saying for _, found in here]
    named = [any(each.name in saying for each in found) for _, found in here]
    nothing = [not found for _, found in here]
    return {
        "fault": fault,
        "images": len(here),
        "first": share(first),
        "interval": wilson(first),
        "first_by_level": {
            level: share([hit for hit, (case, _) in zip(first, here, strict=True) if case.level == level])
            for level in LEVELS
        },
        "named": share(named),
        "nothing_named": share(nothing),
    }


def by_type(looked_at: Found) -> list[dict[str, Any]]:
    """Of each type at levels 3 to 5 on held-out contents: how often it is named."""
    rows = []
    for kind, name in enumerate(CLASSES):
        here = [found for case, found in looked_at if kind and case.type == kind and case.level in LEVELS]
        if here:
            told = words(name)
            rows.append(
                {
                    "type": kind,
                    "name": name,
                    "images": len(here),
                    "first": share([bool(found) and found[0].name == told for found in here]),
                    "named": share([any(each.name == told for each in found) for found in here]),
                }
            )
    return rows


def alarms(found: Sequence[tuple[Distortion, ...]], photographs: int) -> dict[str, Any]:
    """How often anything is named, and what."""
    names = [each.name for row in found for each in row]
    return {
        "images": len(found),
        "photographs": photographs,
        "named_anything": share([bool(row) for row in found]),
        "interval": wilson([bool(row) for row in found]),
        "names": {name: names.count(name) for name in sorted(set(names), key=names.count, reverse=True)},
    }


def wilson(hits: Sequence[bool]) -> list[float]:
    """Wilson's 95 % interval of a share; images of one photograph are taken to be independent."""
    ends = binomtest(sum(hits), len(hits)).proportion_ci(method="wilson")
    return [round(float(ends.low), 4), round(float(ends.high), 4)]


def share(hits: Sequence[bool]) -> float | None:
    return round(float(np.mean(hits)), 4) if hits else None


if __name__ == "__main__":
    main()
