"""Crops that are made once and kept in files, of which smaller ones are cut anew in every epoch.

To distort a photograph takes a CPU as long as a training step on a crop of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dgqa_training.loop.crop_sources import centre_crop, random_crop
from dgqa_training.loop.crops import Crops, CropSource
from dgqa_training.loop.loading import batches

_BATCH = 32


class KeptCrops:
    """Samples of which crops are kept; a `CropSource`.

    Args:
        rounds: uint8 [n, kept, kept, 3] each, of the same samples in the same order.
        targets: what the network should say of each sample.
        side: of what is cut, in pixels.
    """

    def __init__(self, rounds: Sequence[NDArray[np.uint8]], targets: Sequence[float], side: int) -> None:
        self._rounds, self._targets, self._side = list(rounds), list(targets), side

    def __len__(self) -> int:
        return len(self._targets)

    def target(self, index: int) -> float:
        """What the network should say of sample `index`."""
        return self._targets[index]

    def crop(self, index: int, generator: np.random.Generator) -> NDArray[np.uint8]:
        """A random part of one of the kept crops of sample `index`, uint8 [side, side, 3]."""
        kept = self._rounds[int(generator.integers(len(self._rounds)))][index]
        return random_crop(kept, self._side, generator)

    def centre(self, index: int) -> NDArray[np.uint8]:
        """The middle of the first kept crop of sample `index`, uint8 [side, side, 3]; always the same."""
        return centre_crop(self._rounds[0][index], self._side)


def keep_crops(
    source: CropSource,
    folder: Path,
    *,
    kept: int,
    side: int,
    rounds: int,
    seed: int,
    workers: int = 0,
    advance: Callable[[int], None] = lambda _: None,
) -> KeptCrops:
    """Make crops of all samples, as epochs of a training would, or find them made.

    Args:
        source: the samples.
        folder: where the files lie; a round that is whole is not made again.
        kept: side of the source's crops, in pixels.
        side: of what is cut of them.
        rounds: crops of each sample.
        seed: of all randomness.
        workers: processes that make crops; 0 makes them here.
        advance: called with the number of further crops made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"crops-{epoch}.npy" for epoch in range(rounds)]
    for epoch, file in enumerate(files):
        if file.exists():
            continue
        part, done = file.with_suffix(".part"), 0
        made = np.lib.format.open_memmap(part, "w+", np.uint8, (len(source), kept, kept, 3))
        for crops, _ in batches(Crops(source, seed, epoch, flip=False), _BATCH, workers):
            made[done : done + len(crops)] = crops.numpy()
            done += len(crops)
            advance(len(crops))
        made.flush()
        part.rename(file)
    targets = [source.target(index) for index in range(len(source))]
    return KeptCrops([np.load(file, mmap_mode="r") for file in files], targets, side)
