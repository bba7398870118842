"""JPEGs that several tests make."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

ORIENTATION = 0x0112


def scene(mode: str = "RGB", size: tuple[int, int] = (240, 170)) -> Image.Image:
    """Detail in every place, and no two corners alike."""
    spots = np.random.default_rng(1).integers(0, 256, (size[1] // 3, size[0] // 3, 3), np.uint8)
    return Image.fromarray(spots).resize(size, Image.Resampling.BICUBIC).convert(mode)


def jpeg(image: Image.Image, **options: Any) -> bytes:
    """A JPEG file; the options are Pillow's."""
    file = io.BytesIO()
    image.save(file, "JPEG", **({"quality": 92} | options))
    return file.getvalue()


def exif(orientation: int) -> bytes:
    """Metadata with an orientation, 1–8."""
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags.tobytes()
