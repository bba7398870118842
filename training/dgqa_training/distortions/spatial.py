"""Spatial: #19 jitter, #20 non-eccentricity patch, #21 pixelate, #22 quantization, #23 color block."""

# Every type takes a generator, whether it draws from it or not.
# ruff: noqa: ARG001

import numpy as np
import numpy.typing as npt

from dgqa_infer.errors import ImageError
from dgqa_training.distortions._arrays import FloatImage
from dgqa_training.distortions._otsu import otsu_thresholds
from dgqa_training.distortions._warp import warp_bicubic

_WARPS = 5  # #19: successive random warps
_PATCH = 16  # pixels, #20: side of a patch, its margin, and the width of the range it moves in
_BLOCK = 32  # pixels, #23: side of a block
_ROUNDING = np.float32(1e-6)  # #22: far below a step of 8 bits, above what a stretch rounds by

PATCH_ROOM = 3 * _PATCH
"""Least width and height, in pixels, that #20 works on: a patch between its margins."""

BLOCK_ROOM = _BLOCK
"""Least width and height, in pixels, that #23 works on."""


def jitter(image: FloatImage, deviation: float, generator: np.random.Generator) -> FloatImage:
    """#19 Jitter: five times over, every pixel is fetched from a random place nearby (bicubic).

    Source: [M] `imjitter`.

    Args:
        image: float32 [h, w, 3], 0–1.
        deviation: standard deviation of the displacement in pixels, in x and y apart, shared by channels.
        generator: draws the displacements.

    Returns:
        float32 [h, w, 3]; bicubic interpolation overshoots 0–1 a little.
    """
    displacement = np.empty((2, *image.shape[:2]), np.float32)
    for _ in range(_WARPS):
        generator.standard_normal(out=displacement, dtype=np.float32)
        displacement *= np.float32(deviation)
        image = warp_bicubic(image, displacement)
    return image


def non_eccentricity_patch(image: FloatImage, count: float, generator: np.random.Generator) -> FloatImage:
    """#20 Non-eccentricity patch: 16×16 patches, one after another, are pasted again up to 8 pixels away.

    Source: [M] `imnoneccentricity`; the patch's corner is uniform over [16, side − 32].

    Args:
        image: float32 [h, w, 3], 0–1, at least 48×48.
        count: number of patches, whole.
        generator: draws places and offsets.

    Returns:
        float32 [h, w, 3], 0–1.

    Raises:
        ImageError: the image is smaller than 48 pixels on a side.
    """
    height, width = image.shape[:2]
    _require_side(image, PATCH_ROOM, "a non-eccentricity patch")
    patched = image.copy()
    for _ in range(int(count)):
        y = int(generator.integers(_PATCH, height - 2 * _PATCH, endpoint=True))
        x = int(generator.integers(_PATCH, width - 2 * _PATCH, endpoint=True))
        down, right = (round(float(part)) for part in (generator.random(2) - 0.5) * _PATCH)
        patch = patched[y : y + _PATCH, x : x + _PATCH].copy()
        patched[y + down : y + down + _PATCH, x + right : x + right + _PATCH] = patch
    return patched


def pixelate(image: FloatImage, strength: float, generator: np.random.Generator) -> FloatImage:
    """#21 Pixelate: nearest-neighbour `imresize` by 0.95 − strength^0.6 and back to the original size.

    Source: [M] `impixelate`.

    Args:
        image: float32 [h, w, 3], 0–1.
        strength: no unit, 0–0.9.
        generator: not used.

    Returns:
        float32 [h, w, 3], 0–1.
    """
    scale = pixelate_scale(strength)
    height, width = image.shape[:2]
    rows, columns = (_down_and_up(side, scale) for side in (height, width))
    return image[np.ix_(rows, columns)]


def pixelate_scale(strength: float) -> float:
    """#21's factor of reduction, 0.95 − strength^0.6."""
    return float(0.95 - strength**0.6)


def _down_and_up(side: int, scale: float) -> npt.NDArray[np.intp]:
    """Where each pixel along one axis comes from after shrinking by `scale` and enlarging to `side`."""
    small = max(1, int(np.ceil(side * scale)))
    down = _nearest(small, side, scale)
    return down[_nearest(side, small, side / small)]


def _nearest(length: int, source: int, scale: float) -> npt.NDArray[np.intp]:
    """`imresize`'s nearest neighbour: pixel i shows source pixel floor((i + ½)/scale)."""
    places = np.floor((np.arange(length) + 0.5) / scale + 1e-9)  # exact halves must not fall by rounding
    clipped: npt.NDArray[np.intp] = np.clip(places, 0, source - 1).astype(np.intp)
    return clipped


def quantization(image: FloatImage, thresholds: float, generator: np.random.Generator) -> FloatImage:
    """#22 Quantization: multi-level Otsu over all elements of all channels, one set for the three of them.

    An element up to the first threshold becomes 0, one in (t_i, t_i+1] becomes t_i+1, one above the last
    becomes 1: an element that equals a threshold belongs to the class below it (MathWorks' documentation of
    `imquantize`). `multithresh` seeks the thresholds by a simplex search that may stop early; ours are the
    optimum over the same 256-bin histogram. Source: [M] `imnoisequantize`; pooling [K].

    Args:
        image: float32 [h, w, 3], 0–1.
        thresholds: how many, whole, at least 1.
        generator: not used.

    Returns:
        float32 [h, w, 3], 0–1, at most thresholds + 1 different values; an image with no more than
        `thresholds` different ones keeps them.
    """
    limits = otsu_thresholds(image, int(thresholds))
    if len(limits) < thresholds:
        return image.copy()
    values = np.concatenate([[0], limits[1:], [1]]).astype(np.float32)
    # The stretch before may have left an element a rounding error above the threshold that it equals.
    quantized: FloatImage = values[np.searchsorted(limits + _ROUNDING, image, side="left")]
    return quantized


def color_block(image: FloatImage, count: float, generator: np.random.Generator) -> FloatImage:
    """#23 Color block: opaque 32×32 squares of a uniform random colour at uniform random places.

    Source: [M] `imcolorblock`.

    Args:
        image: float32 [h, w, 3], 0–1, at least 32×32.
        count: number of squares, whole; they may overlap.
        generator: draws places and colours.

    Returns:
        float32 [h, w, 3], 0–1.

    Raises:
        ImageError: the image is smaller than 32 pixels on a side.
    """
    height, width = image.shape[:2]
    _require_side(image, BLOCK_ROOM, "a color block")
    blocked = image.copy()
    for _ in range(int(count)):
        y = int(generator.integers(0, height - _BLOCK, endpoint=True))
        x = int(generator.integers(0, width - _BLOCK, endpoint=True))
        blocked[y : y + _BLOCK, x : x + _BLOCK] = generator.random(3, dtype=np.float32)
    return blocked


def _require_side(image: FloatImage, side: int, what: str) -> None:
    height, width = image.shape[:2]
    if min(height, width) < side:
        raise ImageError(
            "unsupported", f"{what} needs at least {side}×{side} pixels, the image has {width}×{height}"
        )
