"""What should not change a score: a photograph turned, mirrored or without its colours is as good as before.

ImageNet features do change when a photograph is turned, and a head fitted to synthetic images has no reason
to be indifferent to it. So it is told, on photographs that need no rating: the features of a view less those
of the photograph itself should be worth nothing. The ridge regression takes these differences as further
samples whose target is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.images.crops import shrink
from dgqa_infer.images.decode import decode
from dgqa_training.loop.crop_sources import random_crop
from dgqa_training.regressor.features import Look

WEIGHTS: Final = (1 / 3, 1 / 3, 1 / 3, 0.3, 1.0)
"""How much each view of `views` counts: three turns, mirrored, grey."""


def views(crop: Pixels) -> Pixels:
    """A crop and its views.

    Args:
        crop: uint8 [side, side, 3].

    Returns:
        uint8 [6, side, side, 3]: itself; turned by 90°, 180° and 270°; mirrored; grey.
    """
    grey = np.asarray(Image.fromarray(crop).convert("L").convert("RGB"))
    return np.stack([crop, *(np.rot90(crop, turns) for turns in (1, 2, 3)), crop[:, ::-1], grey])


def differences(
    look: Look,
    photographs: Sequence[Path],
    preprocessing: Preprocessing,
    *,
    seed: int = 123,
    observe: Callable[[int], None] = lambda _: None,
) -> NDArray[np.floating[Any]]:
    """How the features of one random crop of each photograph differ between its views and itself.

    Args:
        look: takes the features.
        photographs: of any kind and quality; no ratings are needed.
        preprocessing: short side, and side of a crop; smaller photographs are left out.
        seed: of the crops.
        observe: called with 1 after each photograph.

    Returns:
        float [n, 5, d], each view's difference times the square root of its weight; [0, 5, 0] where no
        photograph is large enough.

    Raises:
        ImageError: a photograph cannot be read.
    """

    def stacks() -> Iterator[Pixels]:
        for number, path in enumerate(photographs):
            observe(1)
            image = shrink(decode(path).pixels, preprocessing)
            if min(image.shape[:2]) >= preprocessing.crop:
                yield views(random_crop(image, preprocessing.crop, np.random.default_rng([seed, number])))

    roots = np.sqrt(np.array(WEIGHTS, np.float32))[:, None]
    rows = [roots * (found[1:] - found[:1]) for found in map(look, stacks())]
    return np.stack(rows) if rows else np.zeros((0, len(WEIGHTS), 0), np.float32)
