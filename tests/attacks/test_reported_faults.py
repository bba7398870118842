"""Files that were reported to go wrong, each with its right result.

The list is `../shared/faults/log.md`, and its files lie beside it; without them these tests are skipped. All
show one picture. What is expected comes from how a file was made (the same picture, stored in another way) or
from a second decoder: Pillow for sound PNG and JPEG, tifffile for TIFF, LittleCMS for profiles.
"""

from __future__ import annotations

import io
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from dgqa_infer import Failure, Score, Scorer
from dgqa_infer.errors import ImageError
from dgqa_infer.gate import read_gate
from dgqa_infer.images.decode import DecodeLimits, Photograph, decode
from dgqa_infer.inputs.finder import InputFinder
from dgqa_infer.inputs.name_lists import read_names

SHOWN = {
    "fazer-ai/agents PR#707": ("heif/primary-is-second.heic",),
    "darktable PR#18815": ("tiff/grey16-white-is-zero.tif", "tiff/grey16-white-is-zero-be.tif"),
    "Pillow PR#4641": ("tiff/rgb16-planar.tif", "tiff/rgb16-planar-deflate.tif"),
    "image-rs/image#539": (
        *("bmp/v5-alpha-mask-zero.bmp", "tiff/rgb-extra-unspecified-zero.tif", "png/rgba-alpha-zero.png"),
    ),
    "IronSoftware.System.Drawing PR#98": ("tiff/thumbnail-first.tif",),
    "Pillow#6482": ("raw/thumb-first-unmarked.nef",),
    "LSMI-dataset#25": ("tiff/grey16-signed.tif",),
    "Pillow#8363": ("png/text-2mb-ztxt.png", "png/text-2mb-ztxt-after.png"),
    "Pillow#2445": ("icc/png-profile-1.5mb.png",),
    "Pillow PR#1991": (
        *("png/text-bad-crc.png", "png/text-bad-crc-after.png", "png/phys-short.png"),
        *("png/gama-short.png", "png/srgb-empty.png", "png/trns-short.png"),
    ),
    "Pillow#4414": ("jpeg/no-eoi.jpg", "jpeg/eoi-half.jpg"),
    "(neighbour)": ("jpeg/app0-short.jpg",),
    "opencv#9477": (
        *("jpeg/zeros-before-eoi.jpg", "jpeg/junk-between-segments.jpg"),
        *("jpeg/app2-icc-missing-part.jpg",),
    ),
    "LibRaw#716": ("raw/dng-jpeg-xl.dng",),
    "ProjectKestrel PR#58": ("names",),
    "derf/feh#787": ("lists/bom.txt", "lists/crlf.txt"),
    "paperbanana#234": ("labels/nfd.csv",),
    "(neighbour of the labels' BOM": ("gate/bom.toml",),
    "webdataset#286": ("archives",),
    "palette8": ("tiff2/palette8-8bit-map.tif",),
    "PNG spec": ("png/gama-linear.png", "icc/cicp-pq.png"),
}
"""Source of an entry of the log that is a fault and names files → those of its files that are there."""

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def log(repository: Path) -> Path:
    log = repository.parent / "shared" / "faults" / "log.md"
    if not log.exists():
        pytest.skip("the reported files are not beside this checkout")
    return log


@pytest.fixture(scope="module")
def inputs(log: Path) -> Path:
    return log.parent / "inputs"


@pytest.fixture(scope="module")
def colour(inputs: Path) -> Pixels:
    """The picture, as Pillow decodes a sound PNG of it."""
    return opened(inputs / "png" / "plain.png")


@pytest.fixture(scope="module")
def grey(inputs: Path) -> Pixels:
    """The picture in grey, as tifffile reads a sound 16-bit TIFF of it: 65535 is white."""
    tifffile = pytest.importorskip("tifffile")
    samples = np.rint(tifffile.imread(inputs / "tiff" / "grey16.tif") / 257).astype(np.uint8)
    return np.repeat(samples[..., None], 3, axis=2)


def opened(path: Path) -> Pixels:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def strictly(path: Path) -> Photograph:
    return decode(str(path), strict=True)


