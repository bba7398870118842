"""When a distortion is named, and how bad it is: chosen on photographs that trained nothing.

Both rest on a distortion's evidence, its logit less that of "pristine", at the temperature.

*Thresholds.* On undistorted photographs, seen through views that are no fault, anything at all is to be named
on at most 5 %. A distortion's threshold is the median of its evidence on them, plus a number of times the
distance from there to the 95 % quantile: far quantiles of a few hundred photographs would rest on the odd
one. The number is the same for all distortions, and the least that does: contents of each fifth are held
against thresholds that the other four fifths chose.

*Severity.* KADID-10k's raters saw each type at five levels. The evidence that images of a type and level have
is paired with the mean opinion of that type and level, and a never descending curve is fitted through the
pairs (isotonic regression).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from scipy.special import softmax

from dgqa_infer.bundle.card import Fault
from dgqa_infer.domains.classes import CLASSES
from dgqa_infer.domains.explanation import LEAST_PROBABILITY
from dgqa_infer.errors import UsageError
from dgqa_training.classifier.held_out import HeldOut
from dgqa_training.labels.kadid_scores import KadidScores, built_in
from dgqa_training.loop.crop_sources import PRISTINE

FALSE_ALARMS: Final = 0.05
"""Share of undistorted photographs of which anything may be named."""

STRONG: Final = 3
"""From this level on a distortion is to be named."""

BEST_DMOS: Final = 5.0
FEWEST_CONTENTS: Final = 5
"""Fewer contents cannot be left out in turn."""

_FOLDS = FEWEST_CONTENTS
_HIGH = 0.95
_MARGINS = tuple(round(1 + 0.05 * step, 2) for step in range(81))


def choose(
    seen: HeldOut, temperature: float, *, alarms: float = FALSE_ALARMS
) -> tuple[dict[str, Fault], dict[str, Any]]:
    """Thresholds and severities of the 25 distortions.

    Args:
        seen: logits of examples whose classes are known: undistorted ones and each type at several levels.
        temperature: of the softmax.
        alarms: share of undistorted photographs of which anything may be named.

    Returns:
        Class → what the card says of it, as `Domains.faults`; and how it was chosen, JSON-able. Where no
        margin is wide enough, thresholds are those of the widest, and the record's `within_limit` is False.

    Raises:
        UsageError: some type, or undistorted photographs of at least five contents, are missing.
    """
    pristine = seen.classes == PRISTINE
    contents = np.unique(seen.contents[pristine])
    if len(contents) < _FOLDS or len(np.unique(seen.classes)) < len(CLASSES):
        raise UsageError(
            f"thresholds need undistorted photographs of {_FOLDS} contents, and each of the 25 types"
        )
    found = evidence(seen.logits, temperature)
    margin, false_alarms, hits = _margin(seen, temperature, alarms)
    thresholds = _thresholds(found[pristine], margin)
    faults = {}
    for kind, name in enumerate(CLASSES[1:], 1):
        here = (seen.classes == kind) & ~seen.identities
        knots = severity_knots(found[here, kind - 1], kind, seen.levels[here])
        faults[name] = Fault(round(float(thresholds[kind - 1]), 4), *knots)
    record = {
        "undistorted": int(pristine.sum()),
        "contents": len(contents),
        "margin": margin,
        "false_alarms_on_contents_left_out": round(false_alarms, 4),
        "within_limit": false_alarms <= alarms,
        "named_on_contents_left_out": round(hits, 4),
    }
    return faults, record


def evidence(logits: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Of each distortion: float64 [n, 25], its logit less that of "pristine", over the temperature."""
    return np.asarray((logits[:, 1:] - logits[:, :1]) / temperature)


def named(
    logits: NDArray[np.float64], temperature: float, thresholds: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which distortions are named, bool [n, 25]; the rule of `dgqa_infer.domains.explanation`."""
    shares = softmax(logits / temperature, axis=1)[:, 1:]
    return np.asarray((evidence(logits, temperature) >= thresholds) & (shares >= LEAST_PROBABILITY))


def severity_knots(
    evidence: NDArray[np.float64], kind: int, levels: NDArray[np.int64], scores: KadidScores | None = None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """A curve from a type's evidence to its severity, 5 − DMOS.

    Args:
        evidence: float64 [n], of images of the type.
        kind: the type, 1–25.
        levels: int [n], 1–5, of the images.
        scores: KADID's; those that travel with the package by default.

    Returns:
        Knots: evidence, strictly ascending, and severity, never descending; at least two.
    """
    opinions = BEST_DMOS - (scores or built_in()).mean[kind - 1]
    order = np.argsort(evidence, kind="stable")
    fitted = isotonic_regression(opinions[levels[order] - 1]).x
    # The corners of the steps say all: one knot in the middle of each.
    starts = np.flatnonzero(np.diff(fitted, prepend=-1.0) > 1e-9)
    ends = np.append(starts[1:], len(fitted))
    # Knots that are rounded to the same evidence are one, with the greater severity.
    knots = {
        round(float(np.median(evidence[order][start:end])), 4): round(float(np.clip(fitted[start], 0, 4)), 3)
        for start, end in zip(starts, ends, strict=True)
    }
    if len(knots) == 1:
        ((middle, height),) = knots.items()
        knots[middle + 1] = height
    return tuple(knots), tuple(knots.values())


def _thresholds(found: NDArray[np.float64], margin: float) -> NDArray[np.float64]:
    """Of evidence on undistorted photographs, float64 [n, 25] → [25]."""
    middle, high = np.quantile(found, (0.5, _HIGH), axis=0)
    return np.asarray(middle + margin * (high - middle))


def _margin(seen: HeldOut, temperature: float, alarms: float) -> tuple[float, float, float]:
    """The least margin with no more false alarms on contents left out, or else the largest of all.

    Returns:
        The margin, and on contents left out its shares of false alarms and of hits.
    """
    margin, false_alarms, hits = 0.0, 1.0, 1.0
    for margin in _MARGINS:
        false_alarms, hits = _left_out(seen, temperature, margin)
        if false_alarms <= alarms:
            break
    return margin, false_alarms, hits


def _left_out(seen: HeldOut, temperature: float, margin: float) -> tuple[float, float]:
    """With thresholds that other contents chose: shares of undistorted images of which anything is named, and
    of images from level `STRONG` on whose type is named.
    """
    found = evidence(seen.logits, temperature)
    fold = np.unique(seen.contents, return_inverse=True)[1] % _FOLDS
    called = np.zeros(found.shape, bool)
    for left in range(_FOLDS):
        here = fold == left
        limits = _thresholds(found[~here & (seen.classes == PRISTINE)], margin)
        called[here] = named(seen.logits[here], temperature, limits)
    strong = (seen.levels >= STRONG) & ~seen.identities
    false_alarms = called[seen.classes == PRISTINE].any(axis=1).mean()
    return float(false_alarms), float(called[strong, seen.classes[strong] - 1].mean())
