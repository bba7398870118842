"""What is wrong with a photograph: which distortions are clearly there, and how bad they are.

A classifier always has a likeliest class; that is no reason to call a photograph faulty. A distortion is
named where its evidence, the logarithm of how many times likelier it is than "pristine", reaches the
threshold that the card has for it. Thresholds are such that undistorted photographs, saved and resized as
users do, hardly ever reach one. What is named is ordered by harm, severity × probability.

A low score is evidence too: of two photographs in which the classifier sees the same, something is more
likely to be wrong with the one that scores lower. `with_score` weighs it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dgqa_infer.bundle.card import Domains
from dgqa_infer.domains.classes import words
from dgqa_infer.results import Distortion

LEAST_PROBABILITY: Final = 0.1
"""A distortion that is less probable is never named: another one explains the photograph better."""

MOST: Final = 3
"""More are never named."""


def with_score(
    logits: NDArray[np.float64], scores: NDArray[np.float64], weight: float
) -> NDArray[np.float64]:
    """The logits with a low score as evidence: the lower it is, the less likely "pristine" is.

    What looks too dark or too bright may score well all the same, so scores above 50 are no evidence.

    Args:
        logits: float64 [..., classes], the mean over crops.
        scores: float64 [...], 0–100.
        weight: `Domains.score_weight`; 0 changes nothing.

    Returns:
        float64 [..., classes].
    """
    weighed = np.array(logits, np.float64)
    weighed[..., 0] += weight * np.minimum(0.0, np.log((scores + 1) / (101 - scores)))
    return weighed


def probabilities(logits: NDArray[np.float64], domains: Domains) -> NDArray[np.float64]:
    """Softmax of a photograph's logits at the card's temperature, float64 [classes].

    Args:
        logits: float64 [classes], the mean over crops; what is not finite counts as 0.
        domains: says the temperature.
    """
    scaled = np.nan_to_num(logits) / domains.temperature
    shares = np.exp(scaled - scaled.max())
    return np.asarray(shares / shares.sum())


def probabilities_by_class(logits: NDArray[np.float64], domains: Domains) -> dict[str, float]:
    """The same with the classes' names."""
    return dict(zip(domains.classes, probabilities(logits, domains).tolist(), strict=True))


def explain(logits: NDArray[np.float64], domains: Domains) -> tuple[Distortion, ...]:
    """Name what is wrong, the most harmful first.

    Args:
        logits: float64 [classes], the mean over crops.
        domains: the classes' names, the temperature, and the thresholds. Of a classifier without thresholds
            nothing is named where "pristine" is likeliest; else the likeliest distortion is, and what reaches
            `LEAST_PROBABILITY`, the likeliest first and without a severity.

    Returns:
        Up to `MOST`; empty where none is clearly there.
    """
    shares = probabilities(logits, domains)
    if not domains.faults:
        return _likeliest(shares, domains)
    evidence = np.nan_to_num(logits) / domains.temperature
    evidence = evidence - evidence[0]
    found = []
    for index, name in enumerate(domains.classes[1:], 1):
        fault = domains.faults[name]
        if shares[index] >= LEAST_PROBABILITY and evidence[index] >= fault.threshold:
            severity = fault.severity_of(float(evidence[index]))
            found.append(Distortion(words(name), float(shares[index]), severity))
    found.sort(key=lambda each: -each.harm)
    return tuple(found[:MOST])


def _likeliest(shares: NDArray[np.float64], domains: Domains) -> tuple[Distortion, ...]:
    order = np.argsort(-shares, kind="stable")
    if order[0] == 0:
        return ()
    likely = [order[0], *(index for index in order[1:] if index and shares[index] >= LEAST_PROBABILITY)]
    return tuple(Distortion(words(domains.classes[index]), float(shares[index])) for index in likely[:MOST])
