"""Photographs to calibrate and verify on: a folder of the user's, or the samples that scikit-image brings."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.errors import UsageError
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.images.crops import crops
from dgqa_infer.inputs.finder import photographs_in
from dgqa_infer.pipeline.crops import read_crops
from dgqa_infer.results import Failure

_SAMPLES = ("astronaut", "chelsea", "coffee", "rocket")
_MOST = 500  # photographs to verify on; more say nothing new
_CALIBRATION = 64


def files(folder: Path) -> list[Path]:
    """The image files in a folder and below, in a stable order.

    Raises:
        UsageError: it is no folder, or holds no image.
    """
    if not (found := photographs_in(folder, recursive=True)):
        raise UsageError(f"{folder} holds no photographs")
    return found


@dataclass(frozen=True, slots=True)
class Split:
    """Which photographs do what; none does two things.

    Attributes:
        calibration: ranges are measured on these.
        choosing: a calibration is chosen on these.
        verification: the drift is measured on these.
        workers: number of processes that decode them; None for one a core.
        left_out: called with each that cannot be decoded.
    """

    calibration: tuple[Path, ...] = ()
    choosing: tuple[Path, ...] = ()
    verification: tuple[Path, ...] = ()
    workers: int | None = None
    left_out: Callable[[Failure], None] = lambda _: None

    def read(self, paths: Sequence[Path], preprocessing: Preprocessing) -> Iterator[Pixels]:
        """The crops of each photograph that can be decoded, uint8 [grid, crop, crop, 3].

        Args:
            paths: some of these photographs.
            preprocessing: how they become crops.
        """
        for outcome in read_crops([str(path) for path in paths], preprocessing, self.workers):
            if isinstance(outcome.result, Failure):
                self.left_out(outcome.result)
            else:
                yield outcome.result.crops


def split(
    found: Sequence[Path],
    calibrating: Sequence[Path] | None,
    *,
    int8: bool,
    workers: int | None = None,
    left_out: Callable[[Failure], None] = lambda _: None,
) -> Split:
    """Deal photographs out.

    Args:
        found: what there is to verify on.
        calibrating: others for int8's calibration and choice; None takes half of those.
        int8: whether there is anything to calibrate.
        workers: as in `Split`.
        left_out: as in `Split`.
    """
    if not int8:
        return Split((), (), _evenly(found, _MOST), workers, left_out)
    if calibrating is None:
        found, calibrating = [*found[2::4], *found[3::4]], [*found[0::4], *found[1::4]]
    return Split(
        _evenly(calibrating[: len(calibrating) // 2], _CALIBRATION),
        _evenly(calibrating[len(calibrating) // 2 :], _CALIBRATION),
        _evenly(found, _MOST),
        workers,
        left_out,
    )


def _evenly(found: Sequence[Path], most: int) -> tuple[Path, ...]:
    step = max(1, -(-len(found) // most))
    return tuple(found[::step])


def samples(preprocessing: Preprocessing) -> Iterator[Pixels]:
    """The crops of scikit-image's sample photographs as they are, blurred and compressed: 20 qualities."""
    from skimage import data

    for name in _SAMPLES:
        original = Image.fromarray(np.asarray(getattr(data, name)()))
        blurred = [original.filter(ImageFilter.GaussianBlur(sigma)) for sigma in (1.5, 4.0)]
        compressed = [_jpeg(original, quality) for quality in (30, 8)]
        for image in (original, *blurred, *compressed):
            yield crops(np.asarray(image), preprocessing)[0]


def _jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")
