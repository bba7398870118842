"""One synthetic image in memory: the same pixels for the same seed, file name, type and level, always.

Every image has a random generator of its own, derived from those four and nothing else. So it does not matter
in what order images are made, by how many processes, or which others are made beside it. A training that
makes its images in memory draws each anew in every epoch, from another generator: see `loop.crop_sources`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from dgqa_training.distortions import ByteImage, distort, to_bytes


def synthesize(reference: ByteImage, name: str, type_number: int, level: int, seed: int) -> ByteImage:
    """Distort a pristine photograph.

    Args:
        reference: uint8 [h, w, 3], sRGB.
        name: the photograph's file name, without folders.
        type_number: 1–25.
        level: 1–5.
        seed: any whole number.

    Returns:
        uint8 [h, w, 3], a new array.

    Raises:
        ImageError: the photograph cannot be distorted in this way (too small for types 20 and 23).
        UsageError: there is no such type or level.
    """
    return to_bytes(distort(reference, type_number, level, generator_for(seed, name, type_number, level)))


def generator_for(seed: int, name: str, type_number: int, level: int) -> np.random.Generator:
    """The source of all randomness in one image.

    Python's `hash` differs from process to process; SHA-256 does not.

    Args:
        seed: any whole number.
        name: the photograph's file name, without folders.
        type_number: 1–25.
        level: 1–5.
    """
    key = f"{seed}\0{type_number}\0{level}\0{name}".encode("utf-8", "surrogateescape")
    return np.random.default_rng(int.from_bytes(hashlib.sha256(key).digest(), "big"))


def chosen_type(seed: int, name: str, types: Sequence[int]) -> int:
    """The one type that a photograph gets in a set in KADIS-700k's layout: uniform over `types`.

    Args:
        seed: any whole number.
        name: the photograph's file name, without folders.
        types: what to choose from; not empty.
    """
    # Type 0, level 0 is no image, so this generator is nobody else's.
    return types[int(generator_for(seed, name, 0, 0).integers(len(types)))]
