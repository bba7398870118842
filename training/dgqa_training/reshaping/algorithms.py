"""SynDR-IQA's two ways to reshape a synthetic training set: DDCUp adds contents, DRCDown thins clusters.

Both follow the authors' released script (Li-aobo/SynDR-IQA), the algorithm's exact description. These
defects of the script are left out:

* DRCDown's kept indices are counted over the 74 references whose features were taken (I06, I07, I18, I19,
  I53, I58 and I70 were not) and applied to a list over all 81: most decisions hit another image, and
  I75–I81 never train. Here features, labels and answer share one order.
* Labels of the originals are rescaled to [0, 10] over whatever images an epoch keeps, those of added
  contents over all of KADID. Here both are scaled once, over all of KADID: `label_cube`.
* A cache of pseudo-labelled samples, of one target's types and the authors' paths, is loaded for every
  target. Here nothing is cached.
* PIPAL-4 trains without type 2, and KonIQ-10k and PIPAL go by names that the script itself does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dgqa_infer.errors import UsageError
from dgqa_training.datasets import Sample
from dgqa_training.distortions import DISTORTIONS, LEVELS

Features: TypeAlias = NDArray[np.floating]
"""float [n, d], one row an image: the mean over its centre crop of the backbone's last map."""

Labels: TypeAlias = NDArray[np.float64]

_NEIGHBOURS = 5
_NEIGHBOUR_MARGIN = 0.05
_ADDED_LEVELS = (1, 3, 5)

_BLOCK = 1024
"""Rows of similarities at a time: 40,000 images take 160 MB instead of 6 GB."""


# -- DDCUp: distribution-aware diverse content upsampling -----------------------------------------------


@dataclass(frozen=True, slots=True)
class ContentChoice:
    """Which candidate contents are added.

    Attributes:
        tau: median over references of the cosine distance to the nearest other reference.
        reach: largest cosine distance between two references, D in the paper.
        novel: bool [candidates], farther than tau from every reference.
        within: bool [candidates], nearer than reach to every reference.
        kept: indices of the contents to add, ascending: novel and within, thinned until all are tau apart.
    """

    tau: float
    reach: float
    novel: NDArray[np.bool_]
    within: NDArray[np.bool_]
    kept: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class PseudoSample:
    """One synthetic image to add, with the label that its references' images lend it.

    Attributes:
        content: index of the candidate.
        domain: KADID type, 1–25.
        level: 1, 3 or 5.
        label: 0–10, higher is better.
    """

    content: int
    domain: int
    level: int
    label: float


def choose_contents(references: Features, candidates: Features) -> ContentChoice:
    """Choose contents that are new, yet inside the references' range (DDCUp, first half).

    Args:
        references: float [r, d], of the labelled references.
        candidates: float [c, d], of the contents that may be added.

    Raises:
        UsageError: fewer than two references, or features that are not finite.
    """
    if len(references) < 2:
        raise UsageError(f"distances among references need two of them, not {len(references)}")
    among = _cosine_distances(references, references)
    reach = float(among.max())
    np.fill_diagonal(among, np.inf)
    tau = float(np.median(among.min(axis=1)))
    across = _cosine_distances(candidates, references)
    novel, within = across.min(axis=1) > tau, across.max(axis=1) < reach
    eligible = np.flatnonzero(novel & within)
    kept = eligible[_spread(_cosine_distances(candidates[eligible], candidates[eligible]), tau)]
    return ContentChoice(tau, reach, novel, within, kept)