def refused(path: Path, limits: DecodeLimits | None = None) -> str:
    with pytest.raises(ImageError) as caught:
        decode(str(path), limits)
    return caught.value.code


def files(*sources: str) -> list[str]:
    return [file for source in sources for file in SHOWN[source]]


def test_every_fault_of_the_log_that_has_files_is_tried_here(log: Path, inputs: Path) -> None:
    rows = [line for line in log.read_text(encoding="utf-8").splitlines() if "FAULT" in line]
    rows = [line for line in rows if "inputs" in line.split(" | ")[2]]
    assert len(rows) >= 20
    untried = [line[:70] for line in rows if not any(line.startswith(f"| {source}") for source in SHOWN)]
    assert untried == []
    assert [file for each in SHOWN.values() for file in each if not (inputs / file).exists()] == []


@pytest.mark.parametrize(
    "file",
    [
        *files("Pillow PR#4641", "IronSoftware.System.Drawing PR#98", "Pillow#8363", "Pillow PR#1991"),
        *("bmp/v5-alpha-mask-zero.bmp", "tiff/rgb-extra-unspecified-zero.tif"),
    ],
)
def test_the_picture_in_colour_is_decoded_exactly(inputs: Path, colour: Pixels, file: str) -> None:
    found = strictly(inputs / file)
    assert np.array_equal(found.pixels, colour)
    assert set(found.warnings) <= ({"metadata_ignored"} if file in SHOWN["Pillow PR#1991"] else set())


@pytest.mark.parametrize("file", files("darktable PR#18815", "LSMI-dataset#25"))
def test_the_picture_in_grey_is_decoded_exactly(inputs: Path, grey: Pixels, file: str) -> None:
    assert np.array_equal(strictly(inputs / file).pixels, grey)


@pytest.mark.parametrize("file", files("Pillow#4414", "(neighbour)", "opencv#9477"))
def test_a_jpeg_that_is_odd_around_its_pixels_has_those_of_the_sound_one(inputs: Path, file: str) -> None:
    found = strictly(inputs / file)
    assert np.array_equal(found.pixels, opened(inputs / "jpeg" / "plain.jpg"))
    assert set(found.warnings) <= {"metadata_ignored", "icc_profile_ignored"}


def test_the_primary_picture_of_a_heic_is_scored_and_held_to_the_limits(inputs: Path, colour: Pixels) -> None:
    pytest.importorskip("pillow_heif")
    path = inputs / "heif" / "primary-is-second.heic"
    found = decode(str(path)).pixels
    # Lossy: on average some levels away from the picture; the other picture is 30 and more.
    assert found.shape == colour.shape
    assert np.abs(found.astype(int) - colour).mean() < 4
    assert refused(path, DecodeLimits(pixels=100_000)) == "too_large"


