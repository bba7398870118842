"""Temperature scaling: a classifier's probabilities made as right as its answers (Guo et al., ICML 2017)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from dgqa_infer.errors import UsageError

BINS = 15
"""Of the expected calibration error, as in the paper."""
_RANGE = (0.05, 20.0)


def negative_log_likelihood(
    logits: NDArray[np.float64], classes: NDArray[np.int64], temperature: float = 1.0
) -> float:
    """Mean of −log p(true class).

    Args:
        logits: [n, k].
        classes: true classes, int [n].
        temperature: divides the logits before the softmax.
    """
    shares = log_softmax(logits / temperature, axis=1)
    return float(-shares[np.arange(len(classes)), classes].mean())


def fit_temperature(logits: NDArray[np.float64], classes: NDArray[np.int64]) -> float:
    """The temperature from 0.05 to 20 at which the likelihood of the true classes is greatest.

    Args:
        logits: [n, k], of images that the classifier was not trained on.
        classes: true classes, int [n].

    Raises:
        UsageError: there is no image.
    """
    if not len(classes):
        raise UsageError("a temperature cannot be fitted without images")
    low, high = np.log(_RANGE)
    found = minimize_scalar(
        lambda log: negative_log_likelihood(logits, classes, float(np.exp(log))),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))


def expected_calibration_error(
    logits: NDArray[np.float64], classes: NDArray[np.int64], temperature: float = 1.0
) -> float:
    """How far the probability of the likeliest class is from how often it is right, 0–1.

    Args:
        logits: [n, k].
        classes: true classes, int [n].
        temperature: divides the logits before the softmax.

    Returns:
        Mean over `BINS` bins of equal width of |share right − mean probability|, weighted by their images.
    """
    shares = np.exp(log_softmax(logits / temperature, axis=1))
    likeliest = shares.argmax(1)
    confidence, right = shares[np.arange(len(classes)), likeliest], likeliest == classes
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, right - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(classes))
