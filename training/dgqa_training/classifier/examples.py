"""Photographs with known faults as users have them: whole, and seen through a view that is no fault.

The report's held-out images say how well types are distinguished. These say when an explanation may be
believed: undistorted photographs as cameras and web sites save them, on which nothing should be named, and
distorted ones saved likewise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.images.crops import crops, shrink
from dgqa_infer.images.decode import decode
from dgqa_training.classifier.held_out import HeldOut
from dgqa_training.distortions import DISTORTIONS, LEVELS, distort, to_bytes
from dgqa_training.loop.crop_sources import PRISTINE
from dgqa_training.synthesis.nuisances import IDENTITIES, draw, least_factor, view


@dataclass(frozen=True, slots=True)
class Example:
    """One photograph and what is wrong with it.

    Attributes:
        content: which of the photographs it was made of, from 0 on.
        type: 1–25, or 0 for an undistorted one.
        level: 1–5; 0 for an undistorted one.
        pixels: uint8 [h, w, 3].
    """

    content: int
    type: int
    level: int
    pixels: Pixels


UNDISTORTED = 12
"""Views of each content without a distortion."""


def number_of(contents: int) -> int:
    """Examples of so many contents, at most: some types leave an image as it is."""
    return contents * (UNDISTORTED + len(DISTORTIONS))


def examples(contents: Sequence[Path], preprocessing: Preprocessing, *, seed: int = 0) -> Iterator[Example]:
    """Undistorted views of each content, and one view of it at each type.

    The level moves on from content to content and from type to type, so each type has every level equally
    often; those that leave an image as it is (`IDENTITIES`) are left out.

    Args:
        contents: pristine photographs that the classifier was not trained on.
        preprocessing: short side at which distortions are made, as in training.
        seed: of distortions and views; an example depends on it, its content's place and its case.

    Raises:
        ImageError: a photograph cannot be read.
    """
    for place, path in enumerate(contents):
        reference = shrink(decode(path).pixels, preprocessing)
        smallest = least_factor(preprocessing.crop, reference)
        cases = [(PRISTINE, 0)] * UNDISTORTED
        cases += [(kind, LEVELS[(place + kind) % len(LEVELS)]) for kind in DISTORTIONS]
        for number, (kind, level) in enumerate(cases):
            if (kind, level) in IDENTITIES:
                continue
            generator = np.random.default_rng([seed, place, number])
            image = reference
            if kind != PRISTINE:
                image = to_bytes(distort(reference, kind, level, generator))
            yield Example(place, kind, level, view(image, draw(generator, kind, smallest=smallest)))


def logits_of(
    images: Iterator[Example],
    preprocessing: Preprocessing,
    classify: Callable[[Pixels], NDArray[np.floating]],
    *,
    batch: int = 8,
    advance: Callable[[int], None] = lambda _: None,
) -> HeldOut:
    """What a classifier says of examples.

    Args:
        images: see `examples`.
        preprocessing: how they become crops.
        classify: uint8 [n, crop, crop, 3] → logits [n, 26].
        batch: examples that it is given at once.
        advance: called with the number of further examples done.
    """
    logits, facts = [], []
    while some := list(islice(images, batch)):
        stack = np.concatenate([crops(each.pixels, preprocessing)[0] for each in some])
        found = np.asarray(classify(stack), np.float64)
        logits.append(found.reshape(len(some), preprocessing.grid, -1).mean(axis=1))
        facts += [(each.content, each.type, each.level) for each in some]
        advance(len(some))
    contents, types, levels = np.array(facts, np.int64).T
    return HeldOut(np.concatenate(logits), types, levels, contents)
