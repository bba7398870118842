"""The 25 distortion types of KADID-10k and KADIS-700k: the only place that knows numbers, names and levels.

Level vectors and order: [M] and [M2], the dispatcher of the original generator. A level's number says how the
set is laid out, not how bad the image is: #18 is the identity at level 3, #25 is mildest there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

import numpy as np

from dgqa_infer.errors import UsageError
from dgqa_training.distortions import blur, brightness, colour, compression, noise, sharpness, spatial
from dgqa_training.distortions._arrays import FloatImage

Distortion: TypeAlias = Callable[[FloatImage, float, np.random.Generator], FloatImage]
"""(image float32 [h, w, 3] 0–1, parameter, generator) → image float32 [h, w, 3]."""

LEVELS: Final = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class DistortionType:
    """One of the 25 types.

    Attributes:
        number: 1–25, as in KADID's file names.
        name: as KADID-10k calls it.
        slug: the name as an identifier, for options, files and keys.
        plain: the words a photographer would use.
        group: blur, colour, compression, noise, brightness, spatial or sharpness.
        parameter: what the levels are values of, with its unit.
        levels: that parameter's value at levels 1–5.
        function: image, parameter value, generator → image, without the stretches before and after.
        approximate: True where the original cannot be reproduced (#15 only).
        smallest_side: least width and height, in pixels, that the function works on.
    """

    number: int
    name: str
    slug: str
    plain: str
    group: str
    parameter: str
    levels: tuple[float, float, float, float, float]
    function: Distortion
    approximate: bool = False
    smallest_side: int = 1

    def value(self, level: int) -> float:
        """The parameter at a level.

        Raises:
            UsageError: the level is not 1–5.
        """
        if level not in LEVELS:
            raise UsageError(f"level {level} does not exist: levels are 1 to 5")
        return self.levels[level - 1]


_TYPES: Final = (
    DistortionType(
        1, "Gaussian blur", "gaussian-blur", "soft all over", "blur",
        "standard deviation (px)", (0.1, 0.5, 1, 2, 5), blur.gaussian_blur,
    ),
    DistortionType(
        2, "Lens blur", "lens-blur", "out of focus", "blur",
        "disk radius (px)", (1, 2, 4, 6, 8), blur.lens_blur,
    ),
    DistortionType(
        3, "Motion blur", "motion-blur", "motion blur", "blur",
        "line length (px)", (1, 2, 4, 6, 10), blur.motion_blur,
    ),
    DistortionType(
        4, "Color diffusion", "color-diffusion", "colours bleed over edges", "colour",
        "amount", (1, 3, 6, 8, 12), colour.color_diffusion,
    ),
    DistortionType(
        5, "Color shift", "color-shift", "colour fringes", "colour",
        "largest shift (px)", (1, 3, 6, 8, 12), colour.color_shift,
    ),
    DistortionType(
        6, "Color quantization", "color-quantization", "too few colours", "colour",
        "palette size", (64, 48, 32, 16, 8), colour.color_quantization,
    ),
    DistortionType(
        7, "Color saturation 1", "color-saturation-1", "washed-out colours", "colour",
        "factor of S in HSV", (0.4, 0.2, 0.1, 0, -0.4), colour.saturation_hsv,
    ),
    DistortionType(
        8, "Color saturation 2", "color-saturation-2", "oversaturated colours", "colour",
        "factor of a* and b*", (1, 2, 3, 6, 9), colour.saturation_lab,
    ),
    DistortionType(
        9, "JPEG2000", "jpeg2000", "smeared by JPEG 2000 compression", "compression",
        "compression ratio", (16, 32, 45, 120, 400), compression.jpeg2000,
    ),
    DistortionType(
        10, "JPEG", "jpeg", "blocks from JPEG compression", "compression",
        "quality (1-100)", (43, 36, 24, 7, 4), compression.jpeg,
    ),
    DistortionType(
        11, "White noise", "white-noise", "grain", "noise",
        "variance (0-1 scale)", (0.001, 0.002, 0.003, 0.005, 0.01), noise.white_noise,
    ),
    DistortionType(
        12, "White noise in color component", "white-noise-color", "colour noise", "noise",
        "variance (YCbCr, 0-1 scale)", (0.0001, 0.0005, 0.001, 0.002, 0.003), noise.color_noise,
    ),
    DistortionType(
        13, "Impulse noise", "impulse-noise", "stray black and white pixels", "noise",
        "density (share of elements)", (0.001, 0.005, 0.01, 0.02, 0.03), noise.impulse_noise,
    ),
    DistortionType(
        14, "Multiplicative noise", "multiplicative-noise", "noise in the bright parts", "noise",
        "variance of the gain", (0.001, 0.005, 0.01, 0.02, 0.05), noise.multiplicative_noise,
    ),
    DistortionType(
        15, "Denoise", "denoise", "smudged by noise reduction", "noise",
        "variance of the noise removed (0-1 scale)", (0.01, 0.03, 0.05, 0.1, 0.15), noise.denoise,
        approximate=True,
    ),
    DistortionType(
        16, "Brighten", "brighten", "too bright", "brightness",
        "lift of mid-gray, doubled", (0.1, 0.2, 0.4, 0.7, 1.1), brightness.brighten,
    ),
    DistortionType(
        17, "Darken", "darken", "too dark", "brightness",
        "drop of mid-gray, doubled", (0.05, 0.1, 0.2, 0.4, 0.8), brightness.darken,
    ),
    DistortionType(
        18, "Mean shift", "mean-shift", "clipped highlights or shadows", "brightness",
        "offset (0-1 scale)", (0.15, 0.08, 0, -0.08, -0.15), brightness.mean_shift,
    ),
    DistortionType(
        19, "Jitter", "jitter", "frayed edges", "spatial",
        "displacement, standard deviation (px)", (0.05, 0.1, 0.2, 0.5, 1), spatial.jitter,
    ),
    DistortionType(
        20, "Non-eccentricity patch", "non-eccentricity-patch", "small misplaced patches", "spatial",
        "number of patches", (20, 40, 60, 80, 100), spatial.non_eccentricity_patch,
        smallest_side=spatial.PATCH_ROOM,
    ),
    DistortionType(
        21, "Pixelate", "pixelate", "visible pixels", "spatial",
        "strength", (0.01, 0.05, 0.1, 0.2, 0.5), spatial.pixelate,
    ),
    DistortionType(
        22, "Quantization", "quantization", "banding", "spatial",
        "number of thresholds", (20, 16, 13, 10, 7), spatial.quantization,
    ),
    DistortionType(
        23, "Color block", "color-block", "coloured squares", "spatial",
        "number of blocks", (2, 4, 6, 8, 10), spatial.color_block, smallest_side=spatial.BLOCK_ROOM,
    ),
    DistortionType(
        24, "High sharpen", "high-sharpen", "oversharpened", "sharpness",
        "amount", (1, 2, 3, 6, 12), sharpness.high_sharpen,
    ),
    DistortionType(
        25, "Contrast change", "contrast-change", "too much or too little contrast", "sharpness",
        "curve parameter a", (0.3, 0.15, 0, -0.4, -0.6), sharpness.contrast_change,
    ),
)  # fmt: skip

DISTORTIONS: Final[Mapping[int, DistortionType]] = MappingProxyType({kind.number: kind for kind in _TYPES})
"""All 25 types by number, in order."""


def find(which: int | str) -> DistortionType:
    """Look a type up by number, slug or name (case does not matter).

    Raises:
        UsageError: there is no such type.
    """
    wanted = str(which).strip().lower()
    for kind in _TYPES:
        if wanted in (str(kind.number), kind.slug, kind.name.lower()):
            return kind
    raise UsageError(
        f"there is no distortion type {which!r}: use 1 to 25, or a name such as 'jpeg' or 'motion-blur'"
    )
