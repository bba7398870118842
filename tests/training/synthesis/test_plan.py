"""What a set consists of."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from PIL import Image

from dgqa_infer.errors import UsageError
from dgqa_training.synthesis import Settings, plan_set, workers
from dgqa_training.synthesis.image import chosen_type


def plan(folder, settings=None):
    with workers(1) as run:
        return plan_set(folder, settings or Settings(), run)


def test_references_are_numbered_in_the_order_of_their_names(pristine):
    references = plan(pristine).references
    assert [(r.name, r.path.name) for r in references] == [
        ("I01", "a.png"),
        ("I02", "b.2024.jpg"),
        ("I03", "c ä.webp"),
    ]
    assert (references[0].width, references[0].height) == (64, 56)
    assert references[0].sha256 == hashlib.sha256((pristine / "a.png").read_bytes()).hexdigest()


def test_all_types_and_levels_are_the_default(pristine):
    assert plan(pristine).image_count == 3 * 125


def test_more_than_99_references_get_wider_numbers(tmp_path):
    for number in range(101):
        Image.new("RGB", (2, 2)).save(tmp_path / f"{number:03}.png")
    names = [r.name for r in plan(tmp_path, Settings(types=(1,))).references]
    assert names[0] == "I001"
    assert names[-1] == "I101"


def test_photographs_get_one_type_each_in_kadis_layout(pristine):
    settings = Settings(per_image="one", seed=3)
    references = plan(pristine, settings).references
    assert [r.name for r in references] == ["a", "b.2024", "c ä"]
    for reference in references:
        assert reference.types == (chosen_type(3, reference.path.name, settings.types),)


def test_what_cannot_be_used_is_skipped_and_said(pristine):
    (pristine / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (pristine / "notes.txt").write_text("not an image")
    (pristine / "sub").mkdir()
    Image.new("RGB", (47, 90)).save(pristine / "aa small.png")
    Image.new("RGB", (1, 90)).save(pristine / "ab thin.png")
    made = plan(pristine)
    assert [r.path.name for r in made.references] == ["a.png", "b.2024.jpg", "c ä.webp"]
    assert sorted(made.skipped) == ["aa small.png", "ab thin.png", "broken.png"]
    assert made.skipped["aa small.png"] == "47×90 pixels are too small: the types need 48 on a side"
    assert plan(pristine, Settings(types=(1,))).references[1].path.name == "aa small.png"


def test_gray_alpha_and_turned_photographs_become_upright_rgb(tmp_path):
    gray = np.arange(64 * 50, dtype=np.uint32).reshape(64, 50).astype(np.uint8)
    Image.fromarray(gray).save(tmp_path / "gray.png")
    Image.fromarray(np.dstack([gray] * 4)).save(tmp_path / "alpha.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(gray).save(tmp_path / "turned.jpg", exif=exif)
    for reference in plan(tmp_path).references:
        pixels = reference.pixels(None)
        assert pixels.shape == (reference.height, reference.width, 3)
    assert plan(tmp_path).references[2].width == 64


def test_photographs_are_shrunk_to_the_short_side_but_never_enlarged(tmp_path):
    Image.new("RGB", (300, 200)).save(tmp_path / "large.png")
    Image.new("RGB", (90, 80)).save(tmp_path / "small.png")
    sizes = [(r.width, r.height) for r in plan(tmp_path, Settings(short_side=100)).references]
    assert sizes == [(150, 100), (90, 80)]


def test_folders_without_photographs_are_refused(tmp_path):
    with pytest.raises(UsageError, match="has no photograph"):
        plan(tmp_path)
    with pytest.raises(UsageError):
        plan(tmp_path / "missing")
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(UsageError, match=r"the first, a\.png: "):
        plan(tmp_path)
    with pytest.raises(UsageError, match="not a folder"):
        plan(tmp_path / "a.png")


def test_two_photographs_of_one_stem_are_refused_in_kadis_layout(pristine):
    Image.new("RGB", (60, 60)).save(pristine / "a.bmp")
    with pytest.raises(UsageError, match="'a' is there 2 times"):
        plan(pristine, Settings(per_image="one"))
    assert len(plan(pristine).references) == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"types": ()}, "types"),
        ({"types": (0, 1)}, "types"),
        ({"types": (2, 1)}, "ascending"),
        ({"levels": (6,)}, "levels"),
        ({"levels": (1, 1)}, "each once"),
        ({"per_image": "one", "levels": (1, 2)}, "all five levels"),
        ({"labels": "guess"}, "no labelling 'guess'"),
        ({"short_side": 0}, "leaves no image"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        Settings(**settings)


def test_the_manifest_says_all_that_decides_the_pixels(pristine):
    manifest = plan(pristine, Settings(types=(9, 15), levels=(5,), seed=2, short_side=50)).manifest()
    assert manifest["layout"] == "KADID-10k"
    assert manifest["settings"] == {
        "types": [9, 15],
        "levels": [5],
        "per_image": "all",
        "seed": 2,
        "labels": "kadid-mean",
        "short_side": 50,
    }
    assert manifest["distortions"][0] == {
        "type": 9,
        "name": "JPEG2000",
        "parameter": "compression ratio",
        "values": {"5": 400},
        "approximate": False,
    }
    assert manifest["distortions"][1]["approximate"]
    assert [r["file"] for r in manifest["references"]] == ["a.png", "b.2024.jpg", "c ä.webp"]
    assert {"dgqa-infer", "numpy", "scipy", "numba", "pillow", "libjpeg", "openjpeg"} < set(
        manifest["versions"]
    )
