"""What happens to every photograph and is no fault: saving, resizing, turning, mild grading.

A classifier that never saw an undistorted photograph saved as a JPEG learns that JPEG files are distorted. So
each image that it trains on, pristine ones too, is drawn a view of its own, independent of what was done to
it. The border to real damage is KADID-10k's: its raters find type 10 at level 1 (quality 43) a
fault, and JPEGs of quality 60 and more are what cameras and web sites write.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from dgqa_training.distortions import ByteImage

COLOUR_TYPES = frozenset({4, 5, 6, 7, 8, 12})
"""Types whose fault lies in the colours; a grey view would hide it."""

IDENTITIES = frozenset({(1, 1), (3, 1), (8, 1), (18, 3)})
"""(type, level) that leave an image as it was, up to rounding: these images are pristine."""

_QUALITY = (60, 98)
_RESIZED = (0.5, 1.5)
_GAMMA = (0.85, 1.18)
_GAIN = 0.06
_SUBSAMPLINGS = (0, 2)  # Pillow's numbers of 4:4:4 and 4:2:0


@dataclass(frozen=True, slots=True)
class Nuisances:
    """One view of an image. Every field at its default leaves the image as it is.

    Attributes:
        resized: factor on both sides, 0.5–1.5.
        encoded: "jpeg", "webp" or None for as it is.
        quality: of the encoder, 60–98.
        subsampling: of a JPEG's chroma, Pillow's number: 0 is 4:4:4, 2 is 4:2:0.
        encoded_first: encoded before it is resized, not after.
        grey: without colours.
        gamma: exponent on 0–1.
        gains: of red and blue: white balance.
        turns: by 90° to the left.
        mirrored: left and right exchanged.
    """

    resized: float = 1.0
    encoded: str | None = None
    quality: int = 95
    subsampling: int = 2
    encoded_first: bool = False
    grey: bool = False
    gamma: float = 1.0
    gains: tuple[float, float] = (1.0, 1.0)
    turns: int = 0
    mirrored: bool = False


def draw(generator: np.random.Generator, type_number: int = 0, *, smallest: float = _RESIZED[0]) -> Nuisances:
    """Draw a view, independent of the image's type but for greyscale, which would hide a fault of colour.

    Args:
        generator: the source of all randomness.
        type_number: 1–25, or 0 for a pristine image.
        smallest: least factor of resizing, 0.5–1: a crop must still fit, see `least_factor`.
    """
    encoder, resizing, grading, colourless = generator.random(4)
    quality = int(generator.integers(_QUALITY[0], _QUALITY[1] + 1))
    return Nuisances(
        resized=float(np.exp(generator.uniform(np.log(smallest), np.log(_RESIZED[1]))))
        if resizing < 0.4
        else 1.0,
        encoded="jpeg" if encoder < 0.6 else "webp" if encoder < 0.72 else None,
        quality=quality,
        subsampling=int(generator.choice(_SUBSAMPLINGS)),
        encoded_first=bool(generator.random() < 0.5),
        grey=bool(colourless < 0.1) and type_number not in COLOUR_TYPES,
        gamma=float(np.exp(generator.uniform(*np.log(_GAMMA)))) if grading < 0.3 else 1.0,
        gains=tuple((1 + _GAIN * generator.uniform(-1, 1, 2)).tolist()) if grading < 0.3 else (1.0, 1.0),
        turns=int(generator.integers(4)) if generator.random() < 0.3 else 0,
        mirrored=bool(generator.random() < 0.5),
    )


def least_factor(crop: int, image: ByteImage, *, spare: float = 0.0) -> float:
    """The least factor at which a crop still fits an image that is resized, 0.5–1.

    Args:
        crop: its side in pixels.
        image: uint8 [h, w, 3].
        spare: pixels that are kept beside the crop: the sides of what is resized are rounded.
    """
    shorter: int = min(image.shape[:2])
    return min(1.0, max(_RESIZED[0], (crop + spare) / shorter))


def view(image: ByteImage, nuisances: Nuisances) -> ByteImage:
    """Take a view of an image.

    Args:
        image: uint8 [h, w, 3], sRGB.
        nuisances: as `draw` gives them.

    Returns:
        uint8 [h', w', 3], a new array; sides are those of the image times `resized`, exchanged by odd turns.
    """
    graded = _graded(image, nuisances)
    if nuisances.encoded_first:
        graded = _resized(_encoded(graded, nuisances), nuisances.resized)
    else:
        graded = _encoded(_resized(graded, nuisances.resized), nuisances)
    turned = np.rot90(graded, nuisances.turns)
    return np.ascontiguousarray(turned[:, ::-1] if nuisances.mirrored else turned)


def _graded(image: ByteImage, nuisances: Nuisances) -> ByteImage:
    """Gamma, white balance and greyscale, by a table of 256 values a channel."""
    if nuisances.gamma != 1 or nuisances.gains != (1.0, 1.0):
        curve = (np.arange(256) / 255) ** nuisances.gamma
        red, blue = nuisances.gains
        tables = [np.clip(255 * gain * curve, 0, 255).round().astype(np.uint8) for gain in (red, 1.0, blue)]
        image = np.stack([table[image[..., channel]] for channel, table in enumerate(tables)], axis=-1)
    if nuisances.grey:
        image = np.asarray(Image.fromarray(image).convert("L").convert("RGB"))
    return image


def _resized(image: ByteImage, factor: float) -> ByteImage:
    if factor == 1:
        return image
    height, width = image.shape[:2]
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def _encoded(image: ByteImage, nuisances: Nuisances) -> ByteImage:
    if nuisances.encoded is None:
        return image
    file = io.BytesIO()
    picture = Image.fromarray(image)
    if nuisances.encoded == "jpeg":
        picture.save(file, "JPEG", quality=nuisances.quality, subsampling=nuisances.subsampling)
    else:
        picture.save(file, "WEBP", quality=nuisances.quality, method=2)
    return np.asarray(Image.open(file).convert("RGB"))
