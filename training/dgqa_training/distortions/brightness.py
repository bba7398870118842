"""Brightness: #16 brighten, #17 darken, #18 mean shift. Point curves, evaluated exactly (no table)."""

# Every type takes a generator, whether it draws from it or not.
# ruff: noqa: ARG001

import numpy as np

from dgqa_training.distortions._arrays import FloatImage, clip
from dgqa_training.distortions.spaces import lab_to_rgb, rgb_to_lab


def brighten(image: FloatImage, amount: float, generator: np.random.Generator) -> FloatImage:
    """#16 Brighten: two parts of `tone_curve` on red, green, blue and one part of it on L*.

    Source: [M] `imbrighten`: a spline through (0, 0), (0.5, 0.5 + a/2), (1, 1), which is a parabola [C].

    Args:
        image: float32 [h, w, 3], 0–1.
        amount: a, no unit; the curve lifts 0.5 by a/2.
        generator: not used.

    Returns:
        float32 [h, w, 3], 0–1.
    """
    lab = rgb_to_lab(image)
    lab[..., 0] = tone_curve(lab[..., 0] / np.float32(100), amount) * np.float32(100)
    by_lightness = lab_to_rgb(lab)
    blended = 2 * tone_curve(image, amount)
    blended += clip(by_lightness, out=by_lightness)
    blended /= np.float32(3)
    return blended


def darken(image: FloatImage, amount: float, generator: np.random.Generator) -> FloatImage:
    """#17 Darken: `tone_curve` with −amount on red, green, blue alone.

    Source: [M] `imdarken`, whose Lab branch is off by default.

    Args:
        image: float32 [h, w, 3], 0–1.
        amount: no unit; the curve lowers 0.5 by amount/2.
        generator: not used.

    Returns:
        float32 [h, w, 3], 0–1.
    """
    return tone_curve(image, -amount)


def mean_shift(image: FloatImage, offset: float, generator: np.random.Generator) -> FloatImage:
    """#18 Mean shift: the same offset on every element, clipped; the stretch afterwards makes it a gain.

    Source: [M] `immeanshift`.

    Args:
        image: float32 [h, w, 3], 0–1.
        offset: added, in units of the 0–1 scale; 0 is the identity.
        generator: not used.

    Returns:
        float32 [h, w, 3], 0–1.
    """
    shifted = image + np.float32(offset)
    return clip(shifted, out=shifted)


def tone_curve(values: FloatImage, amount: float) -> FloatImage:
    """clip(x + 2·amount·x·(1 − x)): the parabola through (0, 0), (0.5, 0.5 + amount/2), (1, 1).

    Args:
        values: float32, any shape, 0–1.
        amount: no unit; above 0 brightens, below 0 darkens.

    Returns:
        float32, same shape, 0–1.
    """
    curved = 1 - values
    curved *= values
    curved *= np.float32(2 * amount)
    curved += values
    return clip(curved, out=curved)
