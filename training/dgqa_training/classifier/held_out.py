"""A domain classifier on contents that it was not trained on: each pristine and at every type and level."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.errors import ModelError, UsageError
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.images.crops import crops, shrink
from dgqa_infer.images.decode import decode
from dgqa_training.classifier.material import layout_of
from dgqa_training.distortions import DISTORTIONS, LEVELS, distort, to_bytes
from dgqa_training.loop.crop_sources import PRISTINE
from dgqa_training.loop.loading import batches
from dgqa_training.loop.loop import half_where_it_pays
from dgqa_training.networks.checkpoints import Checkpoint
from dgqa_training.synthesis.nuisances import IDENTITIES, draw, least_factor, view

CASES = ((PRISTINE, 0), *((kind, level) for kind in DISTORTIONS for level in LEVELS))
"""Type and level of each image that is made of a content."""


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """What a classifier says of images whose class is known.

    Attributes:
        logits: float64 [n, 26], the mean over the crops of the preprocessing's grid.
        classes: int [n], the true class 0–25.
        levels: int [n], 1–5; 0 for pristine.
        contents: int [n], which photograph each image was made of.
    """

    logits: NDArray[np.float64]
    classes: NDArray[np.int64]
    levels: NDArray[np.int64]
    contents: NDArray[np.int64]

    @property
    def identities(self) -> NDArray[np.bool_]:
        """Which images are pristine in all but name, bool [n]."""
        pairs = zip(self.classes.tolist(), self.levels.tolist(), strict=True)
        return np.array([pair in IDENTITIES for pair in pairs], bool)

    def where(self, chosen: NDArray[np.bool_]) -> HeldOut:
        """The images of a mask, bool [n]."""
        return HeldOut(self.logits[chosen], self.classes[chosen], self.levels[chosen], self.contents[chosen])

    def save(self, file: Path) -> None:
        """Write it as an .npz file."""
        np.savez_compressed(
            file, logits=self.logits, classes=self.classes, levels=self.levels, contents=self.contents
        )

    @classmethod
    def load(cls, file: Path) -> HeldOut:
        """Read what `save` wrote.

        Raises:
            ModelError: there is no such file, or it is another.
        """
        try:
            with np.load(file) as found:
                return cls(found["logits"], found["classes"], found["levels"], found["contents"])
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise ModelError(f"{file} is no record of held-out logits: {error}") from error


def held_out_contents(checkpoint: Checkpoint, source: Path) -> list[Path]:
    """The photographs that the training kept back, as its record names them.

    Raises:
        UsageError: the record names none, or the folder lacks some of them.
    """
    names = checkpoint.training.get("held_out", [])
    if not names:
        raise UsageError("the checkpoint's training record names no held-out photographs to report on")
    if (layout := layout_of(source)) is not None:
        source = source / {"kadid10k": "images", "kadis700k": "ref_imgs"}[layout]
    missing = [name for name in names if not (source / name).is_file()]
    if missing:
        raise UsageError(f"{source} lacks {len(missing)} of the held-out photographs, such as {missing[0]}")
    return [source / name for name in names]


def classifier_of(checkpoint: Checkpoint, device: str) -> Callable[[Pixels], NDArray[np.float64]]:
    """A checkpoint's network as a function of crops: uint8 [n, side, side, 3] → logits float64 [n, 26].

    It computes as in training: in bf16 where that pays (`loop.half_where_it_pays`).

    Raises:
        ModelError: the checkpoint is none of a domain classifier.
    """
    if checkpoint.task != "domains":
        raise ModelError(f"the checkpoint holds a network for {checkpoint.task}, not a domain classifier")
    network = checkpoint.network().to(device)

    def classify(crops: Pixels) -> NDArray[np.float64]:
        with torch.inference_mode(), half_where_it_pays(device):
            logits = network(torch.from_numpy(crops).to(device))["domain_logits"]
        return np.asarray(logits.double().cpu().numpy())

    return classify


def judge(
    classify: Callable[[Pixels], NDArray[np.floating]],
    preprocessing: Preprocessing,
    contents: Sequence[Path],
    *,
    workers: int = 0,
    seed: int = 0,
    batch: int = 8,
    views: bool = True,
    advance: Callable[[int], None] = lambda _: None,
) -> HeldOut:
    """Make all images of some contents, one after another, and let a classifier look at them.

    Args:
        classify: uint8 [n, crop, crop, 3] → logits [n, 26], such as `classifier_of` a checkpoint.
        preprocessing: how images become crops.
        contents: photographs that it was not trained on.
        workers: processes that make images; 0 makes them here.
        seed: of the distortions; an image depends on it, its content's place, its type and its level.
        batch: images that are judged at once.
        views: whether each image is seen through a view that is no fault, as users' photographs are.
        advance: called with the number of further images done.

    Raises:
        ImageError: a photograph cannot be read.
    """
    images = _Images(contents, preprocessing, seed, views=views)
    logits = []
    for stacks in batches(images, batch, workers):
        found = np.asarray(classify(stacks.flatten(0, 1).numpy()), np.float64)
        logits.append(found.reshape(*stacks.shape[:2], -1).mean(1))
        advance(len(stacks))
    cases = np.array(CASES * len(contents), np.int64)
    places = np.repeat(np.arange(len(contents)), len(CASES))
    return HeldOut(np.concatenate(logits), cases[:, 0], cases[:, 1], places)


class _Images(Dataset[Tensor]):
    """Crops of the images of each content in turn, uint8 [grid, side, side, 3]."""

    def __init__(
        self, contents: Sequence[Path], preprocessing: Preprocessing, seed: int, *, views: bool
    ) -> None:
        self._contents, self._preprocessing, self._seed = contents, preprocessing, seed
        self._views = views

    def __len__(self) -> int:
        return len(self._contents) * len(CASES)

    def __getitem__(self, index: int) -> Tensor:
        place, case = divmod(index, len(CASES))
        kind, level = CASES[case]
        image = _reference(self._contents[place], self._preprocessing)
        generator = np.random.default_rng([self._seed, place, kind, level])
        if kind != PRISTINE:
            image = to_bytes(distort(image, kind, level, generator))
        if self._views:
            smallest = least_factor(self._preprocessing.crop, image)
            image = view(image, draw(generator, kind, smallest=smallest))
        return torch.from_numpy(crops(image, self._preprocessing)[0])


@lru_cache(maxsize=4)  # the images of one content follow each other
def _reference(file: Path, preprocessing: Preprocessing) -> Pixels:
    return shrink(decode(file).pixels, preprocessing)
