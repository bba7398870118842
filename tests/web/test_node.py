"""In Node the npm package gives the crops, scores, maps and faults of the Python library."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dgqa_infer import Scorer
from dgqa_infer.bundle.preprocessing import FULL, STANDARD, Preprocessing
from dgqa_infer.domains.classes import WORDS
from dgqa_infer.images.crops import crops

MODEL = Path("dgqa_infer") / "models" / "dgqa-lite0"
Node = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]

SIZES = (
    (513, 512),
    (512, 513),
    (701, 1000),
    (1999, 601),
    (300, 150),
    (1, 40),
    (224, 224),
    (223, 900),
    (1537, 2311),
)
WAYS = (
    STANDARD,
    FULL,
    Preprocessing("grid9", short_side=300, crop=128, grid=9, filter="lanczos", resizer="fast_image_resize"),
    Preprocessing("grid1", short_side=256, crop=224, grid=1, filter="bilinear", resizer="fast_image_resize"),
)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.id)
def test_crops_are_pythons_byte_for_byte(node: Node, tmp_path: Path, way: Preprocessing) -> None:
    pytest.importorskip("cykooz_resizer", reason="fast_image_resize is not installed (cykooz.resizer)")
    generator = np.random.default_rng(7)
    jobs, images = [], []
    for index, (height, width) in enumerate(SIZES):
        image = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
        (tmp_path / f"{index}.rgb").write_bytes(image.tobytes())
        size = {"width": width, "height": height, "how": way.as_card()}
        jobs.append(
            {"do": "crops", **size, "file": tmp_path / f"{index}.rgb", "out": tmp_path / f"{index}.out"}
        )
        images.append(image)
    for index, (answer, image) in enumerate(zip(node(jobs), images, strict=True)):
        right, warnings = crops(image, way)
        found = np.frombuffer((tmp_path / f"{index}.out").read_bytes(), np.uint8).reshape(right.shape)
        np.testing.assert_array_equal(found, right, err_msg=str(image.shape))
        assert answer == {"warnings": list(warnings)}


def test_scores_maps_and_faults_are_pythons(node: Node, repository: Path, tmp_path: Path) -> None:
    photos = sorted((repository / "examples" / "photos").glob("*.webp"))
    Image.open(photos[0]).convert("RGB").resize((1201, 823)).save(tmp_path / "large.png")
    Image.open(photos[0]).convert("RGB").resize((150, 101)).save(tmp_path / "small.png")
    photos += [tmp_path / "large.png", tmp_path / "small.png"]
    size = {"model": repository / MODEL, "explain": True, "over": [90, 60]}
    answers = node([{"do": "score", "file": photo, **size} for photo in photos])
    with Scorer("dgqa-lite0", device="cpu", precision="fp32", explain=True, maps=True) as scorer:
        for photo, answer in zip(photos, answers, strict=True):
            right = scorer.score(photo)
            assert answer["raw"] == pytest.approx(right.raw, abs=1e-3), photo.name
            assert answer["score"] == pytest.approx(right.score, abs=0.02)
            assert answer["spread"] == pytest.approx(right.spread, abs=1e-3)
            assert answer["cells"] == pytest.approx(answer["raw"], abs=1e-4)
            assert (answer["width"], answer["height"]) == (right.width, right.height)
            assert answer["warnings"] == list(right.warnings)
            assert answer["model"] == right.model
            assert right.distortions is not None
            names = [each["name"] for each in answer["distortions"]]
            assert names == [each.name for each in right.distortions]
            for found, each in zip(answer["distortions"], right.distortions, strict=True):
                assert found["probability"] == pytest.approx(each.probability, abs=0.01)
                assert found["severity"] == pytest.approx(each.severity, abs=0.05)
            assert right.quality_map is not None
            over = np.array([np.nan if each is None else each for each in answer["over"]], float)
            np.testing.assert_allclose(over.reshape(60, 90), right.quality_map.over(60, 90), atol=5e-3)


def drawn() -> dict[str, np.ndarray]:
    """What is no photograph, and what is hardly one."""
    noise = np.random.default_rng(5)
    plain = np.full((300, 400, 3), 90, np.uint8)
    slide = plain.copy()
    slide[:60] = noise.integers(0, 256, (60, 400, 3))
    half = plain.copy()
    half[:150] = noise.integers(0, 256, (150, 400, 3))
    grain = np.clip(plain + noise.normal(0, 1, plain.shape), 0, 255).astype(np.uint8)
    return {"plain": plain, "slide": slide, "half": half, "grain": grain, "small": plain[:100, :100].copy()}


def test_what_is_no_photograph_has_pythons_warning(node: Node, tmp_path: Path) -> None:
    jobs, right = [], {}
    for name, picture in drawn().items():
        (tmp_path / name).write_bytes(picture.tobytes())
        height, width = picture.shape[:2]
        size = {"width": width, "height": height, "how": STANDARD.as_card()}
        jobs.append({"do": "crops", **size, "file": tmp_path / name, "out": tmp_path / f"{name}.out"})
        right[name] = list(crops(picture, STANDARD)[1])
    found = {name: answer["warnings"] for name, answer in zip(right, node(jobs), strict=True)}
    assert found == right
    assert found["slide"] == ["not_a_photograph"] != found["half"]


def test_transparent_parts_are_laid_over_grey_as_in_python(
    node: Node, repository: Path, tmp_path: Path
) -> None:
    picture = np.random.default_rng(3).integers(0, 256, (240, 260, 4), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "alpha.png")
    (tmp_path / "alpha.rgba").write_bytes(picture.tobytes())
    picture[..., 3] = 0
    (tmp_path / "nothing.rgba").write_bytes(picture.tobytes())
    job = {"do": "pixels", "width": 260, "height": 240, "model": repository / MODEL}
    files = ("alpha.rgba", "nothing.rgba")
    found, nothing = node([job | {"file": tmp_path / file} for file in files])
    with Scorer("dgqa-lite0", device="cpu", precision="fp32") as scorer:
        right = scorer.score(tmp_path / "alpha.png")
    assert found["raw"] == pytest.approx(right.raw, abs=1e-3)
    assert found["warnings"] == ["alpha_over_grey"] == list(right.warnings)
    assert (nothing["error"], nothing["code"]) == ("ImageError", "empty")


def test_what_cannot_be_scored_has_a_code(node: Node, repository: Path, tmp_path: Path) -> None:
    photo = repository / "examples" / "photos" / "coffee.webp"
    (tmp_path / "empty").touch()
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "torn.webp").write_bytes(photo.read_bytes()[:60_000])
    model = {"do": "score", "model": repository / MODEL}
    jobs = [
        model | {"file": tmp_path / "empty"},
        model | {"file": tmp_path / "text.jpg"},
        model | {"file": tmp_path / "torn.webp"},
        model | {"file": photo, "limits": {"pixels": 1000}},
        model | {"file": photo, "limits": {"fileBytes": 1000}},
        {"do": "pixels", "width": 5, "height": 5, "file": tmp_path / "text.jpg", "model": repository / MODEL},
    ]
    answers = node(jobs)
    assert {answer["error"] for answer in answers} == {"ImageError"}
    codes = [answer["code"] for answer in answers]
    assert codes == ["empty", "corrupt", "corrupt", "too_large", "too_large", "unsupported"]


def test_an_absent_or_exchanged_model_is_refused(node: Node, repository: Path, tmp_path: Path) -> None:
    photo = repository / "examples" / "photos" / "coffee.webp"
    model = repository / MODEL
    (tmp_path / "card.json").write_bytes((model / "card.json").read_bytes())
    (tmp_path / "model.onnx").write_bytes((model / "domains.onnx").read_bytes())
    exchanged, absent = node(
        [{"do": "score", "file": photo, "model": folder} for folder in (tmp_path, tmp_path / "absent")]
    )
    assert exchanged["error"] == absent["error"] == "ModelError"
    assert "model.onnx is not the file that card.json describes" in exchanged["message"]
    assert str(tmp_path / "absent" / "card.json") in absent["message"]


def test_distortions_have_the_same_words(node: Node) -> None:
    assert node([{"do": "words"}]) == [dict(WORDS)]
