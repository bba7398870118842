"""Sharpness and contrast: #24 high sharpen, #25 contrast change."""

# Every type takes a generator, whether it draws from it or not.
# ruff: noqa: ARG001

import numpy as np
from scipy import interpolate

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
    """#25's spline, not clipped; exact, as not-a-knot over five points leaves two cubics that meet at 0.5.

    Args:
        values: float32, any shape, 0–1.
        amount: a, no unit.

    Returns:
        float32, same shape.
    """
    knots = (0.25 - amount / 4, 0.75 + amount / 4)
    spline = interpolate.CubicSpline(
        [0, 0.3, 0.5, 0.7, 1], [0, knots[0], 0.5, knots[1], 1], bc_type="not-a-knot"
    )
    # The curve is point-symmetric about (0.5, 0.5): one cubic in the distance from there serves both halves.
    third, second, first, _ = (np.float32(c) for c in spline.c[:, 2])
    centred = values - np.float32(0.5)
    distance = np.abs(centred)
    lifted = distance * (first + distance * (second + distance * third))
    curved: FloatImage = np.float32(0.5) + np.copysign(lifted, centred)
    return curved
