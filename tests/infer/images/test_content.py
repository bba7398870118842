"""What is no photograph is told from photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from dgqa_infer import Bundle
from dgqa_infer.images.content import NOT_A_PHOTOGRAPH, looks_like_no_photograph
from dgqa_infer.images.crops import crops
from dgqa_infer.images.decode import decode

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.parametrize("name", ["peers.png", "selection.png", "type_agreement.png", "cluster.png"])
def test_a_chart_is_no_photograph(name: str) -> None:
    """Real ones, shrunk as they would be for a score."""
    chart = decode(REPOSITORY / "docs" / "pictures" / name).pixels
    _, warnings = crops(chart, Bundle.load("dgqa-lite0").card.preprocessing)
    assert NOT_A_PHOTOGRAPH in warnings


def test_a_slide_with_text_is_no_photograph() -> None:
    slide = Image.new("RGB", (1280, 720), "#103050")
    draw = ImageDraw.Draw(slide)
    for line in range(8):
        draw.text((80, 80 + 70 * line), f"{line}. What we found in the third quarter", "white", font_size=40)
    _, warnings = crops(np.asarray(slide), Bundle.load("dgqa-lite0").card.preprocessing)
    assert warnings == (NOT_A_PHOTOGRAPH,)


def test_a_frame_taken_with_the_lens_cap_on_is_empty() -> None:
    noise = np.random.default_rng(0).normal(4, 1.2, (480, 640, 3))
    assert looks_like_no_photograph(np.clip(noise, 0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    "photo", sorted((REPOSITORY / "examples" / "photos").iterdir()), ids=lambda path: path.stem
)
def test_a_photograph_is_one_however_damaged(photo: Path) -> None:
    _, warnings = crops(decode(photo).pixels, Bundle.load("dgqa-lite0").card.preprocessing)
    assert NOT_A_PHOTOGRAPH not in warnings


def test_fewer_than_one_in_a_hundred_ordinary_photographs_is_taken_for_something_else(
    shared_data: Path,
) -> None:
    photos = sorted((shared_data / "authentic" / "unlabelled").iterdir())[::5]
    found = [looks_like_no_photograph(decode(photo).pixels) for photo in photos]
    assert np.mean(found) <= 0.01
