"""What networks are trained on: crops of synthetic images made in memory, or of images on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.errors import UsageError
from dgqa_infer.images.crops import shrink
from dgqa_infer.images.decode import decode
from dgqa_training.distortions import distort, to_bytes
from dgqa_training.synthesis.nuisances import draw, least_factor, view

PRISTINE = 0
"""The "type" of a reference that is left as it is."""


@dataclass(frozen=True, slots=True)
class Synthetic:
    """One image to be made.

    Attributes:
        reference: file of the pristine photograph.
        type: KADID's type 1–25, or `PRISTINE`.
        level: 1–5; 0 for a pristine one.
        target: what the network should say of it.
    """

    reference: Path
    type: int
    level: int
    target: float


class SyntheticCrops:
    """Random crops of synthetic images, each distorted anew in memory whenever it is asked for.

    Args:
        samples: what to make.
        preprocessing: short side that references are shrunk to before they are distorted.
        crop: side of a crop in pixels; the preprocessing's by default.
        views: see each image through a view that is no fault, `dgqa_training.synthesis.nuisances`. Then a
            part of the reference is distorted that is not much larger than the crop.

    Raises:
        UsageError: there is no sample.
    """

    def __init__(
        self,
        samples: Sequence[Synthetic],
        preprocessing: Preprocessing,
        crop: int | None = None,
        *,
        views: bool = False,
    ) -> None:
        if not samples:
            raise UsageError("nothing to train on: the selection of contents, types and levels is empty")
        self.samples = list(samples)
        self.preprocessing = preprocessing
        self.side = crop or preprocessing.crop
        self.views = views

    def __len__(self) -> int:
        return len(self.samples)

    def target(self, index: int) -> float:
        """What the network should say of sample `index`."""
        return self.samples[index].target

    def crop(self, index: int, generator: np.random.Generator) -> NDArray[np.uint8]:
        """One random crop of sample `index`, uint8 [crop, crop, 3]."""
        image = self._view(index, generator) if self.views else self.image(index, generator)
        return random_crop(image, self.side, generator)

    def centre(self, index: int) -> NDArray[np.uint8]:
        """The centre crop of sample `index`, uint8 [crop, crop, 3], always the same and never a view."""
        return centre_crop(self.image(index, np.random.default_rng(index)), self.side)

    def image(self, index: int, generator: np.random.Generator) -> NDArray[np.uint8]:
        """Sample `index` whole, uint8 [h, w, 3], no smaller than a crop."""
        sample = self.samples[index]
        image = reference(sample.reference, self.preprocessing)
        if sample.type != PRISTINE:
            image = to_bytes(distort(image, sample.type, sample.level, generator))
        return _large_enough(image, self.side, sample.reference)

    def _view(self, index: int, generator: np.random.Generator) -> NDArray[np.uint8]:
        """A part of sample `index`, not much larger than a crop, seen through a view.

        The part is cut first and then distorted. KADIS's stretches of the contrast are then the part's, not
        the photograph's; trained on photographs that were distorted whole, which takes three times as long,
        neither a classifier nor a score was better.
        """
        sample = self.samples[index]
        whole = reference(sample.reference, self.preprocessing)
        whole = _large_enough(whole, self.side, sample.reference)
        room = min(*whole.shape[:2], 2 * self.side)
        side = int(generator.integers(min(room, 4 * self.side // 3), room + 1))
        part = random_crop(whole, side, generator)
        if sample.type != PRISTINE:
            part = to_bytes(distort(part, sample.type, sample.level, generator))
        smallest = least_factor(self.side, part, spare=0.5)
        return view(part, draw(generator, sample.type, smallest=smallest))


class ImageCrops:
    """Random crops of images on disk, such as KADID-10k itself or a set that `synthesize` wrote.

    Args:
        files: one image a sample.
        targets: what the network should say of each.
        preprocessing: short side that images are shrunk to.
        crop: side of a crop in pixels; the preprocessing's by default.
    """

    def __init__(
        self,
        files: Sequence[Path],
        targets: Sequence[float],
        preprocessing: Preprocessing,
        crop: int | None = None,
    ) -> None:
        if len(files) != len(targets) or not files:
            raise UsageError(f"{len(files)} images and {len(targets)} labels cannot be trained on")
        self.files, self.targets, self.preprocessing = list(files), list(targets), preprocessing
        self.side = crop or preprocessing.crop

    def __len__(self) -> int:
        return len(self.files)

    def target(self, index: int) -> float:
        """What the network should say of sample `index`."""
        return self.targets[index]

    def crop(self, index: int, generator: np.random.Generator) -> NDArray[np.uint8]:
        """One random crop of sample `index`, uint8 [crop, crop, 3]."""
        return random_crop(self.image(index, generator), self.side, generator)

    def centre(self, index: int) -> NDArray[np.uint8]:
        """The centre crop of sample `index`, uint8 [crop, crop, 3]."""
        return centre_crop(self.image(index), self.side)

    def image(self, index: int, _: np.random.Generator | None = None) -> NDArray[np.uint8]:
        """Sample `index` whole, uint8 [h, w, 3], no smaller than a crop."""
        image = shrink(decode(self.files[index]).pixels, self.preprocessing)
        return _large_enough(image, self.side, self.files[index])


def random_crop(image: NDArray[np.uint8], side: int, generator: np.random.Generator) -> NDArray[np.uint8]:
    """A square of an image at a uniformly random place, uint8 [side, side, 3].

    Raises:
        UsageError: the image is smaller than the square; training material is never enlarged.
    """
    height, width = _sides(image, side)
    top = int(generator.integers(0, height - side + 1))
    left = int(generator.integers(0, width - side + 1))
    return image[top : top + side, left : left + side]


def centre_crop(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The square in the middle of an image, uint8 [side, side, 3].

    Raises:
        UsageError: the image is smaller than the square.
    """
    height, width = _sides(image, side)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def _large_enough(image: NDArray[np.uint8], side: int, file: Path) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    if min(height, width) < side:
        raise UsageError(
            f"{file}: {width}×{height} pixels is smaller than the crop of {side}, and nothing is enlarged to "
            "train on: leave it out, or take larger photographs"
        )
    return image


def _sides(image: NDArray[np.uint8], side: int) -> tuple[int, int]:
    height, width = image.shape[:2]
    if min(height, width) < side:
        raise UsageError(f"a training image of {width}×{height} pixels is smaller than the crop of {side}")
    return height, width


@lru_cache(maxsize=1024)  # about 1 GB of references at a short side of 512 pixels
def reference(file: Path, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """A photograph shrunk as for scoring, uint8 [h, w, 3], kept for the next time."""
    return shrink(decode(file).pixels, preprocessing)
