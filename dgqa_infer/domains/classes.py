"""The 26 domains that a classifier tells apart, in the order of its outputs, and words for them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from dgqa_infer.bundle.card import PRISTINE, Domains
from dgqa_infer.errors import ModelError

WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        PRISTINE: "pristine",
        "gaussian-blur": "soft all over",
        "lens-blur": "out of focus",
        "motion-blur": "motion blur",
        "color-diffusion": "colours bleed over edges",
        "color-shift": "colour fringes",
        "color-quantization": "too few colours",
        "color-saturation-1": "washed-out colours",
        "color-saturation-2": "oversaturated colours",
        "jpeg2000": "smeared by JPEG 2000 compression",
        "jpeg": "blocks from JPEG compression",
        "white-noise": "grain",
        "white-noise-color": "colour noise",
        "impulse-noise": "stray black and white pixels",
        "multiplicative-noise": "noise in the bright parts",
        "denoise": "smudged by noise reduction",
        "brighten": "too bright",
        "darken": "too dark",
        "mean-shift": "clipped highlights or shadows",
        "jitter": "frayed edges",
        "non-eccentricity-patch": "small misplaced patches",
        "pixelate": "visible pixels",
        "quantization": "banding",
        "color-block": "coloured squares",
        "high-sharpen": "oversharpened",
        "contrast-change": "too much or too little contrast",
    }
)
"""Class → what it looks like; none has a comma, so that several make a readable list. KADID's order."""

CLASSES: Final = tuple(WORDS)
"""Names of the 26 classes: 0 is pristine, 1–25 are KADID's distortion types."""


def words(name: str) -> str:
    """What a class is called in rows and gates; one that is not KADID's is called by its own name."""
    return WORDS.get(name.replace("_", "-"), name.replace("_", " "))


def is_kadid(domains: Domains) -> bool:
    """Whether a classifier has the 26 classes in this order."""
    return tuple(name.replace("_", "-") for name in domains.classes) == CLASSES


def require_kadid(domains: Domains | None, name: str) -> None:
    """Refuse a bundle whose classifier does not have the 26 classes in this order.

    Args:
        domains: what its card says.
        name: of the bundle, for the error.

    Raises:
        ModelError: it has no classifier, or another one; says where it differs.
    """
    if domains is None:
        raise ModelError(f"{name} has no domain classifier (domains.onnx)")
    found = [each.replace("_", "-") for each in domains.classes]
    if len(found) != len(CLASSES):
        raise ModelError(f"{name}: its classifier has {len(found)} classes, not KADID's {len(CLASSES)}")
    for number, (have, want) in enumerate(zip(found, CLASSES, strict=True)):
        if have != want:
            raise ModelError(
                f"{name}: class {number} of its classifier is {have!r}, not {want!r}; domains are selected "
                "by KADID's numbers, so its classes must be pristine and the 25 types in their order"
            )
