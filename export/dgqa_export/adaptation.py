"""Unlabelled photographs, and the domains they select → a bundle that was trained for them, and verified."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dgqa_export import adapter
from dgqa_export.head import FeatureReader
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.bundle.bundle import QUALITY_GRAPH, Bundle
from dgqa_infer.bundle.card import is_name
from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.domains.profile import DomainProfile
from dgqa_infer.errors import ImageError, ModelError, OutputError, UsageError
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.images.crops import crops
from dgqa_infer.images.decode import decode
from dgqa_training.adaptation import agreement, ratings
from dgqa_training.adaptation.agreement import Agreement
from dgqa_training.adaptation.moments import LinearHead, Moments
from dgqa_training.datasets import read_table
from dgqa_training.labels.score_scale import link
from dgqa_training.selection.votes import DomainSelection

Rule = Literal["agreement", "resemblance"]
"""How types are chosen: those that agree, or those that the photographs resemble (DGQA's rule)."""

SAMPLE = agreement.ENOUGH
"""Photographs that types are chosen by, at most."""
_VERIFIED = 32
"""Photographs on which a new bundle is verified, at most."""


@dataclass(frozen=True, slots=True)
class Rated:
    """Photographs that the user rated.

    Attributes:
        paths: of the photographs.
        ratings: float64 [n], higher is better.
        bounds: worst and best rating of the scale.
    """

    paths: tuple[Path, ...]
    ratings: NDArray[np.float64]
    bounds: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Adapted:
    """What came of it.

    Attributes:
        bundle: that was written.
        selection: the domains that the photographs resemble, and what they rest on.
        types: how far distortion types agree on the photographs; None where that was not asked or could not
            be told.
        kept: rank correlation of the new and the old model on the sample.
        drift: largest difference of raw between the bundle and its head on the sample.
        srcc: rank correlation with the user's ratings; None without them.
        finetuned: what ratings did to the ranking; None where they were not to.
    """

    bundle: Bundle
    selection: DomainSelection
    types: Agreement | None
    kept: float
    drift: float
    srcc: float | None
    finetuned: ratings.FinetuneResult | None

    def record(self) -> dict[str, Any]:
        """JSON-able, for programs."""
        return {
            "bundle": str(self.bundle.path),
            "model": self.bundle.model_id,
            "photos": self.selection.photos,
            "resembling": list(self.selection.selected),
            "agreeing": None if self.types is None else list(self.types.selected),
            "training": dict(self.bundle.card.training),
            "srcc_with_the_model_before": round(self.kept, 5),
            "largest_difference_when_verified": self.drift,
            "srcc_with_your_ratings": None if self.srcc is None else round(self.srcc, 5),
            "ratings_bent_the_ranking": bool(self.finetuned and self.finetuned.helped),
        }


def moments_for(bundle: Bundle, file: Path | None) -> Moments:
    """The moments that a bundle's head can be trained from.

    Args:
        bundle: to be adapted.
        file: that `train moments` wrote; None for those that come with the package.

    Raises:
        ModelError: there are none, or they are of another network.
    """
    if file is None:
        moments = Moments.built_in(str(bundle.card.training.get("plan", {}).get("backbone")))
    else:
        try:
            moments = Moments.from_bytes(file.read_bytes())
        except OSError as error:
            raise ModelError(f"{file} cannot be read: {error.strerror}") from error
    adapter.refuse_mismatch(bundle, moments)
    return moments


def refuse_unwritable(out: Path) -> None:
    """Check before anything is computed that a bundle can be written and what it will be called.

    Raises:
        UsageError: a bundle cannot have this name.
        OutputError: the folder's parent is missing, or the folder is something that is no bundle.
    """
    if not is_name(out.name.lower()):
        raise UsageError(f"{out.name!r} cannot be a bundle's name: letters, digits, '.', '_' and '-' only")
    if not out.parent.is_dir():
        raise OutputError(f"{out} cannot be written: {out.parent} is no folder")
    if out.exists() and not (out / "card.json").is_file() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"{out} is something that is no bundle; it is left alone")


def rated(table: Path, folder: Path, scale: str | None) -> Rated:
    """Read the user's ratings.

    Args:
        table: CSV with an image and a score column.
        folder: where the images are.
        scale: worst and best rating, as in "1:5"; None for the least and the greatest that there is.

    Raises:
        UsageError: the table cannot be used, or the scale is none; says why.
    """
    samples = read_table(table, folder)
    scores = samples.scores
    if scale is None:
        bounds = (float(scores.min()), float(scores.max()))
    else:
        try:
            worst, best = (float(end) for end in scale.split(":"))
        except ValueError:
            raise UsageError(f"--scale {scale!r} is not of the form WORST:BEST, such as 1:5") from None
        bounds = (worst, best)
    if not samples.facts.higher_is_better or bounds[0] > bounds[1]:
        scores, bounds = (
            -scores,
            (-bounds[0], -bounds[1]) if bounds[0] > bounds[1] else (-bounds[1], -bounds[0]),
        )
    return Rated(tuple(Path(sample.path) for sample in samples.samples), scores, bounds)


