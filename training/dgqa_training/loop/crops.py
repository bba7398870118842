"""What the training loop reads: samples of which a crop is cut whenever one is asked for."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset


class CropSource(Protocol):
    """Training samples: crops that are cut anew each time, and what each should be given."""

    def __len__(self) -> int: ...

    def crop(self, index: int, generator: np.random.Generator) -> NDArray[Any]:
        """One random crop of sample `index`, uint8 [h, w, 3]; all randomness comes from the generator.

        It may be a stack of crops, or anything else that the network takes.
        """
        ...

    def target(self, index: int) -> Any:
        """What the network should say of sample `index`: a quality on 0–10, or a class number; or several."""
        ...


class Crops(Dataset[tuple[Tensor, Any]]):
    """One epoch's crops, each drawn from a generator of its own, so that order and workers do not matter.

    Args:
        source: the samples.
        seed: of all randomness.
        epoch: every epoch sees other crops.
        flip: mirror half of them.
    """

    def __init__(self, source: CropSource, seed: int, epoch: int, flip: bool) -> None:
        self.source, self.seed, self.epoch, self.flip = source, seed, epoch, flip

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[Tensor, Any]:
        generator = np.random.default_rng([self.seed, self.epoch, index])
        crop = self.source.crop(index, generator)
        if self.flip and generator.random() < 0.5:
            crop = crop[:, ::-1]
        return torch.from_numpy(crop.copy()), self.source.target(index)
