"""Colour: #04 diffusion, #05 shift, #06 quantization, #07 saturation in HSV, #08 saturation in Lab."""

# Every type takes a generator, whether it draws from it or not.
# ruff: noqa: ARG001

import numpy as np
from PIL import Image

from dgqa_training.distortions._arrays import FloatImage, clip, gaussian_filter, stretch, to_bytes
from dgqa_training.distortions._palette import minimum_variance_palette
from dgqa_training.distortions.spaces import lab_to_rgb, rgb_to_gray, rgb_to_lab

_EDGE_SIGMA = 4.0  # pixels, #05's smoothing of the gradient magnitude


def color_diffusion(image: FloatImage, amount: float, generator: np.random.Generator) -> FloatImage:
    """#04 Color diffusion: a* and b* blurred with σ = 1.5·amount + 2 and multiplied by amount; L* kept.

    Source: [M] `imcolordiffuse`.

    Args:
        image: float32 [h, w, 3], 0–1.
        amount: no unit; sets both the blur (σ 3.5–20 pixels) and the gain.
        generator: not used.

    Returns:
        float32 [h, w, 3], 0–1.
    """
    lab = rgb_to_lab(image)
    for channel in (1, 2):  # contiguous planes filter faster than an interleaved pair
        plane = np.ascontiguousarray(lab[..., channel])
        lab[..., channel] = gaussian_filter(plane, 1.5 * amount + 2) * np.float32(amount)
    rgb = lab_to_rgb(lab)
    return clip(rgb, out=rgb)


def color_shift(image: FloatImage, amount: float, generator: np.random.Generator) -> FloatImage:
    """#05 Color shift: green moves down and right by up to `amount` pixels, most where edges are.

    The direction is a pair of uniforms in 0–1 scaled to length 1. Source: [M] `imcolorshift`.

    Args:
        image: float32 [h, w, 3], 0–1.
        amount: length of the shift in pixels, rounded in each axis.
        generator: draws the direction.

    Returns:
        float32 [h, w, 3], 0–1; red and blue untouched.
    """
    direction = generator.random(2)
    norm = float(np.hypot(*direction))
    down, right = (round(float(amount * part / norm)) for part in direction) if norm else (0, 0)
    height, width = image.shape[:2]
    green = image[..., 1]
    rows = np.maximum(np.arange(height) - down, 0)  # replicated beyond the top and the left border
    columns = np.maximum(np.arange(width) - right, 0)
    mask = edge_mask(image)
    shifted = image.copy()
    shifted[..., 1] = mask * green[np.ix_(rows, columns)] + (1 - mask) * green
    return shifted


def edge_mask(image: FloatImage) -> FloatImage:
    """#05's weight: smoothed gradient magnitude of the gray image, its flat tenth and its tails cut off.

    Args:
        image: float32 [h, w, 3], 0–1.

    Returns:
        float32 [h, w], 0–1, 1 at the strongest edges.
    """
    gray = rgb_to_gray(image)
    # MATLAB's gradient: central differences inside, one-sided ones at the borders, 0 along a single pixel.
    down, right = (np.gradient(gray, axis=axis) if gray.shape[axis] > 1 else 0 * gray for axis in (0, 1))
    mask = stretch(gaussian_filter(np.hypot(down, right), _EDGE_SIGMA))
    mask = stretch(np.maximum(mask, np.float32(0.1)))
    # MATLAB's prctile puts the i-th of n values at 100·(i − 0.5)/n: NumPy's "hazen".
    low, high = np.percentile(mask, (1, 99), method="hazen")
    return stretch(np.clip(mask, np.float32(low), np.float32(high)))


def color_quantization(image: FloatImage, colors: float, generator: np.random.Generator) -> FloatImage:
    """#06 Color quantization: `rgb2ind`: minimum-variance palette, Floyd–Steinberg dithering.

    Source: [M] `imcolorquantize`; dithering on by default [D].

    Args:
        image: float32 [h, w, 3], 0–1.
        colors: palette size, a whole number, 1–256.
        generator: not used.

    Returns:
        float32 [h, w, 3], 0–1, at most `colors` different colours.
    """
    pixels = to_bytes(image)
    palette = minimum_variance_palette(pixels, int(colors))
    entries = np.round(palette).astype(np.uint8)
    # Pillow dithers to all 256 entries: those we do not use repeat the first one.
    full = np.vstack([entries, np.repeat(entries[:1], 256 - len(entries), axis=0)])
    holder = Image.new("P", (1, 1))
    holder.putpalette(full.tobytes())
    indexed = Image.fromarray(pixels).quantize(palette=holder, dither=Image.Dither.FLOYDSTEINBERG)
    index = np.asarray(indexed)
    quantized: FloatImage = (palette / 255).astype(np.float32)[np.where(index < len(palette), index, 0)]
    return quantized


def saturation_hsv(image: FloatImage, factor: float, generator: np.random.Generator) -> FloatImage:
    """#07 Color saturation 1: S of HSV times `factor`, nothing clipped.

    With hue and value V kept, scaling S moves every channel c to V − factor·(V − c): no hue is needed. A
    negative factor therefore exceeds V; the stretch that follows every distortion rescales it.
    Source: [M] `imcolorsaturate`.

    Args:
        image: float32 [h, w, 3], 0–1.
        factor: no unit; 1 is the identity, 0 is gray, below 0 turns hues to their opposites.
        generator: not used.

    Returns:
        float32 [h, w, 3], 0 to 1 − min(factor, 0).
    """
    red, green, blue = (image[..., channel] for channel in range(3))
    value = np.maximum(np.maximum(red, green), blue)[..., np.newaxis]
    saturated: FloatImage = value - np.float32(factor) * (value - image)
    return saturated


def saturation_lab(image: FloatImage, factor: float, generator: np.random.Generator) -> FloatImage:
    """#08 Color saturation 2: a* and b* of Lab times `factor`, then clipped. Source: [M] `imsaturate`.

    Args:
        image: float32 [h, w, 3], 0–1.
        factor: no unit; 1 is the identity up to rounding.
        generator: not used.

    Returns:
        float32 [h, w, 3], 0–1.
    """
    lab = rgb_to_lab(image)
    lab[..., 1:] *= np.float32(factor)
    rgb = lab_to_rgb(lab)
    return clip(rgb, out=rgb)
