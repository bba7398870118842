"""Multi-level Otsu thresholds, exact, for #22."""

import numpy as np
import numpy.typing as npt

from dgqa_training.distortions._arrays import FloatImage

_BINS = 256


def otsu_thresholds(image: FloatImage, count: int) -> npt.NDArray[np.float32]:
    """The `count` thresholds that minimise the variance within classes of a 256-bin histogram.

    MATLAB's `multithresh` maximises the same criterion (between-class variance) over the same bins, by
    an exhaustive search up to two thresholds and by Nelder–Mead from evenly spaced ones beyond; dynamic
    programming finds the optimum for any number.

    Args:
        image: float32, any shape; its own smallest and largest value bound the histogram.
        count: number of thresholds, at least 1.

    Returns:
        float32 [n], ascending, in the image's units, n ≤ count: fewer where the image has no more values.
    """
    low, high = float(image.min()), float(image.max())
    if low == high:
        return np.array([low], np.float32)
    bins = ((image - np.float32(low)) * np.float32((_BINS - 1) / (high - low)) + np.float32(0.5)).astype(
        np.uint8
    )
    histogram = np.bincount(bins.ravel(), minlength=_BINS)
    used = np.flatnonzero(histogram)
    classes = min(count + 1, len(used))
    last = _optimal_partition(used.astype(np.float64), histogram[used].astype(np.float64), classes)
    return (low + (high - low) * (used[last].astype(np.float32) / np.float32(_BINS - 1))).astype(np.float32)


def _optimal_partition(
    values: npt.NDArray[np.float64], counts: npt.NDArray[np.float64], classes: int
) -> npt.NDArray[np.intp]:
    """Index of the last value of every class but the topmost, for the least sum of squared errors."""
    size = len(values)
    zero = np.zeros(1)
    n, s, q = (np.concatenate([zero, (counts * values**power).cumsum()]) for power in range(3))
    start, stop = np.arange(size)[:, np.newaxis], np.arange(1, size + 1)[np.newaxis, :]
    number = np.where(stop > start, n[stop] - n[start], 1)
    error = q[stop] - q[start] - (s[stop] - s[start]) ** 2 / number
    cost = np.where(stop > start, error, np.inf)  # cost[i, j]: values i..j as one class
    best = cost[0]
    choices = []
    for _ in range(classes - 1):
        total = best[:-1, np.newaxis] + cost[1:, :]  # the next class starts after value i
        choices.append(total.argmin(axis=0))
        best = total.min(axis=0)
    ends = []
    end = size - 1
    for choice in reversed(choices):
        end = int(choice[end])
        ends.append(end)
    return np.array(ends[::-1], dtype=np.intp)
