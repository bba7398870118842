"""Which photographs are measured on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dgqa_infer.bench import photographs
from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.errors import UsageError

SMALL = Preprocessing(id="small", short_side=64, crop=32, grid=5)


def test_a_folder_is_measured_by_its_photographs(photos: Path) -> None:
    sample = photographs.chosen([str(photos)], SMALL, 1)
    assert len(sample.paths) == 9
    assert sample.megapixels == round(96 * 80 / 1e6, 2)
    assert sample.source == str(photos)


def test_of_many_photographs_some_are_taken_from_everywhere(
    tmp_path: Path, make_photo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photographs, "MOST", 4)
    for number in range(10):
        make_photo(tmp_path / f"{number}.png", size=(8, 8))
    assert [Path(path).stem for path in photographs.chosen([str(tmp_path)], SMALL, 1).paths] == [
        "0",
        "3",
        "6",
        "9",
    ]


def test_what_cannot_be_decoded_is_not_measured(tmp_path: Path, make_photo: Any) -> None:
    make_photo(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_bytes(b"\xff\xd8\xff\xe0 torn")
    assert [Path(path).name for path in photographs.chosen([str(tmp_path)], SMALL, 1).paths] == ["a.png"]


def test_a_folder_without_photographs_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no photograph to measure on"):
        photographs.chosen([str(tmp_path)], SMALL, 1)


def test_generated_photographs_are_jpegs_of_a_camera_s_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photographs, "_SIZE", (640, 480))
    monkeypatch.setattr(photographs, "_GENERATED", 2)
    sample = photographs.generated(tmp_path)
    assert len(sample.paths) == 2
    with Image.open(sample.paths[0]) as image:
        assert (image.format, image.size) == ("JPEG", (640, 480))
    # As phones write: one to four bits a pixel.
    assert 1 < 8 * Path(sample.paths[0]).stat().st_size / (640 * 480) < 4