def test_a_palette_of_8_bit_values_has_its_colours(inputs: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    path = inputs / "tiff2" / "palette8-8bit-map.tif"
    with tifffile.TiffFile(path) as file:
        numbers, palette = file.pages[0].asarray(), np.asarray(file.pages[0].tags["ColorMap"].value)
    assert palette.max() < 256
    expected = palette.reshape(3, 256).T[numbers]
    assert np.array_equal(decode(str(path)).pixels, expected)


def test_a_png_profile_of_more_than_a_megabyte_is_honoured(inputs: Path) -> None:
    path = inputs / "icc" / "png-profile-1.5mb.png"
    data = path.read_bytes()
    at = data.index(b"iCCP")
    chunk = data[at + 4 : at + 4 + int.from_bytes(data[at - 4 : at], "big")]
    profile = ImageCms.ImageCmsProfile(io.BytesIO(zlib.decompress(chunk[chunk.index(b"\0") + 2 :])))
    stored = Image.fromarray(opened(inputs / "png" / "plain.png"))
    expected = ImageCms.profileToProfile(stored, profile, ImageCms.createProfile("sRGB"))
    found = decode(str(path))
    assert found.warnings == ()
    assert np.abs(found.pixels.astype(int) - np.asarray(expected)).max() <= 2


def test_gamma_is_honoured_and_other_colours_are_flagged(inputs: Path, colour: Pixels) -> None:
    # Stored in linear light: 8 bits of that are coarse in the shadows.
    linear = decode(str(inputs / "png" / "gama-linear.png"))
    assert np.abs(linear.pixels.astype(int) - colour).mean() < 3
    assert "colour_space_ignored" in decode(str(inputs / "icc" / "cicp-pq.png")).warnings


def test_a_raw_file_is_developed_and_its_thumbnail_is_not_scored(inputs: Path) -> None:
    rawpy = pytest.importorskip("rawpy")
    path = inputs / "raw" / "thumb-first-unmarked.nef"
    found = decode(str(path))
    with rawpy.imread(str(path)) as raw:
        assert found.pixels.shape[:2] == (raw.sizes.height // 2, raw.sizes.width // 2)
    assert np.array_equal(found.pixels, decode(str(inputs / "raw" / "plain.dng")).pixels)
    assert found.warnings == ("raw_half_size",)


@pytest.mark.parametrize(
    ("file", "code"), [("raw/dng-jpeg-xl.dng", "unsupported"), ("png/rgba-alpha-zero.png", "empty")]
)
def test_what_has_no_picture_for_us_is_refused_with_the_right_code(
    inputs: Path, file: str, code: str
) -> None:
    if file.startswith("raw"):
        pytest.importorskip("rawpy")
    assert refused(inputs / file) == code


@pytest.mark.parametrize("file", SHOWN["derf/feh#787"])
def test_a_list_names_its_files(inputs: Path, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    monkeypatch.chdir(inputs)
    descriptor = os.open(inputs / file, os.O_RDONLY)
    try:
        assert [*read_names(descriptor, b"\n")] == ["jpeg/plain.jpg", "png/plain.png"]
    finally:
        os.close(descriptor)


def test_ratings_find_a_name_in_the_other_normal_form(inputs: Path) -> None:
    datasets = pytest.importorskip("dgqa_training.datasets", reason="dgqa-infer[evaluate] is not installed")
    samples = datasets.read_table(inputs / "labels" / "nfd.csv", inputs / "labels" / "im").samples
    assert [(each.path.exists(), each.score) for each in samples] == [
        *((True, score) for score in (80, 60, 40, 20))
    ]


def test_a_gate_file_may_begin_with_a_byte_order_mark(inputs: Path) -> None:
    from dgqa_infer.bundle.bundle import Bundle

    gate = read_gate(str(inputs / "gate" / "bom.toml"), Bundle.load("dgqa-lite0").card)
    row: Any = {"path": "a.jpg", "score": 4.0, "raw": 1.0, "warnings": []}
    verdict = gate.judge(row)
    assert verdict is not None
    assert verdict["reasons"] == ["score 4.0 is below 5"]


@pytest.fixture(scope="module")
def scorer(tiny_bundle: Path) -> Iterator[Scorer]:
    with Scorer(tiny_bundle, device="cpu") as scorer:
        yield scorer


@pytest.mark.parametrize(
    ("archive", "members"),
    [
        ("same-name-twice.zip", ["a.jpg", "a#2.jpg"]),
        ("dots-and-slashes.zip", ["../a.jpg", "/abs.jpg", "./c.jpg", "a//d.jpg"]),
        ("devices.tar", ["a.jpg"]),
    ],
)
def test_every_member_of_an_archive_that_is_a_file_has_its_row(
    inputs: Path, scorer: Scorer, archive: str, members: list[str]
) -> None:
    path = inputs / "archives" / archive
    found = [*scorer.score_many(InputFinder().find([str(path)]))]  # type: ignore[arg-type]
    assert [each.message for each in found if isinstance(each, Failure)] == []
    names = [re.sub(r"^\w+://(.*)::.*$", r"\1", str(each.path)) for each in found]
    assert sorted(names) == sorted(members)
    assert all(isinstance(each, Score) for each in found)


def test_what_a_mac_keeps_beside_photographs_has_no_row(inputs: Path) -> None:
    finder = InputFinder()
    assert [*finder.find([str(inputs / "names")])] == []
