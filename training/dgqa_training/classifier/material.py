"""What a domain classifier is trained on: photographs distorted in memory, or a set in a known layout.

Every image is seen through a view that is no fault (`synthesis.nuisances`), drawn anew each time and
independently of its class: a classifier that saw undistorted photographs only as they are would learn that
saving them as JPEG distorts them. Images that a type leaves as they are (`IDENTITIES`) count as pristine.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.errors import UsageError
from dgqa_infer.inputs.finder import photographs_in
from dgqa_training import datasets
from dgqa_training.datasets import Sample
from dgqa_training.distortions import DISTORTIONS, LEVELS
from dgqa_training.loop.crop_sources import PRISTINE, ImageCrops, Synthetic, SyntheticCrops, random_crop
from dgqa_training.loop.crops import CropSource
from dgqa_training.synthesis.nuisances import IDENTITIES, draw, least_factor, view

TABLES = {"dmos.csv": "kadid10k", "kadis700k_ref_imgs.csv": "kadis700k"}
"""The file that distinguishes a set from a folder of photographs → the set's layout."""

MOST_KEPT = 500
"""More contents are never kept back: a report on 28,000 of KADIS-700k's would take days."""


def layout_of(source: Path) -> str | None:
    """The layout of a set, one of `TABLES`; None for a folder of photographs."""
    return next((name for table, name in TABLES.items() if (source / table).is_file()), None)


def split(source: Path, held_out: float, seed: int) -> tuple[list[Path], list[Path]]:
    """The contents of a folder: those to train on, and those that are kept back.

    Args:
        source: pristine photographs, or a set in KADID-10k's or KADIS-700k's layout.
        held_out: share that is kept back, 0–1; of many contents at most `MOST_KEPT`.
        seed: of the choice.

    Raises:
        UsageError: there are too few for both, or there is no such folder.
    """
    if (layout := layout_of(source)) is not None:
        samples = datasets.load(layout, source).samples
        contents = sorted({sample.reference for sample in samples if sample.reference})
    else:
        contents = photographs_in(source)
    kept = min(round(len(contents) * held_out), MOST_KEPT)
    if not 0 < kept < len(contents):
        raise UsageError(
            f"{source} holds {len(contents)} photographs; keeping back a share of {held_out} leaves "
            "none to train on or none to report on"
        )
    order = np.random.default_rng(seed).permutation(len(contents))
    return [contents[i] for i in sorted(order[kept:])], [contents[i] for i in sorted(order[:kept])]


def crops(
    source: Path,
    references: Sequence[Path],
    preprocessing: Preprocessing,
    side: int,
    *,
    prior: float = 1.0,
    views: bool = True,
) -> CropSource:
    """Images labelled with their classes, of which crops are cut.

    Args:
        source: the references' folder, whose images are made in memory, each at every type and level; or the
            set that they are of, whose images are read from disk, which is faster than distorting them.
        references: the contents to train on.
        preprocessing: short side of the references.
        side: of a crop, in pixels.
        prior: pristine images for each image of a type; KADIS-700k has 5.
        views: whether each image is seen through a view that is no fault.
    """
    layout = layout_of(source)
    if layout is None:
        return SyntheticCrops(samples(references, prior), preprocessing, side, views=views)
    chosen = set(references)
    images = [s for s in datasets.load(layout, source).samples if s.domain and s.reference in chosen]
    kinds = len({each.domain for each in images})
    copies = _copies(len(references), prior * len(images) / max(kinds, 1))
    pristine = [path for path, number in zip(references, copies, strict=True) for _ in range(number)]
    types = [PRISTINE] * len(pristine) + [each.domain or PRISTINE for each in images]
    classes = [float(PRISTINE)] * len(pristine) + [_class(each) for each in images]
    read = ImageCrops([*pristine, *(s.path for s in images)], classes, preprocessing, side)
    return ViewedCrops(read, types) if views else read


def samples(references: Sequence[Path], prior: float = 1.0) -> list[Synthetic]:
    """Every reference at every type and level, labelled with its class.

    Args:
        references: pristine photographs.
        prior: pristine images for each image of a type.
    """
    found = []
    for reference, number in zip(
        references, _copies(len(references), prior * len(references) * len(LEVELS)), strict=True
    ):
        found += [Synthetic(reference, PRISTINE, 0, float(PRISTINE))] * number
        for kind in DISTORTIONS:
            for level in LEVELS:
                label = PRISTINE if (kind, level) in IDENTITIES else kind
                found.append(Synthetic(reference, kind, level, float(label)))
    return found


class ViewedCrops:
    """Random crops of images on disk, seen through views that are no fault.

    Args:
        source: of the images.
        types: of each image, 0–25: a view without colours would hide a fault of colour.
    """

    def __init__(self, source: ImageCrops, types: Sequence[int]) -> None:
        self._source, self._types = source, list(types)

    def __len__(self) -> int:
        return len(self._source)

    def target(self, index: int) -> float:
        """The class of image `index`."""
        return self._source.target(index)

    def crop(self, index: int, generator: np.random.Generator) -> NDArray[np.uint8]:
        """One random crop of a view of image `index`, uint8 [side, side, 3]."""
        image, side = self._source.image(index, generator), self._source.side
        smallest = least_factor(side, image, spare=0.5)
        seen = view(image, draw(generator, self._types[index], smallest=smallest))
        return random_crop(seen, side, generator)

    def centre(self, index: int) -> NDArray[np.uint8]:
        """The centre crop of image `index` as it is, uint8 [side, side, 3]."""
        return self._source.centre(index)


def _class(sample: Sample) -> float:
    kind, level = sample.domain or PRISTINE, sample.level or 0
    return float(PRISTINE if (kind, level) in IDENTITIES else kind)


def _copies(references: int, total: float) -> list[int]:
    """So many images shared out over references, as evenly as can be."""
    ends = np.floor(np.arange(references + 1) * (round(total) / references)).astype(int)
    copies: list[int] = np.diff(ends).tolist()
    return copies
