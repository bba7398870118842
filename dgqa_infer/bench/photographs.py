"""The photographs that are measured on: the user's, or some that look like a camera's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.errors import UsageError
from dgqa_infer.inputs.finder import InputFinder
from dgqa_infer.pipeline.crops import read_crops
from dgqa_infer.results import Failure

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


def chosen(named: Sequence[str], preprocessing: Preprocessing, workers: int | None = None) -> Sample:
    """A sample of the user's photographs, evenly spread over what was named.

    Args:
        named: files, folders and patterns.
        preprocessing: with which each is tried.
        workers: number of processes that decode; None for one a core.

    Raises:
        UsageError: there is none that can be decoded.
    """
    found = [path for path in islice(InputFinder().find(named), _LISTED) if isinstance(path, str)]
    step = max(1, -(-len(found) // MOST))
    sound, pixels, size = [], 0, 0
    # A file that hangs or crashes its decoder ends here, and not in the middle of a measurement.
    for path, outcome in zip(found[::step], read_crops(found[::step], preprocessing, workers), strict=True):
        if not isinstance(outcome.result, Failure):
            sound.append(path)
            pixels += outcome.result.photo.width * outcome.result.photo.height
            size += outcome.size or 0
    if not sound:
        raise UsageError(f"{', '.join(named)}: there is no photograph to measure on")
    return _sample(", ".join(named), sound, pixels, size)


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
    size = sum(Path(path).stat().st_size for path in paths)
    return _sample("generated", paths, len(paths) * _SIZE[0] * _SIZE[1], size)


def _sample(source: str, paths: Sequence[str], pixels: int, size: int) -> Sample:
    count = len(paths)
    return Sample(source, tuple(paths), round(pixels / 1e6 / count, 2), round(size / 1e6 / count, 2))
