"""A folder of small photographs, and shorthands to make sets of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from dgqa_training.synthesis import Settings, SynthesisPlan, Written, plan_set, workers, write_set

QUICK = Settings(types=(3, 10, 23), levels=(1, 5), seed=7)
"""Few images, yet with random types and labels that differ."""


@pytest.fixture
def pristine(tmp_path: Path) -> Path:
    """Three photographs, 56×64 to 64×56 pixels, PNG, JPEG and WebP, with names that sort."""
    folder = tmp_path / "pristine"
    folder.mkdir()
    draw = np.random.default_rng(0)
    for name, shape in (("a.png", (56, 64)), ("b.2024.jpg", (64, 56)), ("c ä.webp", (60, 60))):
        clouds = ndimage.gaussian_filter(draw.standard_normal((*shape, 3)), (2, 2, 0))
        image = np.uint8(255 * (clouds - clouds.min()) / np.ptp(clouds))
        Image.fromarray(image).save(folder / name)
    return folder


Make = Callable[..., tuple[SynthesisPlan, Written]]


@pytest.fixture
def make(pristine: Path) -> Make:
    """Plan and write a set of `pristine`."""

    def made(
        out: Path, settings: Settings = QUICK, jobs: int = 1, **options: object
    ) -> tuple[SynthesisPlan, Written]:
        with workers(jobs) as run:
            plan = plan_set(pristine, settings, run)
            return plan, write_set(plan, out, run, **options)  # type: ignore[arg-type]

    return made


@pytest.fixture
def quick() -> Settings:
    """What `make` makes by default."""
    return QUICK


@pytest.fixture
def files() -> Callable[[Path], dict[str, bytes]]:
    """Everything in a folder, by name."""

    def found(folder: Path) -> dict[str, bytes]:
        return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}

    return found
