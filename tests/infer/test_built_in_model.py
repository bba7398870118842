"""What a user tries first on the built-in model, with the photographs of the examples.

The limits are what such a user would still accept, not what a version happened to give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from dgqa_infer import Scorer

GOOD = ("astronaut", "chelsea", "coffee", "rocket")


@pytest.fixture(scope="module")
def score() -> Iterator[Callable[[Any], float]]:
    with Scorer(device="cpu") as scorer:
        yield lambda image: scorer.score(image).score


@pytest.fixture(scope="module")
def good(repository: Path) -> dict[str, Image.Image]:
    return {
        name: Image.open(repository / "examples" / "photos" / f"{name}.webp").convert("RGB") for name in GOOD
    }


@pytest.mark.parametrize(
    ("change", "median", "most"),
    [
        (Image.Transpose.FLIP_LEFT_RIGHT, 1, 3),
        (Image.Transpose.ROTATE_90, 2, 6),
        (Image.Transpose.ROTATE_180, 2, 6),
        (Image.Transpose.ROTATE_270, 2, 6),
    ],
)
def test_a_photograph_that_is_turned_or_mirrored_keeps_its_score(
    score: Any, good: dict[str, Image.Image], change: Image.Transpose, median: float, most: float
) -> None:
    changes = [abs(score(image.transpose(change)) - score(image)) for image in good.values()]
    assert np.median(changes) <= median
    assert max(changes) <= most


def test_a_photograph_without_colours_is_no_worse_for_it(score: Any, good: dict[str, Image.Image]) -> None:
    changes = [score(image.convert("L").convert("RGB")) - score(image) for image in good.values()]
    assert np.median(changes) >= -5
    assert min(changes) >= -6


def test_a_sharp_subject_before_a_soft_background_is_no_mediocre_photograph(
    score: Any, good: dict[str, Image.Image]
) -> None:
    """A third of the photograph that is sharp is worth a third of its score at least."""
    for image in good.values():
        soft = image.filter(ImageFilter.GaussianBlur(6))
        bokeh = soft.copy()
        width, height = image.size
        box = (width // 4, 0, width * 7 // 12, height)
        bokeh.paste(image.crop(box), box)
        assert score(bokeh) - score(soft) >= (score(image) - score(soft)) / 3


@pytest.mark.parametrize("radius", [1, 2, 4, 8])
def test_blur_lowers_it_at_every_step(score: Any, good: dict[str, Image.Image], radius: int) -> None:
    for image in good.values():
        sharper = image.filter(ImageFilter.GaussianBlur(radius / 2))
        assert score(image.filter(ImageFilter.GaussianBlur(radius))) < score(sharper)
