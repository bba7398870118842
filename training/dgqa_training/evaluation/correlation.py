"""Rank and linear correlation of many bootstrap draws at once, and the logistic mapping.

A draw is a row of weights: how often each image was drawn. Every coefficient is written for such rows, so
that all draws are computed together, and the plain coefficient is that of a row of ones.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

Vector: TypeAlias = NDArray[np.float64]

Weights: TypeAlias = NDArray[np.float64]
"""float64 [draws, n]: how often each of n images was drawn."""


def pearson(x: Vector, y: Vector, weights: Weights) -> Vector:
    """Pearson's correlation of each draw, [draws]; NaN where a draw is constant.

    Args:
        x: [n], or [draws, n] where it differs by draw.
        y: likewise.
        weights: [draws, n].
    """
    dx, dy = _centred(x, weights), _centred(y, weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        product = (weights * dx * dy).sum(axis=1)
        return np.asarray(
            product / np.sqrt((weights * dx * dx).sum(axis=1) * (weights * dy * dy).sum(axis=1))
        )


def _centred(values: Vector, weights: Weights) -> NDArray[np.float64]:
    """Values less their mean in each draw, [draws, n]; zero where only rounding sets them apart."""
    mean = (weights * values).sum(axis=1, keepdims=True) / weights.sum(axis=1, keepdims=True)
    return np.where(np.abs(values - mean) > 1e-14 * np.abs(mean), values - mean, 0.0)


def spearman(x: Vector, y: Vector, weights: Weights) -> Vector:
    """Spearman's rank correlation of each draw, [draws]: Pearson's of average ranks."""
    return pearson(_ranks(x, weights), _ranks(y, weights), weights)


def kendall(x: Vector, y: Vector, weights: Weights) -> Vector:
    """Kendall's tau-b of each draw, [draws]."""
    drawn = weights.sum(axis=1)
    pairs = drawn * (drawn - 1) / 2
    tied_x, tied_y = (
        (count * (count - 1) / 2).sum(axis=1) for count in (_ties(x, weights), _ties(y, weights))
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(_concordance(x, y, weights) / np.sqrt((pairs - tied_x) * (pairs - tied_y)))


def _concordance(x: Vector, y: Vector, weights: Weights) -> Vector:
    """Concordant minus discordant pairs of each draw, [draws].

    The images are passed in the order of x; a Fenwick tree over the ranks of y, whose nodes are vectors over
    the draws, counts those passed before that lie below and above: n log n steps where all pairs take n².
    """
    rank = np.unique(y, return_inverse=True)[1]
    order = np.argsort(x, kind="stable")
    size = int(rank.max()) + 2
    tree, passed, total = np.zeros((size, len(weights))), np.zeros(len(weights)), np.zeros(len(weights))
    by_image = np.ascontiguousarray(weights.T)
    for equal in np.split(order, np.flatnonzero(np.diff(x[order])) + 1):
        for image in equal:
            below = tree[_before(rank[image])].sum(axis=0)
            not_above = tree[_before(rank[image] + 1)].sum(axis=0)
            total += by_image[image] * (below - (passed - not_above))
        for image in equal:
            tree[_covering(rank[image] + 1, size)] += by_image[image]
            passed += by_image[image]
    return total


def _before(position: int) -> list[int]:
    """Nodes of a Fenwick tree whose sum is that of the first `position` entries."""
    nodes = []
    while position > 0:
        nodes.append(position)
        position -= position & -position
    return nodes


def _covering(position: int, size: int) -> list[int]:
    """Nodes of a Fenwick tree that the entry at a position, from 1, belongs to."""
    nodes = []
    while position < size:
        nodes.append(position)
        position += position & -position
    return nodes


def _ties(values: Vector, weights: Weights) -> NDArray[np.float64]:
    """How often each distinct value was drawn, ascending, [draws, values]."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=np.nan) != 0)
    return np.add.reduceat(weights[:, order], starts, axis=1)


def _ranks(values: Vector, weights: Weights) -> NDArray[np.float64]:
    """The average rank of each value within each draw, [draws, n]."""
    counts = _ties(values, weights)
    average = np.cumsum(counts, axis=1) - (counts - 1) / 2
    return np.asarray(average[:, np.unique(values, return_inverse=True)[1]])


# -- the logistic mapping -------------------------------------------------------------------------------


_SHAPES = ((-10.0, 10.0), (-5.0, 5.0))
"""Bounds of the middle and of the width's logarithm, in standard deviations of the predictions."""

_SEARCH = {"xatol": 1e-7, "fatol": 1e-14, "maxiter": 1000}


def logistic_mapping(predictions: Vector, scores: Vector) -> Vector:
    """Map predictions to the opinions' scale by VQEG's 4-parameter logistic, fitted by least squares.

    score = low + (high − low) / (1 + exp(−(prediction − middle) / width)); VQEG, Final report on the
    validation of objective models of video quality assessment, phase I, 2000.

    Args:
        predictions: [n], not constant.
        scores: [n].

    Returns:
        The mapped predictions, [n].
    """
    x = (predictions - predictions.mean()) / (predictions.std() or 1.0)
    y = scores - scores.mean()

    def curve(shape: Vector) -> Vector:
        """The logistic between 0 and 1, less its mean; given it, low and high follow in closed form."""
        middle, log_width = shape
        rise = expit((x - middle) / np.exp(log_width))
        return np.asarray(rise - rise.mean())

    def misfit(shape: Vector) -> float:
        rise = curve(shape)
        return float(-((rise @ y) ** 2) / max(rise @ rise, 1e-300))

    # A curve so wide that it is a line, and a steep one: one of them leads to the best fit.
    fits = [
        minimize(misfit, (0.0, np.log(width)), method="Nelder-Mead", bounds=_SHAPES, options=_SEARCH)
        for width in (20.0, 0.5)
    ]
    rise = curve(min(fits, key=lambda fit: float(fit.fun)).x)
    return np.asarray(scores.mean() + rise * ((rise @ y) / max(rise @ rise, 1e-300)))
