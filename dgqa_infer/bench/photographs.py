"""The photographs that are measured on: the user's, or some that look like a camera's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from dgqa_infer.errors import ImageError, UsageError
from dgqa_infer.images.decode import decode
from dgqa_infer.inputs.finder import InputFinder

MOST = 48
"""So many of the user's photographs are measured on at most, spread over what was named."""

_LISTED = 20_000
_SIZE = (4000, 3000)
_GENERATED = 4


@dataclass(frozen=True, slots=True)
class Sample:
    """Photographs to measure on.

    Attributes:
        source: "generated", or what the user named.
        paths: of the files; each can be decoded.
        megapixels: of one, on average.
        megabytes: of one file, on average.
    """

    source: str
    paths: tuple[str, ...]
    megapixels: float
    megabytes: float


def chosen(named: Sequence[str]) -> Sample:
    """A sample of the user's photographs, evenly spread over what was named.

    Raises:
        UsageError: there is none that can be decoded.
    """
    found = [path for path in islice(InputFinder().find(named), _LISTED) if isinstance(path, str)]
    step = max(1, -(-len(found) // MOST))
    sample = _sample(", ".join(named), found[::step])
    if not sample.paths:
        raise UsageError(f"{', '.join(named)}: there is no photograph to measure on")
    return sample


def generated(folder: Path) -> Sample:
    """Write photographs of 12 MP as a phone does: 4:2:0, about 3 MB, detail of every size and some noise."""
    generator = np.random.default_rng(0)
    paths = []
    for number in range(_GENERATED):
        scene = np.zeros((_SIZE[1], _SIZE[0], 3), np.float32)
        for octave in range(8):
            small = generator.normal(0, 44 / 1.7**octave, (3 * 2**octave, 4 * 2**octave, 3))
            for channel in range(3):
                layer = Image.fromarray(small[..., channel].astype(np.float32))
                scene[..., channel] += np.asarray(layer.resize(_SIZE, Image.Resampling.BICUBIC))
        scene += 128 + generator.normal(0, 3.5, (*scene.shape[:2], 1)).astype(np.float32)
        paths.append(str(folder / f"{number}.jpg"))
        Image.fromarray(scene.clip(0, 255).astype(np.uint8)).save(paths[-1], quality=90, subsampling="4:2:0")
    return _sample("generated", paths)


def _sample(source: str, paths: Sequence[str]) -> Sample:
    sound, pixels, size = [], 0, 0
    for path in paths:
        try:
            photograph = decode(path)
        except ImageError:
            continue
        sound.append(path)
        pixels += photograph.width * photograph.height
        size += Path(path).stat().st_size
    count = max(1, len(sound))
    return Sample(source, tuple(sound), round(pixels / 1e6 / count, 2), round(size / 1e6 / count, 2))
