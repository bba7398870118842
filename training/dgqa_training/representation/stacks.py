"""What a representation is trained on: stacks of crops of one photograph whose order needs no rating.

A stack holds the photograph; the photograph through a view that is no fault; a composition of distortions of
it, mild and strong; and a view of the strong one. A photograph is better than mild, mild than strong, and a
view is as good as what it is a view of.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.errors import UsageError
from dgqa_training.loop.crop_sources import random_crop, reference
from dgqa_training.representation.compositions import Composition, degraded, draw
from dgqa_training.representation.pack import Photographs
from dgqa_training.synthesis.nuisances import COLOUR_TYPES, Nuisances, view

ORIGINAL, VIEW, MILD, STRONG, STRONG_VIEW = range(5)
"""Places in a stack."""

SIZE: Final = 5
"""Crops of a stack."""

_JPEG = (75, 95)  # qualities that cameras and web sites write
_SHIFT = 1 / 4  # of the side: how far a view's crop may lie beside the photograph's


class Stacks:
    """Stacks of photographs, each with a composition of its own, made anew whenever one is asked for.

    Args:
        photographs: pristine and authentic ones.
        preprocessing: short side that they are shrunk to, and side of a crop.
        rounds: stacks of each photograph; each has another composition.
        seed: of the compositions.

    Attributes:
        files: file of each stack's photograph.
        pristine: bool [n], whether that has no faults.
        compositions: what is done to it.

    Raises:
        UsageError: there is no photograph.
    """

    def __init__(
        self, photographs: Photographs, preprocessing: Preprocessing, *, rounds: int, seed: int
    ) -> None:
        kinds = [(path, True) for path in photographs.pristine]
        kinds += [(path, False) for path in photographs.authentic]
        if not kinds or rounds < 1:
            raise UsageError("nothing to train on: there are no photographs")
        self.preprocessing = preprocessing
        self.files: list[Path] = [path for path, _ in kinds for _ in range(rounds)]
        self.pristine = np.array([is_pristine for _, is_pristine in kinds for _ in range(rounds)])
        self.compositions: list[Composition] = [
            draw(np.random.default_rng([seed, index]), pristine=bool(is_pristine))
            for index, is_pristine in enumerate(self.pristine)
        ]

    def __len__(self) -> int:
        return len(self.files)

    def target(self, index: int) -> NDArray[np.float32]:
        """Labels of mild and strong, float32 [2], 0–10; NaN where nobody rated anything like it."""
        known = self.compositions[index].labels() if self.pristine[index] else (math.nan, math.nan)
        return np.array(known, np.float32)

    def crop(self, index: int, generator: np.random.Generator) -> NDArray[np.uint8]:
        """Stack `index` at a random place of its photograph, uint8 [5, crop, crop, 3]."""
        whole, side = reference(self.files[index], self.preprocessing), self.preprocessing.crop
        if min(whole.shape[:2]) < side:
            height, width = whole.shape[:2]
            raise UsageError(
                f"{self.files[index]}: {width}×{height} pixels is smaller than the crop of {side}"
            )
        around = random_crop(whole, min(*whole.shape[:2], side + int(_SHIFT * side)), generator)
        original = random_crop(around, side, generator)
        composition = self.compositions[index]
        mild, strong = degraded(original, composition, int(generator.integers(2**63)))
        beside = view(random_crop(around, side, generator), harmless(generator))
        again = view(strong, harmless(generator, grey=not composition.types & COLOUR_TYPES))
        return np.stack([original, beside, mild, strong, again])


def harmless(generator: np.random.Generator, *, grey: bool = True) -> Nuisances:
    """A view that leaves a photograph as good as it was: mirrored, turned, grey, or saved again as a JPEG.

    Args:
        generator: the source of all randomness.
        grey: whether colours may be taken away, which hides a fault that lies in them.
    """
    saved, colourless = generator.random(2)
    return Nuisances(
        encoded="jpeg" if saved < 0.5 else None,
        quality=int(generator.integers(_JPEG[0], _JPEG[1] + 1)),
        grey=bool(colourless < 0.35) and grey,
        turns=int(generator.integers(4)),
        mirrored=bool(generator.random() < 0.5),
    )
