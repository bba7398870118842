"""A picture with edges, texture, flat parts and strong colours, made here; it spans 0 to 1."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

Photo = NDArray[np.float32]


@pytest.fixture(scope="session")
def photo() -> Photo:
    """float32 [96, 128, 3], 0–1, exactly on the grid of 8-bit values."""
    draw = np.random.default_rng(20)
    clouds = [ndimage.gaussian_filter(draw.standard_normal((96, 128)), s) * s for s in (1, 3, 9)]
    image = np.stack([sum(clouds) + 0.6 * np.roll(clouds[2], 30 * c, axis=1) for c in range(3)], axis=-1)
    image[20:60, 30:70] += (2.0, -1.0, 0.5)
    image[70:90, 80:120] = (-1.0, 1.5, 2.5)
    image -= image.min()
    return (np.round(image / image.max() * 255) / 255).astype(np.float32)


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(5)
