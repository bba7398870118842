"""In headless Chromium the npm package gives the scores, maps and faults of the Python library."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.web.in_browser import Page
from dgqa_infer import Scorer


@pytest.mark.parametrize("form", ["bytes", "Blob", "ImageBitmap", "ImageData"])
def test_a_photograph_has_pythons_score_in_whatever_form_it_is_given(
    page: Page, repository: Path, form: str
) -> None:
    photo = repository / "examples" / "photos" / "coffee-gaussian-blur.webp"
    with Scorer("dgqa-lite0", device="cpu", precision="fp32", explain=True, maps=True) as scorer:
        right = scorer.score(photo)
    found = page.score(f"/photos/{photo.name}", form)
    assert found["raw"] == pytest.approx(right.raw, abs=1e-3)
    assert found["score"] == pytest.approx(right.score, abs=0.05)
    assert found["spread"] == pytest.approx(right.spread, abs=1e-3)
    assert (found["width"], found["height"], found["warnings"]) == (right.width, right.height, [])
    assert found["model"] == right.model
    assert right.distortions
    assert [each["name"] for each in found["distortions"]] == [each.name for each in right.distortions]
    assert right.quality_map is not None
    np.testing.assert_allclose(np.ravel(found["map"]), np.ravel(right.quality_map.cells), atol=5e-3)


def test_pixels_in_other_colours_than_srgb_are_converted(page: Page, repository: Path) -> None:
    """A canvas may be in Display P3: rounding costs 0.003 of this photograph's `raw`, misreading 0.035."""
    photo = repository / "examples" / "photos" / "chelsea-pixelate.webp"
    with Scorer("dgqa-lite0", device="cpu", precision="fp32") as scorer:
        right = scorer.score(photo).raw
    found = page.score(f"/photos/{photo.name}", "ImageData in Display P3")
    assert found["raw"] == pytest.approx(right, abs=0.01)


def test_jpegs_of_every_orientation_and_size_have_pythons_score(
    page: Page, repository: Path, pictures: Path
) -> None:
    """Large ones are decoded at a part of their size by the library, and at their full size by a browser."""
    photo = Image.open(repository / "examples" / "photos" / "coffee.webp").convert("RGB")
    for orientation in (1, 3, 6, 8):
        exif = Image.Exif()
        exif[0x0112] = orientation
        photo.resize((1201, 823)).save(pictures / f"turned-{orientation}.jpg", exif=exif, quality=90)
    photo.resize((3461, 2309)).save(pictures / "large.jpg", quality=90)
    photo.resize((150, 101)).save(pictures / "small.jpg")
    photo.convert("L").save(pictures / "grey.jpg")
    with Scorer("dgqa-lite0", device="cpu", precision="fp32") as scorer:
        for path in sorted(pictures.glob("*.jpg")):
            right = scorer.score(path)
            found = page.score(f"/pictures/{path.name}")
            allowed = 0.03 if path.stem == "large" else 1e-3
            assert found["raw"] == pytest.approx(right.raw, abs=allowed), path.name
            assert (found["width"], found["height"]) == (right.width, right.height), path.name
            assert found["warnings"] == list(right.warnings), path.name


def test_transparent_parts_are_laid_over_grey(page: Page, pictures: Path) -> None:
    picture = np.random.default_rng(3).integers(0, 256, (240, 260, 4), dtype=np.uint8)
    Image.fromarray(picture).save(pictures / "alpha.png")
    picture[..., 3] = 0
    Image.fromarray(picture).save(pictures / "nothing.png")
    with Scorer("dgqa-lite0", device="cpu", precision="fp32") as scorer:
        right = scorer.score(pictures / "alpha.png")
    found = page.score("/pictures/alpha.png")
    # A canvas keeps colours multiplied by their opacity, so that those of faint pixels lose some bits.
    assert found["raw"] == pytest.approx(right.raw, abs=0.02)
    assert found["warnings"] == ["alpha_over_grey"] == list(right.warnings)
    assert page.score("/pictures/nothing.png")["code"] == "empty"


def test_what_cannot_be_scored_has_a_code(page: Page, pictures: Path) -> None:
    (pictures / "empty").touch()
    (pictures / "text.jpg").write_text("no picture")
    answers = [page.score(f"/pictures/{name}") for name in ("empty", "text.jpg")]
    assert [answer["error"] for answer in answers] == ["ImageError", "ImageError"]
    assert [answer["code"] for answer in answers] == ["empty", "corrupt"]
