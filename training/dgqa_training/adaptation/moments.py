"""Adapting without training images: what a ridge regression needs to know of a synthetic set, in a megabyte.

The head of a frozen network is a ridge regression of labels on features. Its solution depends on the images
only through first and second moments of their features, and those add up over distortion types. Kept for each
type in the space of the leading principal components, they fit into a bundle; and a head for any selection of
types is solved in a fraction of a second, on any machine, without looking at an image again. It is the head
that the images themselves would give, but for the components that were left out, and for the penalty:
features are standardised over the images of all 25 types here, and over those of the chosen types in
`regressor.linear_probe`, so that the same ridge is another penalty.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from dgqa_infer.domains.classes import CLASSES
from dgqa_infer.errors import ModelError, UsageError
from dgqa_training.distortions import DISTORTIONS, LEVELS
from dgqa_training.labels.labels import PRISTINE_LABEL, kadid_mean

CASES = 1 + len(DISTORTIONS) * len(LEVELS)
"""Pristine, then type 1 at levels 1–5, type 2 …: rows of `Moments.means`."""

COMPONENTS = 256
"""A compromise: twice as many rank a little better and take four times the space."""

_DOMAINS, _LEVELS = len(CLASSES), len(LEVELS)
_BUILT_IN = Path(__file__).parent.parent / "built_in"
_STAND_INS = 100  # for each type and level
_LEAST = 1e-6  # of a feature's deviation: one that never changes says nothing


@dataclass(frozen=True, slots=True, eq=False)
class LinearHead:
    """quality = features · weights + bias, on the label scale 0–10.

    Attributes:
        weights: float64 [d].
        bias: a number.
    """

    weights: NDArray[np.float64]
    bias: float


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Moments of a set's features by type and level, in the space of their principal components.

    Attributes:
        mean: float64 [d], of all features.
        basis: float64 [d, k]: (features − mean) · basis are the components. Features are standardised first,
            so a component does not depend on their units.
        counts: int [126], images of each case.
        means: float64 [126, k], of the components, by case.
        products: float64 [26, k, k], mean of component × component, by type (0: pristine).
        consistency: float64 [k, k], mean over photographs of the products of differences between their views;
            zeros where none were looked at.
        record: what the features are of, JSON-able.
    """

    mean: NDArray[np.float64]
    basis: NDArray[np.float64]
    counts: NDArray[np.int64]
    means: NDArray[np.float64]
    products: NDArray[np.float64]
    consistency: NDArray[np.float64]
    record: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        features: NDArray[np.floating[Any]],
        types: NDArray[np.int64],
        levels: NDArray[np.int64],
        record: Mapping[str, Any],
        differences: NDArray[np.floating[Any]] | None = None,
        components: int = COMPONENTS,
    ) -> Moments:
        """Take the moments of features.

        Args:
            features: [n, d].
            types: int [n], 0–25.
            levels: int [n], 1–5; 0 for pristine ones.
            record: what they are of.
            differences: between views of photographs, float [photographs, views, d], as
                `regressor.consistency.differences` gives them; None for a head that need not be consistent.
            components: how many are kept.

        Raises:
            UsageError: a type and level, or "pristine", has no image.
        """
        cases = np.where(types == 0, 0, _LEVELS * (types - 1) + levels)
        counts = np.bincount(cases, minlength=CASES)
        if not counts.all():
            kind, level = divmod(int(np.flatnonzero(counts == 0)[0]) - 1, _LEVELS)
            missing = "pristine photographs" if kind < 0 else f"type {kind + 1} at level {level + 1}"
            raise UsageError(f"the set has no image of {missing}; all types and levels are needed")
        mean = features.mean(0, np.float64)
        deviation = np.maximum(features.std(0, np.float64), _LEAST)
        standard = ((features - mean) / deviation).astype(np.float32)
        _, vectors = np.linalg.eigh((standard.T @ standard / len(standard)).astype(np.float64))
        leading = vectors[:, ::-1][:, :components]
        scores = (standard @ leading.astype(np.float32)).astype(np.float64)
        means = np.stack([scores[cases == case].mean(0) for case in range(CASES)])
        products = np.stack(
            [scores[types == kind].T @ scores[types == kind] / (types == kind).sum() for kind in range(26)]
        )
        basis = leading / deviation[:, None]
        consistency = np.zeros((leading.shape[1], leading.shape[1]))
        if differences is not None:
            for views in differences:
                changes = views.astype(np.float64) @ basis
                consistency += changes.T @ changes / len(differences)
        return cls(mean, basis, counts, means, products, consistency, dict(record))

    @classmethod
    def built_in(cls, backbone: str, trained: str | None = None) -> Moments:
        """Those that come with the package, of 307 pristine photographs.

        Args:
            backbone: its name.
            trained: digest of its weights, see `networks.checkpoints.digest`; None for the pretrained ones.

        Raises:
            ModelError: there are none for this backbone, or none for these weights.
        """
        # Both come out of a card: no name of another file may be made of them.
        name = backbone if trained is None else f"{backbone}-{trained}"
        if (file := {each.stem: each for each in _BUILT_IN.glob("*.npz")}.get(name)) is not None:
            return cls.from_bytes(file.read_bytes())
        if trained is None:
            raise ModelError(
                f"no moments for {backbone} come with the package; `dgqa-infer train moments` takes them "
                "from pristine photographs"
            )
        raise ModelError(
            f"no moments for {backbone} with the weights {trained} come with the package; `dgqa-infer train "
            "moments --model` takes them of a bundle's network"
        )

    def solve(
        self,
        types: Sequence[int],
        ridge: float,
        labels: NDArray[np.float64] | None = None,
    ) -> LinearHead:
        """The head for a selection of types.

        It is what `linear_probe.fit_probe` finds on their images, except that features are standardised over
        the images of all types: the same `ridge` is another penalty there.

        Args:
            types: the selected types, 1–25.
            ridge: penalty on the squared weights of features standardised over all types, relative to the
                number of images.
            labels: float [25, 5] by type and level, 0–10; KADID's mean labels by default. Pristine images
                count as 10.

        Raises:
            UsageError: no type, or one that does not exist.
        """
        chosen = sorted(set(types))
        if not chosen or not set(chosen) <= set(range(1, _DOMAINS)):
            raise UsageError(f"types {tuple(types)} are not some of 1 to {_DOMAINS - 1}")
        by_case = np.concatenate([[PRISTINE_LABEL], (kadid_mean() if labels is None else labels).ravel()])
        rows = [0, *(_LEVELS * (kind - 1) + level for kind in chosen for level in range(1, _LEVELS + 1))]
        weight = self.counts[rows] / self.counts[rows].sum()
        mean, quality = weight @ self.means[rows], float(weight @ by_case[rows])
        related = (weight * (by_case[rows] - quality)) @ self.means[rows]
        covariance = -np.outer(mean, mean)
        for kind in (0, *chosen):
            share = self._images(kind) / self.counts[rows].sum()
            covariance += share * self.products[kind]
        # Differences between views are further samples whose target is 0: `regressor.consistency`.
        solution = np.linalg.solve(covariance + self.consistency + ridge * np.eye(len(mean)), related)
        weights = self.basis @ solution
        return LinearHead(weights, float(quality - mean @ solution - self.mean @ weights))

    def stand_ins(
        self, head: LinearHead, types: Sequence[int]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What a head says of images that are not here, and what people would: for
        `labels.score_scale.link`.

        Within a type and level what it says is taken to be normally distributed, with the mean of that type
        and level and the variance that its type has within levels.

        Args:
            head: its weights lie in the space of the components, as those of `solve` do.
            types: 1–25; pristine images come with them.

        Returns:
            Raw quality and KADID's mean labels, float64 [n], 0–10; each type and level counts the same.
        """
        from scipy.special import ndtri

        solution = np.linalg.lstsq(self.basis, head.weights, rcond=None)[0]
        centre = float(self.mean @ head.weights + head.bias)
        means = self.means @ solution
        by_case = np.concatenate([[PRISTINE_LABEL], kadid_mean().ravel()])
        normal = ndtri((np.arange(_STAND_INS) + 0.5) / _STAND_INS)
        raw, labels = [], []
        for kind in (0, *sorted(set(types))):
            rows = self._rows(kind)
            weight = self.counts[rows] / self.counts[rows].sum()
            variance = float(solution @ self.products[kind] @ solution - weight @ means[rows] ** 2)
            deviation = max(variance, 0.0) ** 0.5
            raw.append((centre + means[rows, None] + deviation * normal).ravel())
            labels.append(np.repeat(by_case[rows], _STAND_INS))
        return np.concatenate(raw), np.concatenate(labels)

    def _rows(self, kind: int) -> slice:
        """Of `means` and `counts`, those of a type."""
        return slice(0, 1) if kind == 0 else slice(1 + _LEVELS * (kind - 1), 1 + _LEVELS * kind)

    def _images(self, kind: int) -> int:
        return int(self.counts[self._rows(kind)].sum())

    def to_bytes(self) -> bytes:
        """An .npz file. Components are stored as float16: a selection's ranks do not feel it."""
        side = np.tril_indices(self.basis.shape[1])
        file = io.BytesIO()
        np.savez_compressed(
            file,
            mean=self.mean.astype(np.float32),
            basis=self.basis.astype(np.float16),
            counts=self.counts,
            means=self.means.astype(np.float32),
            products=self.products[:, *side].astype(np.float16),
            consistency=self.consistency[side].astype(np.float16),
            record=np.array(json.dumps(dict(self.record), sort_keys=True)),
        )
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Moments:
        """Read what `to_bytes` wrote.

        Raises:
            ModelError: it is something else.
        """
        try:
            with np.load(io.BytesIO(data)) as found:
                basis = found["basis"].astype(np.float64)
                components = basis.shape[1]
                side = np.tril_indices(components)
                products = np.zeros((_DOMAINS, components, components))
                products[:, *side] = found["products"]
                products += np.tril(products, -1).transpose(0, 2, 1)
                consistency = np.zeros((components, components))
                if "consistency" in found:  # not in files of versions before 0.2
                    consistency[side] = found["consistency"]
                    consistency += np.tril(consistency, -1).T
                return cls(
                    found["mean"].astype(np.float64),
                    basis,
                    found["counts"],
                    found["means"].astype(np.float64),
                    products,
                    consistency,
                    json.loads(str(found["record"])),
                )
        except (OSError, ValueError, KeyError, IndexError, EOFError, BadZipFile) as error:
            # At bytes that are no archive NumPy would speak of pickles and how to trust them.
            why = f": {error}" if data.startswith(b"PK") else ""
            raise ModelError(f"these are no moments that `train moments` wrote{why}") from error
