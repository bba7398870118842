"""Memory that decoding processes write into and the scoring process reads: crops, and perhaps previews."""

from __future__ import annotations

import mmap
import os

import numpy as np
from PIL import Image

from dgqa_infer import system
from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.images.arrays import Pixels


class SharedSlots:
    """A slot for each file on its way; the memory vanishes with the last process that has it.

    Attributes:
        descriptor: of the memory, for a worker to inherit.
        pixels: uint8 [slots, grid, crop, crop, 3].
    """

    def __init__(self, count: int, preprocessing: Preprocessing, preview: int = 0) -> None:
        """Reserve the memory; the system gives it page by page, as it is used.

        Args:
            count: number of slots.
            preprocessing: says what crops there are.
            preview: longest side of the previews, in pixels; 0 for none.
        """
        self.descriptor = system.memory_file("dgqa-crops")
        os.ftruncate(self.descriptor, count * slot_bytes(preprocessing, preview))
        system.keep_size(self.descriptor)
        self.pixels, self._previews = views(self.descriptor, count, preprocessing, preview)

    def preview(self, slot: int, width: int, height: int) -> Pixels:
        """A copy of the preview in a slot, uint8 [height, width, 3]."""
        return self._previews[slot, : height * width * 3].reshape(height, width, 3).copy()

    def close(self) -> None:
        """Let go of the memory."""
        os.close(self.descriptor)
        self.pixels, self._previews = self.pixels[:0].copy(), self._previews[:0].copy()


def views(descriptor: int, count: int, preprocessing: Preprocessing, preview: int) -> tuple[Pixels, Pixels]:
    """The same memory as an array of crops and one of previews.

    Returns:
        uint8 [slots, grid, crop, crop, 3] and uint8 [slots, bytes of the largest preview].
    """
    grid, crop = preprocessing.grid, preprocessing.crop
    crops = count * _crop_bytes(preprocessing)
    size = crops + count * _preview_bytes(preview)
    memory = np.frombuffer(mmap.mmap(descriptor, size), np.uint8)
    return (
        memory[:crops].reshape(count, grid, crop, crop, 3),
        memory[crops:].reshape(count, _preview_bytes(preview)),
    )


def shrink_to_preview(image: Pixels, side: int) -> Pixels:
    """A photograph small enough to be shown: no side is longer than this one. Nothing is scored on it.

    Args:
        image: uint8 [height, width, 3].
        side: in pixels.

    Returns:
        uint8 [height, width, 3]; the photograph itself where it is small enough.
    """
    height, width = image.shape[:2]
    if max(height, width) <= side:
        return image
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0))


def slot_bytes(preprocessing: Preprocessing, preview: int) -> int:
    """Size of one slot."""
    return _crop_bytes(preprocessing) + _preview_bytes(preview)


def _crop_bytes(preprocessing: Preprocessing) -> int:
    return preprocessing.grid * preprocessing.crop**2 * 3


def _preview_bytes(side: int) -> int:
    return side * side * 3
