"""Unlabelled photographs, and the domains they select → a bundle that was trained for them, and verified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dgqa_export.adaptation import adapter
from dgqa_export.adaptation.survey import Survey
from dgqa_export.graphs.pooling import carried, exponent_of, without_pooling
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.bundle.bundle import QUALITY_GRAPH, Bundle, refuse_strangers
from dgqa_infer.bundle.card import Calibration, is_name
from dgqa_infer.domains.profile import DomainProfile
from dgqa_infer.errors import ModelError, OutputError, UsageError
from dgqa_infer.images.arrays import Pixels
from dgqa_training.adaptation import agreement, ratings
from dgqa_training.adaptation.agreement import Agreement
from dgqa_training.adaptation.moments import LinearHead, Moments
from dgqa_training.datasets import read_table
from dgqa_training.labels.score_scale import link
from dgqa_training.selection.votes import DomainSelection

Rule = Literal["agreement", "resemblance"]
"""How types are chosen: those that agree, or those that the photographs resemble (DGQA's rule)."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which distortion types to train on.

    Attributes:
        types: these, whatever the rule would choose; empty for the rule's.
        rule: how types are chosen. Of fewer than `agreement.LEAST` photographs nobody can tell which types
            agree; those that they resemble are chosen then.
    """

    types: tuple[int, ...] = ()
    rule: Rule = "agreement"


@dataclass(frozen=True, slots=True)
class Rated:
    """Photographs that the user rated.

    Attributes:
        paths: of the photographs.
        ratings: float64 [n], higher is better.
        bounds: worst and best rating of the scale.
        finetune: let the ratings change the ranking, where that helps.
    """

    paths: tuple[Path, ...]
    ratings: NDArray[np.float64]
    bounds: tuple[float, float]
    finetune: bool = False


@dataclass(frozen=True, slots=True)
class Adapted:
    """The result.

    Attributes:
        bundle: that was written.
        selection: the domains that the photographs resemble, and what they rest on.
        types: how far distortion types agree on the photographs; None where not requested or unknown.
        kept: rank correlation of the new and the old model on the sample.
        drift: largest difference of raw between the bundle and its head on the sample.
        srcc: rank correlation with the user's ratings, each left out in turn where they changed the ranking;
            None without them.
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
            "ratings_changed_the_ranking": bool(self.finetuned and self.finetuned.helped),
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
        record = adapter.features_record(bundle.card)
        moments = Moments.built_in(record["backbone"], record.get("trained"))
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
        OutputError: the folder's parent is missing, or the folder is not one that a bundle may take.
    """
    if not is_name(out.name.lower()):
        raise UsageError(f"{out.name!r} cannot be a bundle's name: letters, digits, '.', '_' and '-' only")
    if not out.parent.is_dir():
        raise OutputError(f"{out} cannot be written: {out.parent} is no folder")
    refuse_strangers(out)


def rated(
    table: Path,
    folder: Path,
    scale: str | None,
    *,
    higher_is_better: bool | None = None,
    finetune: bool = False,
) -> Rated:
    """Read the user's ratings.

    Args:
        table: CSV with an image and a score column.
        folder: where the images are.
        scale: worst and best rating, as in "1:5"; None for the least and the greatest that there is.
        higher_is_better: direction of the ratings, see `read_table`.
        finetune: as in `Rated`.

    Raises:
        UsageError: the table cannot be used, or the scale is none or not that of the ratings; says why.
    """
    samples = read_table(table, folder, higher_is_better)
    scores = samples.scores
    if scale is None:
        bounds = (float(scores.min()), float(scores.max()))
    else:
        try:
            worst, best = (float(end) for end in scale.split(":"))
        except ValueError:
            raise UsageError(f"--scale {scale!r} is not of the form WORST:BEST, such as 1:5") from None
        bounds = (worst, best)
    ratings.check(scores, (min(bounds), max(bounds)))
    if not samples.facts.higher_is_better or bounds[0] > bounds[1]:
        scores, bounds = (
            -scores,
            (-bounds[0], -bounds[1]) if bounds[0] > bounds[1] else (-bounds[1], -bounds[0]),
        )
    return Rated(tuple(Path(sample.path) for sample in samples.samples), scores, bounds, finetune)


def adapt(
    bundle: Bundle,
    profile: DomainProfile,
    moments: Moments,
    out: Path,
    survey: Survey,
    choice: Choice | None = None,
    rated: Rated | None = None,
) -> Adapted:
    """Train a head on chosen types, give it to a bundle, and check what was written.

    Args:
        bundle: whose network stays as it is.
        profile: domain profile of the photographs that the new bundle is for; at least one.
        moments: of the synthetic set; see `moments_for`.
        out: folder of the new bundle; its name becomes the bundle's.
        survey: of the photographs, when its pass is made: types are chosen by its sample, and the new bundle
            is verified on it.
        choice: how types are chosen; `Choice()` where None.
        rated: photographs that the user rated; they set the scale of the scores.

    Raises:
        UsageError: no domain is selected, or the ratings cannot be used.
        ModelError: what was written is not what was trained.
        OutputError: the bundle cannot be written.
    """
    choice = choice or Choice()
    selection = DomainSelection.of(profile)
    ridge = float(bundle.card.training["plan"]["ridge"])  # as the bundle's own head was trained
    agreeing = _agreement(survey, moments, ridge, choice)
    types = choice.types or (selection.selected if agreeing is None else agreeing.selected)
    if not types:
        raise UsageError(
            f"{selection.photos} photographs select no domain to train on: none is like any distortion; "
            "keep the model as it is, or name --types"
        )
    fitted = _fit(bundle, moments, types, ridge, survey, rated)
    chosen_by = "the user" if choice.types else "resemblance" if agreeing is None else "agreement"
    training = {
        "types": list(types),
        "types_chosen_by": chosen_by,
        "types_agree": None if agreeing is None else agreeing.record(),
        "ridge": ridge,
        "moments": dict(moments.record),
        "ratings": 0 if rated is None else len(rated.ratings),
        "ratings_changed_the_ranking": bool(fitted.finetuned and fitted.finetuned.helped),
    }
    written = adapter.write(
        bundle,
        fitted.graph,
        out,
        name=out.name.lower(),
        training=training,
        profile=profile.as_card(),
        calibration=fitted.calibration,
    )
    kept, drift = _verify(bundle, written, fitted.head, survey)
    return Adapted(written, selection, agreeing, kept, drift, fitted.srcc, fitted.finetuned)


def _agreement(survey: Survey, moments: Moments, ridge: float, choice: Choice) -> Agreement | None:
    """How far the types agree on the sample; None where not requested or unknown."""
    if choice.rule != "agreement" or choice.types:
        return None
    seen, _ = survey.features(survey.sample)
    return agreement.agreement(seen, moments, ridge) if len(seen) >= agreement.LEAST else None


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A head and its graph, the scale of its scores, and what ratings did to them."""

    head: LinearHead
    graph: bytes
    calibration: Calibration
    srcc: float | None = None
    finetuned: ratings.FinetuneResult | None = None


def _fit(
    bundle: Bundle,
    moments: Moments,
    types: Sequence[int],
    ridge: float,
    survey: Survey,
    rated: Rated | None,
) -> _Fitted:
    head = moments.solve(types, ridge)
    if rated is None:
        graph = adapter.graph_of(bundle, head)
        scale = link(*moments.stand_ins(head, types))
        if (exponent := exponent_of(graph)) is not None:
            features, photographs = survey.verification()
            linear = features @ head.weights + head.bias
            scale = carried(scale, exponent, linear, _raw(graph, photographs))
        return _Fitted(head, graph, scale)
    photographs, here = survey.crops_of_rated()
    graph, given, finetuned = adapter.graph_of(bundle, head), rated.ratings[here], None
    raw = _raw(graph, photographs)
    reached = ratings.srcc(raw, given)
    if rated.finetune:
        features, here = survey.features(survey.rated)
        finetuned = ratings.finetune(head, features, moments.basis, rated.ratings[here], reached)
    if finetuned is not None and finetuned.helped:
        # The ratings were fitted by means over crops, and that is what then ranks.
        graph = adapter.graph_of(bundle, finetuned.head, pooled=False)
        # A ranking that the ratings changed agrees with those very ratings too well.
        raw, reached = _raw(graph, photographs), finetuned.after
    calibration = ratings.calibration(raw, given, rated.bounds)
    return _Fitted(finetuned.head if finetuned else head, graph, calibration, reached, finetuned)


def _verify(before: Bundle, after: Bundle, head: LinearHead, survey: Survey) -> tuple[float, float]:
    """How far the order stays, and how far the new graph is from its head.

    Raises:
        ModelError: farther than the tolerance of weights that are stored as float16.
    """
    features, photographs = survey.verification()
    graphs = [bundle.graph_bytes(QUALITY_GRAPH) for bundle in (before, after)]
    linear = _raw(without_pooling(graphs[1]), photographs)
    drift = float(np.abs(features @ head.weights + head.bias - linear).max())
    if not drift <= after.card.tolerances["fp16"]:
        raise ModelError(f"{after.path}: its raw scores are off by {drift:.2g}; do not use it, report a bug")
    old, new = (_raw(graph, photographs) for graph in graphs)
    return (ratings.srcc(old, new) if len(photographs) > 1 else 1.0), drift


def _raw(graph: bytes, photographs: Sequence[Pixels]) -> NDArray[np.float64]:
    with OnnxRuntimeBackend(graph) as backend:
        return np.array([backend.infer(crops)["quality"].mean() for crops in photographs])
