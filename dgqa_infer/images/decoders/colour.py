"""Whatever colours a decoder delivers become 8-bit sRGB; each decision is made here, once.

16 bits a sample keep their upper eight, so that white stays white. An embedded profile is honoured. What is
transparent is laid over mid-grey. What has no defined white is refused.
"""

from __future__ import annotations

import hashlib
import io
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from dgqa_infer.errors import ImageError
from dgqa_infer.images.arrays import Pixels

GREY = 128
"""What stands behind transparent parts."""

_DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_SPACES = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK"}
_TIFF_BITS_PER_SAMPLE = 258


def to_srgb(
    image: Image.Image, profile_bytes: int, *, alpha_declared: bool = True, gamma: float | None = None
) -> tuple[Pixels, list[str]]:
    """Convert a decoded picture.

    Args:
        image: loaded; any mode.
        profile_bytes: an embedded profile longer than this is not used.
        alpha_declared: whether the file says that its alpha is one. If not, alpha that is zero everywhere is
            none: writers leave a fourth byte unset.
        gamma: samples are light to this power; None for sRGB, and for pictures with a profile.

    Returns:
        uint8 [height, width, 3], and warnings.

    Raises:
        ImageError: "unsupported" for samples whose white is not defined, "empty" where all is transparent.
    """
    warnings: list[str] = []
    profile = image.info.get("icc_profile")
    image, alpha = _split_alpha(_to_8_bits(image))
    if alpha is not None and alpha.getextrema() == (0, 0):
        if alpha_declared:
            raise ImageError("empty", "every pixel is transparent: there is nothing to score")
        alpha = None
    image = _apply_profile(image, profile, profile_bytes, warnings)
    if gamma is not None and not profile:
        image = image.point(_srgb_of_power(gamma) * 3)
    if alpha is not None and alpha.getextrema()[0] != 255:
        warnings.append("alpha_over_grey")
        background = Image.new("RGB", image.size, (GREY, GREY, GREY))
        background.paste(image, mask=alpha)
        image = background
    return np.asarray(image), warnings


def profile_changes_srgb(profile: bytes | None, profile_bytes: int) -> bool:
    """Whether an RGB picture with this profile needs `to_srgb` to read its colours."""
    if not profile:
        return False
    try:
        return len(profile) > profile_bytes or _transform(_Profile(profile), "RGB") is not None
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return True


def _to_8_bits(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ImageError("unsupported", "floating-point samples have no defined white")
    if image.mode not in _DEEP:
        return image
    bits = 16
    if (tags := getattr(image, "tag_v2", None)) is not None:
        bits = max(tags.get(_TIFF_BITS_PER_SAMPLE, (16,)))
    samples = np.asarray(image)
    if bits > 16 or samples.min() < 0 or samples.max() > 65535:
        raise ImageError("unsupported", f"{bits}-bit integer samples have no defined white")
    result = Image.fromarray((samples >> max(bits - 8, 0)).astype(np.uint8))
    if isinstance(transparent := image.info.get("transparency"), int):
        result.putalpha(Image.fromarray(np.where(samples == transparent, 0, 255).astype(np.uint8)))
    return result


def _split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """A picture in a mode without alpha, and its alpha where it has one."""
    if image.mode in ("PA", "La", "RGBa") or (
        "transparency" in image.info and image.mode in ("1", "L", "P", "RGB")
    ):
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    if image.mode in ("RGBA", "LA"):
        return image.convert("RGB" if image.mode == "RGBA" else "L"), image.getchannel("A")
    return image, None


def _apply_profile(image: Image.Image, profile: bytes | None, limit: int, warnings: list[str]) -> Image.Image:
    if image.mode == "LAB":
        return _from_lab(image)
    if image.mode not in _SPACES:
        image = image.convert("L" if image.mode == "1" else "RGB")
    if profile:
        try:
            if len(profile) > limit:
                raise ValueError(f"the profile is longer than {limit} bytes")
            known = _Profile(profile)
            if image.mode == "L" and known.space == "RGB ":
                image = image.convert("RGB")
            if (transform := _transform(known, image.mode)) is not None:
                image = ImageCms.applyTransform(image, transform) or image
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            warnings.append("icc_profile_ignored")
    if image.mode == "CMYK":
        warnings.append("cmyk_without_profile")
    return image if image.mode == "RGB" else image.convert("RGB")


@lru_cache(maxsize=16)
def _srgb_of_power(gamma: float) -> list[int]:
    """For each 8-bit sample that is light to this power, sRGB's sample of that light (IEC 61966-2-1)."""
    light = (np.arange(256) / 255) ** (1 / gamma)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return [int(value) for value in np.rint(255 * encoded)]


def _from_lab(image: Image.Image) -> Image.Image:
    transform = ImageCms.buildTransform(
        ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB"
    )
    return ImageCms.applyTransform(image, transform) or image


class _Profile:
    """A profile's bytes, hashable by what they are, so that each is opened once."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.digest = hashlib.sha256(data).digest()
        self.space = data[16:20].decode("latin-1")

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Profile) and self.digest == other.digest


@lru_cache(maxsize=16)
def _transform(profile: _Profile, mode: str) -> Any:
    """The way from a profile to sRGB; None where the profile is sRGB already.

    Raises:
        ImageCms.PyCMSError: the profile is damaged.
        ValueError: it describes other channels than the picture has.
    """
    if profile.space != _SPACES[mode]:
        raise ValueError(f"a {profile.space.strip()} profile on a {mode} picture")
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile.data))
    transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    if mode != "RGB":
        return transform
    # Makers write sRGB in many ways. What moves no colour by more than one level is sRGB.
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    moved = ImageCms.applyTransform(Image.fromarray(grid), transform)
    change = np.abs(np.asarray(moved).astype(int) - grid)
    return transform if change.max() > 1 else None
