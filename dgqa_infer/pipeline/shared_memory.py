"""Memory that a decoding process writes into and the scoring process reads: crops, and perhaps a preview."""

from __future__ import annotations

import mmap
import os

import numpy as np
from PIL import Image

from dgqa_infer import system
from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.images.arrays import Pixels


class SharedCrops:
    """Room for one photograph; the memory vanishes with the last process that has it.

    Each worker process has its own, and the next file is handed to it only once the crops of the one before
    have been copied. So a decoder that a file has taken over reaches no crops but those of its own file and
    of files that come to it later.

    Attributes:
        descriptor: of the memory, for the one process that writes into it.
        crops: uint8 [grid, crop, crop, 3].
    """

    def __init__(self, preprocessing: Preprocessing, preview: int = 0) -> None:
        """Reserve the memory; the system gives it page by page, as it is used.

        Args:
            preprocessing: says what crops there are.
            preview: longest side of the preview, in pixels; 0 for none.
        """
        self.descriptor = system.memory_file("dgqa-crops")
        os.ftruncate(self.descriptor, shared_bytes(preprocessing, preview))
        system.keep_size(self.descriptor)
        self.crops, self._preview = views(self.descriptor, preprocessing, preview)

    def preview(self, width: int, height: int) -> Pixels:
        """A copy of the preview, uint8 [height, width, 3]."""
        return self._preview[: height * width * 3].reshape(height, width, 3).copy()

    def close(self) -> None:
        """Let go of the memory."""
        os.close(self.descriptor)
        self.crops, self._preview = self.crops[:0].copy(), self._preview[:0].copy()


def views(descriptor: int, preprocessing: Preprocessing, preview: int) -> tuple[Pixels, Pixels]:
    """The same memory as an array of crops and one for a preview.

    Returns:
        uint8 [grid, crop, crop, 3] and uint8 [bytes of the largest preview].
    """
    grid, crop = preprocessing.grid, preprocessing.crop
    memory = np.frombuffer(mmap.mmap(descriptor, shared_bytes(preprocessing, preview)), np.uint8)
    crops = crop_bytes(preprocessing)
    return memory[:crops].reshape(grid, crop, crop, 3), memory[crops:]


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


def crop_bytes(preprocessing: Preprocessing) -> int:
    """Size of a photograph's crops."""
    return preprocessing.grid * preprocessing.crop**2 * 3


def shared_bytes(preprocessing: Preprocessing, preview: int) -> int:
    """Size of a photograph's crops and of the largest preview."""
    return crop_bytes(preprocessing) + preview * preview * 3
