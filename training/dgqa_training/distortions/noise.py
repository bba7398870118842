"""Noise: #11 white, #12 white in YCbCr, #13 impulse, #14 multiplicative, #15 denoised."""

import numpy as np

from dgqa_training.distortions._arrays import FloatImage, clip
from dgqa_training.distortions._denoiser import denoise_channels
from dgqa_training.distortions.spaces import rgb_to_ycbcr, ycbcr_to_rgb


def white_noise(image: FloatImage, variance: float, generator: np.random.Generator) -> FloatImage:
    """#11 White noise: Gaussian, mean 0, independent per pixel and channel, clipped.

    Source: [M] `imnoisegauss`; `imnoise` [D].

    Args:
        image: float32 [h, w, 3], 0–1.
        variance: of the noise, in squared units of the 0–1 scale.
        generator: draws the noise.

    Returns:
        float32 [h, w, 3], 0–1.
    """
    noise = generator.standard_normal(image.shape, dtype=np.float32)
    noise *= np.float32(np.sqrt(variance))
    noise += image
    return clip(noise, out=noise)


def color_noise(image: FloatImage, variance: float, generator: np.random.Generator) -> FloatImage:
    """#12 White noise in color component: #11 in YCbCr (studio range), on all three channels, luma too.

    Source: [M] `imnoisecolormap`; the range is [K].

    Args:
        image: float32 [h, w, 3], 0–1.
        variance: of the noise in each of Y, Cb, Cr, whose span is about 0.86 and 0.88.
        generator: draws the noise.

    Returns:
        float32 [h, w, 3], 0–1.
    """
    return clip(ycbcr_to_rgb(white_noise(rgb_to_ycbcr(image), variance, generator)))


def impulse_noise(image: FloatImage, density: float, generator: np.random.Generator) -> FloatImage:
    """#13 Impulse noise: each element (channels apart) turns 0 or 1 with probability density/2 each.

    Source: [M] `imnoiseimpulse`; per element [D].

    Args:
        image: float32 [h, w, 3], 0–1.
        density: share of elements hit, 0–1.
        generator: draws which.

    Returns:
        float32 [h, w, 3], 0–1.
    """
    draw = generator.random(image.shape, dtype=np.float32)
    noisy = image.copy()
    noisy[draw < density] = 1
    noisy[draw < density / 2] = 0
    return noisy


def multiplicative_noise(image: FloatImage, variance: float, generator: np.random.Generator) -> FloatImage:
    """#14 Multiplicative noise: x + n·x with n *uniform*, mean 0, then clipped.

    Source: [M] `imnoisemultiplicative`; `imnoise speckle` [K].

    Args:
        image: float32 [h, w, 3], 0–1.
        variance: of n, no unit; n lies within ±√(3·variance).
        generator: draws n.

    Returns:
        float32 [h, w, 3], 0–1.
    """
    gain = generator.random(image.shape, dtype=np.float32)
    gain -= np.float32(0.5)
    gain *= np.float32(np.sqrt(12 * variance))
    gain += 1
    gain *= image
    return clip(gain, out=gain)


def denoise(image: FloatImage, variance: float, generator: np.random.Generator) -> FloatImage:
    """#15 Denoise: #11 with the given variance, then a denoiser on red, green and blue apart. *Approximate.*

    The original removes the noise with MATLAB's pretrained DnCNN, whose weights are not public; ours is
    the sliding-window DCT of `dgqa_training.distortions._denoiser`. Source: [M] `imdenoise`.

    Args:
        image: float32 [h, w, 3], 0–1.
        variance: of the noise added first, in squared units of the 0–1 scale.
        generator: draws the noise.

    Returns:
        float32 [h, w, 3], 0–1.
    """
    noisy = white_noise(image, variance, generator)
    denoised = denoise_channels(noisy, float(np.sqrt(variance)))
    return clip(denoised, out=denoised)
