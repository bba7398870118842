"""Sharpness and contrast: #24 high sharpen, #25 contrast change."""

# Every type takes a generator, whether it draws from it or not.
# ruff: noqa: ARG001

import numpy as np

from dgqa_training.distortions._arrays import FloatImage, clip, gaussian_filter
from dgqa_training.distortions.spaces import lab_to_rgb, rgb_to_lab

_RADIUS = 3.0  # pixels: σ of imsharpen's Gaussian, whose kernel is 13 pixels wide


def high_sharpen(image: FloatImage, amount: float, generator: np.random.Generator) -> FloatImage:
    """#24 High sharpen: `imsharpen`, Radius 3, Threshold 0: L* + amount·(L* − blurred L*), clipped.

    Source: [M] `imsharpenHi`; L* only and σ = Radius [D], kernel side [K].

    Args:
        image: float32 [h, w, 3], 0–1.
        amount: strength of the unsharp mask, no unit.
        generator: not used.

    Returns:
        float32 [h, w, 3], 0–1.
    """
    lab = rgb_to_lab(image)
    lightness = np.ascontiguousarray(lab[..., 0])
    lab[..., 0] = lightness + np.float32(amount) * (lightness - gaussian_filter(lightness, _RADIUS))
    rgb = lab_to_rgb(lab)
    return clip(rgb, out=rgb)


def contrast_change(image: FloatImage, amount: float, generator: np.random.Generator) -> FloatImage:
    """#25 Contrast change: a cubic spline (not-a-knot) on each channel, clipped.

    Its points are (0, 0), (0.3, 0.25 − a/4), (0.5, 0.5), (0.7, 0.75 + a/4), (1, 1). a above −0.2 raises
    contrast, below lowers it; no level is the identity. Source: [M] `imcontrastc`.

    Args:
        image: float32 [h, w, 3], 0–1.
        amount: a, no unit.
        generator: not used.

    Returns:
        float32 [h, w, 3], 0–1.
    """
    curved = contrast_curve(image, amount)
    return clip(curved, out=curved)


def contrast_curve(values: FloatImage, amount: float) -> FloatImage:
    """#25's spline, exact and not clipped.

    Not-a-knot over five points leaves two cubics that meet at 0.5, and the points are symmetric about
    (0.5, 0.5): so one odd cubic in the distance d from there, c·d + e·d³ through (0.2, 0.25 + a/4) and
    (0.5, 0.5), serves both halves [C].

    Args:
        values: float32, any shape, 0–1.
        amount: a, no unit.

    Returns:
        float32, same shape.
    """
    cubic = -(0.25 + 1.25 * amount) / 0.21
    linear = 1 - 0.25 * cubic
    distance = values - np.float32(0.5)
    curved = distance * distance
    curved *= np.float32(cubic)
    curved += np.float32(linear)
    curved *= distance
    curved += np.float32(0.5)
    return curved