def adapt(
    bundle: Bundle,
    profile: DomainProfile,
    moments: Moments,
    out: Path,
    sample: Sequence[Path],
    *,
    types: Sequence[int] = (),
    rule: Rule = "agreement",
    rated: Rated | None = None,
    finetune: bool = False,
    observe: Callable[[int], None] = lambda _: None,
) -> Adapted:
    """Train a head on chosen types, give it to a bundle, and check what was written.

    Args:
        bundle: whose network stays as it is.
        profile: domain profile of the photographs that the new bundle is for; at least one.
        moments: of the synthetic set; see `moments_for`.
        out: folder of the new bundle; its name becomes the bundle's.
        sample: some of the photographs, `SAMPLE` of them spread over all: types are chosen by them, and the
            new bundle is verified on them. Of fewer than `agreement.LEAST` nobody can tell which agree; the
            types that they resemble are chosen then.
        types: to train on, whatever the rule would choose.
        rule: how types are chosen.
        rated: photographs that the user rated; they set the scale of the scores.
        finetune: let ratings change the ranking, where that helps.
        observe: told how many photographs more were looked at.

    Raises:
        UsageError: no domain is selected, or the ratings cannot be used.
        ModelError: what was written is not what was trained.
        OutputError: the bundle cannot be written.
    """
    selection = DomainSelection(tuple(profile.votes.tolist()), profile.photos)
    ridge = float(bundle.card.training["plan"]["ridge"])  # as the bundle's own head was trained
    reader = FeatureReader(bundle.graph_bytes(QUALITY_GRAPH))
    way = bundle.card.preprocessing
    seen, readable = features_of(reader, sample, way, observe)
    agreeing = None
    if rule == "agreement" and not types and len(seen) >= agreement.LEAST:
        agreeing = agreement.agreement(seen, moments, ridge)
    chosen = tuple(types) or (selection.selected if agreeing is None else agreeing.selected)
    if not chosen:
        raise UsageError(
            f"{selection.photos} photographs select no domain to train on: none is like any distortion; "
            "keep the model as it is, or name --types"
        )
    head, finetuned, srcc = moments.solve(chosen, ridge), None, None
    if rated is not None:
        features, here = features_of(reader, rated.paths, way, observe)
        given = rated.ratings[here]
        if finetune:
            finetuned = ratings.finetune(head, features, moments.basis, given)
            head = finetuned.head
        raw = features @ head.weights + head.bias
        calibration = ratings.calibration(raw, given, rated.bounds)
        srcc = ratings.srcc(raw, given)
    else:
        calibration = link(*moments.stand_ins(head, chosen))
    training = {
        "types": list(chosen),
        "types_chosen_by": "the user" if types else "resemblance" if agreeing is None else "agreement",
        "types_agree": None if agreeing is None else agreeing.record(),
        "ridge": ridge,
        "moments": dict(moments.record),
        "ratings": 0 if rated is None else len(rated.ratings),
        "ratings_bent_the_ranking": bool(finetuned and finetuned.helped),
    }
    written = adapter.write(
        bundle,
        head,
        out,
        name=out.name.lower(),
        training=training,
        profile=profile.as_card(),
        calibration=calibration,
    )
    paths = [path for path, read in zip(sample, readable, strict=True) if read][:_VERIFIED]
    kept, drift = _verify(bundle, written, head, seen[:_VERIFIED], paths)
    return Adapted(written, selection, agreeing, kept, drift, srcc, finetuned)


def _verify(
    before: Bundle, after: Bundle, head: LinearHead, features: NDArray[np.float64], sample: Sequence[Path]
) -> tuple[float, float]:
    """How far the order stays, and how far the new graph is from its head.

    Raises:
        ModelError: farther than the tolerance of weights that are stored as float16.
    """
    old, new = (_raw(bundle, sample) for bundle in (before, after))
    drift = float(np.abs(features @ head.weights + head.bias - new).max())
    if not drift <= after.card.tolerances["fp16"]:
        raise ModelError(f"{after.path}: its raw scores are off by {drift:.2g}; do not use it, report a bug")
    return (ratings.srcc(old, new) if len(sample) > 1 else 1.0), drift


def _raw(bundle: Bundle, sample: Sequence[Path]) -> NDArray[np.float64]:
    with OnnxRuntimeBackend(bundle.graph_bytes(QUALITY_GRAPH)) as backend:
        stacks = (_crops(path, bundle.card.preprocessing) for path in sample)
        return np.array([backend.infer(stack)["quality"].mean() for stack in stacks if stack is not None])


def features_of(
    reader: FeatureReader,
    paths: Sequence[Path],
    way: Preprocessing,
    observe: Callable[[int], None] = lambda _: None,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What a head reads of photographs.

    Args:
        reader: of the graph.
        paths: of the photographs.
        way: how they become crops.
        observe: told after each.

    Returns:
        Features float64 [m, d] of those that can be read, and which those are, bool [n].

    Raises:
        UsageError: none can be read.
    """
    rows, here = [], np.zeros(len(paths), bool)
    for index, path in enumerate(paths):
        if (stack := _crops(path, way)) is not None:
            rows.append(reader(stack))
            here[index] = True
        observe(1)
    if not rows:
        raise UsageError(f"none of {len(paths)} photographs can be read")
    return np.stack(rows), here


def _crops(path: Path, way: Preprocessing) -> Pixels | None:
    try:
        return crops(decode(path).pixels, way)[0]
    except ImageError:
        return None