def _spread(distances: NDArray[np.float64], apart: float) -> list[int]:
    """Drop the first of the closest two until no two are nearer than `apart`; the survivors' indices."""
    remaining = list(range(len(distances)))
    # A product of matrices on several threads may give two roundings of one distance: the first of a pair is
    # the first in order, not the one that was rounded down.
    distances = np.minimum(distances, distances.T)
    np.fill_diagonal(distances, np.inf)
    while len(remaining) > 1:
        among = distances[np.ix_(remaining, remaining)]
        closest = int(among.argmin())
        if among.flat[closest] >= apart:
            break
        del remaining[closest // len(remaining)]
    return remaining


def label_cube(samples: Iterable[Sample]) -> tuple[tuple[str, ...], Labels]:
    """KADID-10k's scores by reference, type and level, scaled min–max to [0, 10] over the whole set.

    Returns:
        Names of the references, such as "I01.png", in order; and labels, float64 [references, 25, 5].

    Raises:
        UsageError: a reference lacks an image, so that its labels would be guessed.
    """
    scores = {
        (sample.reference.name, sample.domain, sample.level): sample.score
        for sample in samples
        if sample.reference and sample.domain and sample.level and sample.score is not None
    }
    names = tuple(sorted({name for name, _, _ in scores}))
    cube = np.full((len(names), len(DISTORTIONS), len(LEVELS)), np.nan)
    for row, name in enumerate(names):
        for kind in range(len(DISTORTIONS)):
            for level in range(len(LEVELS)):
                score = scores.get((name, kind + 1, level + 1))
                if score is None:
                    raise UsageError(
                        f"reference {name} has no score for type {kind + 1} at level {level + 1}"
                    )
                cube[row, kind, level] = score
    if not names or cube.min() == cube.max():
        raise UsageError("the samples hold no two different scores by reference, type and level")
    return names, (cube - cube.min()) / (cube.max() - cube.min()) * 10


def transfer_labels(
    references: Features, candidates: Features, labels: Labels
) -> tuple[Labels, NDArray[np.intp]]:
    """Labels of a content from those of the references that look most like it (DDCUp, second half).

    Up to five nearest references count, as far as they are within 0.05 of the nearest. Their weights are the
    softmax of the *distances*, as released: the farther weighs up to 5 % more, so it is almost a plain mean.

    Args:
        references: float [r, d].
        candidates: float [c, d].
        labels: float [r, …], of the references.

    Returns:
        Labels, float64 [c, …]; and the number of references that each content took them from, [c].
    """
    nearest = min(_NEIGHBOURS, len(references))
    distances = _cosine_distances(candidates, references)
    order = np.argsort(distances, axis=1)[:, :nearest]
    near = np.take_along_axis(distances, order, axis=1)
    counted = near - near[:, :1] < _NEIGHBOUR_MARGIN
    weights = np.where(counted, np.exp(near), 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.einsum("cn,cn...->c...", weights, labels[order]), counted.sum(axis=1)


def pseudo_samples(
    references: Features, candidates: Features, labels: Labels, types: Sequence[int]
) -> tuple[ContentChoice, tuple[PseudoSample, ...]]:
    """DDCUp whole: the images to add for a target's selected types.

    Args:
        references: float [r, d], of the labelled references.
        candidates: float [c, d], of contents without labels.
        labels: float [r, 25, 5], 0–10, from `label_cube` or of the same shape.
        types: the selected KADID types, 1–25.

    Returns:
        The choice of contents, and the samples at levels 1, 3 and 5 of each type, by content, type and level.
    """
    choice = choose_contents(references, candidates)
    lent, _ = transfer_labels(references, candidates[choice.kept], labels)
    samples = tuple(
        PseudoSample(int(content), kind, level, float(lent[row, kind - 1, level - 1]))
        for row, content in enumerate(choice.kept)
        for kind in types
        for level in _ADDED_LEVELS
    )
    return choice, samples


# -- DRCDown: density-aware redundant cluster downsampling ----------------------------------------------


def thin_clusters(
    features: Features,
    labels: Labels,
    generator: np.random.Generator,
    similarity: float = 0.9,
    label_gap: float = 1.0,
    enough: int = 20,
) -> NDArray[np.intp]:
    """Choose the images of one epoch: half of each large cluster of look-alikes with like labels (DRCDown).

    To be called at the start of every epoch with features of the network as it then is, for original images
    only: those that DDCUp added are never thinned.

    Args:
        features: float [n, d], of the centre crops.
        labels: float [n], 0–10.
        generator: draws the half.
        similarity: two images are linked when their cosine similarity exceeds this …
        label_gap: … and their labels differ by less than this.
        enough: clusters up to this size stay whole; of a larger one, a random max(enough, half) stays.

    Returns:
        Indices of the images to train on, ascending.
    """
    cluster = linked_clusters(features, labels, similarity, label_gap)
    kept = []
    for members in _by_cluster(cluster):
        if len(members) > enough:
            members = generator.choice(members, max(enough, len(members) // 2), replace=False)
        kept.append(members)
    return np.sort(np.concatenate(kept))


def linked_clusters(
    features: Features, labels: Labels, similarity: float, label_gap: float
) -> NDArray[np.intp]:
    """Connected components of the graph that links images alike in features and label.

    Args:
        features: float [n, d].
        labels: float [n].
        similarity: cosine similarity above which two images may be linked.
        label_gap: difference of labels below which they may.

    Returns:
        For each image the index of a member of its component, the same for all its members, [n].

    Raises:
        UsageError: features or labels are not finite, or their numbers differ.
    """
    if len(features) != len(labels) or not np.isfinite(labels).all():
        raise UsageError(f"{len(features)} features need as many finite labels, not {len(labels)}")
    # In the labels' order an image is only ever linked within a window, which spares most of the products.
    order = np.argsort(labels, kind="stable")
    unit, ranked = _unit(features)[order], labels[order]
    ends = np.searchsorted(ranked, ranked + label_gap, side="right")
    sets = _DisjointSets(len(order))
    for start in range(0, len(order), _BLOCK):
        stop = min(start + _BLOCK, len(order))
        alike = unit[start:stop] @ unit[start : ends[stop - 1]].T > similarity
        for row in range(start, stop):
            window = slice(row + 1, ends[row])
            links = alike[row - start, row + 1 - start : ends[row] - start]
            links &= ranked[window] - ranked[row] < label_gap
            sets.join(row, row + 1 + np.flatnonzero(links))
    representatives = sets.find(np.arange(len(order)))
    clusters = np.empty(len(order), np.intp)
    clusters[order] = order[representatives]
    return clusters


class _DisjointSets:
    """Union–find over 0 … n − 1, many at a time."""

    def __init__(self, size: int) -> None:
        self._parent = np.arange(size)

    def find(self, items: NDArray[np.intp]) -> NDArray[np.intp]:
        """The root of each item; paths are shortened on the way."""
        roots = self._parent[items]
        while True:
            further = self._parent[roots]
            if np.array_equal(further, roots):
                break
            roots = further
        self._parent[items] = roots
        return roots

    def join(self, item: int, others: NDArray[np.intp]) -> None:
        """Put an item and others into one set."""
        roots = self.find(np.append(others, item))
        self._parent[roots] = roots.min()


def _by_cluster(cluster: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    """The members of each cluster, ascending."""
    order = np.argsort(cluster, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(cluster[order])) + 1)


# -- both -----------------------------------------------------------------------------------------------


def _unit(features: Features) -> Features:
    if features.ndim != 2 or not np.isfinite(features).all():
        raise UsageError("features must be finite numbers, one row an image: has the training diverged?")
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit: Features = features / np.maximum(lengths, np.finfo(features.dtype).tiny)
    return unit


def _cosine_distances(a: Features, b: Features) -> NDArray[np.float64]:
    return 1.0 - _unit(a.astype(np.float64)) @ _unit(b.astype(np.float64)).T
