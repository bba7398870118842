"""Crops that are made once and kept in files, of which smaller ones are cut anew in every epoch.

To distort a photograph takes a CPU as long as a training step on a crop of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dgqa_infer.atomic import write_whole
from dgqa_infer.errors import UsageError
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
    names: Sequence[str],
    kept: int,
    side: int,
    rounds: int,
    seed: int,
    workers: int = 0,
) -> KeptCrops:
    """Make crops of all samples, as epochs of a training would, or find them made.

    Args:
        source: the samples.
        folder: where the files lie; a round that is whole is not made again.
        names: of the photographs that the samples are of: crops of others are refused.
        kept: side of the source's crops, in pixels.
        side: of what is cut of them.
        rounds: crops of each sample.
        seed: of all randomness.
        workers: processes that make crops; 0 makes them here.

    Raises:
        UsageError: the folder holds crops of other samples, or made otherwise.
    """
    folder.mkdir(parents=True, exist_ok=True)
    targets = [source.target(index) for index in range(len(source))]
    listed = json.dumps([list(names), targets]).encode()
    facts = {"samples": hashlib.sha256(listed).hexdigest(), "kept": kept, "seed": seed}
    record = folder / "crops.json"
    if not record.exists():
        write_whole(record, json.dumps(facts).encode() + b"\n", overwrite=False)
    elif json.loads(record.read_bytes()) != facts:
        raise UsageError(
            f"{folder} holds crops of other photographs, or with another seed; use another folder"
        )
    files = [folder / f"crops-{epoch}.npy" for epoch in range(rounds)]
    for epoch, file in enumerate(files):
        if not file.exists():
            _make_round(source, file, kept, batches(Crops(source, seed, epoch, flip=False), _BATCH, workers))
    return KeptCrops([np.load(file, mmap_mode="r") for file in files], targets, side)


def _make_round(source: CropSource, file: Path, kept: int, made: Iterator[tuple[Tensor, Tensor]]) -> None:
    """Write crops of all samples under another name, which becomes theirs when they are whole."""
    part, done = file.with_suffix(".part"), 0
    crops = np.lib.format.open_memmap(part, "w+", np.uint8, (len(source), kept, kept, 3))
    for batch, _ in made:
        crops[done : done + len(batch)] = batch.numpy()
        done += len(batch)
    crops.flush()
    part.rename(file)
