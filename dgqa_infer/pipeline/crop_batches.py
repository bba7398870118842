"""Crops on their way from the workers' memory to the model: copied once, to their place in a batch."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.images.arrays import Pixels


@dataclass(slots=True, eq=False)
class _Filling:
    """A batch: uint8 [batch size, grid, crop, crop, 3], and a preview for each photograph that is in it."""

    crops: Pixels
    previews: list[Pixels | None] = field(default_factory=list)


class CropBatches:
    """Batches in the order of their photographs; the last of them is being filled."""

    def __init__(self, batch_size: int, preprocessing: Preprocessing) -> None:
        """Begin with none.

        Args:
            batch_size: photographs that the model takes at once.
            preprocessing: says what crops there are.
        """
        self._shape = (batch_size, preprocessing.grid, preprocessing.crop, preprocessing.crop, 3)
        self._batches: deque[_Filling] = deque()

    def add(self, crops: Pixels, preview: Pixels | None) -> None:
        """Copy a photograph's crops to the last batch.

        Args:
            crops: uint8 [grid, crop, crop, 3].
            preview: of the same photograph, kept as it is; None where none was asked for.
        """
        if not self._batches or len(self._batches[-1].previews) == self._shape[0]:
            # The system gives the memory page by page, as it is filled.
            self._batches.append(_Filling(np.empty(self._shape, np.uint8)))
        batch = self._batches[-1]
        batch.crops[len(batch.previews)] = crops
        batch.previews.append(preview)

    def take(self) -> tuple[Pixels, list[Pixels | None]]:
        """Take the first batch, full or not.

        Returns:
            uint8 [photographs × grid, crop, crop, 3], and the preview of each photograph.
        """
        batch = self._batches.popleft()
        return batch.crops[: len(batch.previews)].reshape(-1, *self._shape[2:]), batch.previews
