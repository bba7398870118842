"""JPEG files that are odd outside of their entropy-coded data have the very pixels of their sound twin."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from dgqa_infer.errors import ImageError
from dgqa_infer.images.decode import Photograph, decode

pytest.importorskip("simplejpeg")

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
X = np.tile(np.arange(96, dtype=np.uint8) * 2, (64, 1))
PICTURE = Image.fromarray(np.stack([X, X[:, ::-1], (X // 3 + 60)], axis=-1))


def jpeg(mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    PICTURE.convert(mode).save(file, "JPEG", **{"quality": 92, **options})
    return file.getvalue()


KINDS = {
    "baseline": jpeg(),
    "grey": jpeg("L"),
    "progressive": jpeg(progressive=True),
    "restarts": jpeg(restart_marker_rows=1),
    "inks": jpeg("CMYK"),
    "optimised": jpeg(optimize=True, subsampling=0),
}


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


def behind_start(data: bytes, more: bytes) -> bytes:
    return data[:2] + more + data[2:]


def without(data: bytes, marker: bytes) -> bytes:
    at = data.index(marker)
    return data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]


ODD: dict[str, Callable[[bytes], bytes]] = {
    "no end": lambda data: data[:-2],
    "half an end": lambda data: data[:-1],
    "zeros before the end": lambda data: data[:-2] + bytes(64) + data[-2:],
    "text before the end": lambda data: data[:-2] + b"made by a camera" + data[-2:],
    "four characters before the end": lambda data: data[:-2] + b"junk" + data[-2:],
    "a run before the end": lambda data: data[:-2] + b"\x55" * 21 + data[-2:],
    "fill before the end": lambda data: data[:-2] + b"\xff" * 9 + data[-2:],
    "zeros and no end": lambda data: data[:-2] + bytes(64),
    "bytes after the end": lambda data: data + b"more bytes \xff\xd8\xff\xe0",
    "bytes between segments": lambda data: data.replace(b"\xff\xdb", b"stray\0\0\xff\xdb", 1),
    "a byte before the scan": lambda data: data.replace(b"\xff\xda", b"\x12\xff\xda", 1),
    "short APP0": lambda data: behind_start(data, segment(0xE0, b"JFIF\0\1")),
    "empty APP0": lambda data: behind_start(data, segment(0xE0, b"")),
    "short APP14": lambda data: behind_start(data, segment(0xEE, b"Adobe\0")),
    "empty profile": lambda data: behind_start(data, segment(0xE2, b"ICC_PROFILE\0")),
    "profile of no parts": lambda data: behind_start(data, segment(0xE2, b"ICC_PROFILE\0\0\0")),
    "a profile's first part": lambda data: behind_start(
        data, segment(0xE2, b"ICC_PROFILE\0\1\2" + PROFILE[:300])
    ),
    "a profile's second part": lambda data: behind_start(
        data, segment(0xE2, b"ICC_PROFILE\0\2\2" + PROFILE[300:])
    ),
    "empty EXIF": lambda data: behind_start(data, segment(0xE1, b"")),
    "EXIF of junk": lambda data: behind_start(data, segment(0xE1, b"Exif\0\0" + b"\x31" * 30)),
    "short APP13": lambda data: behind_start(data, segment(0xED, b"Photoshop 3.0\0" + b"8BIM\4")),
    "MPF of junk": lambda data: behind_start(data, segment(0xE2, b"MPF\0" + b"\x77" * 20)),
    "empty comment": lambda data: behind_start(data, segment(0xFE, b"")),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("kind", KINDS)
def test_pixels_and_verdict_are_those_of_the_sound_file(kind: str, odd: str) -> None:
    sound = decode(KINDS[kind])
    found = decode(ODD[odd](KINDS[kind]), strict=True)
    assert np.array_equal(found.pixels, sound.pixels)
    extra = set(found.warnings) - set(sound.warnings)
    assert extra <= {"metadata_ignored", "icc_profile_ignored"}


SEQUENTIAL = [kind for kind in KINDS if kind != "progressive"]


@pytest.mark.parametrize("length", [1, 2, 3, 9, 40, 300])
@pytest.mark.parametrize("kind", SEQUENTIAL)
def test_bytes_of_any_value_before_the_end_change_nothing(kind: str, length: int) -> None:
    stray = np.random.default_rng(length).integers(0, 255, length, dtype=np.uint8).tobytes()
    sound = decode(KINDS[kind])
    found = decode(KINDS[kind][:-2] + stray + KINDS[kind][-2:], strict=True)
    assert np.array_equal(found.pixels, sound.pixels)
    assert found.warnings == sound.warnings


def test_what_damaged_data_leaves_before_the_end_is_no_stray_bytes(repository: Path) -> None:
    """A byte of the coded data is changed: where a strict decoder notices it, so does the warning."""
    import simplejpeg

    file = io.BytesIO()
    with Image.open(repository / "examples" / "photos" / "astronaut.webp") as photograph:
        photograph.convert("RGB").resize((160, 160)).save(file, "JPEG", quality=85)
    data = file.getvalue()
    chance = np.random.default_rng(0)
    start, noticed, left_over = data.index(b"\xff\xda") + 14, 0, 0
    for place in chance.integers(start, len(data) - 2, 300):
        damaged = bytearray(data)
        damaged[place] ^= int(chance.integers(1, 255))
        if 0xFF in damaged[place - 1 : place + 1] or 0xFF in data[place - 1 : place + 1]:
            continue
        try:
            simplejpeg.decode_jpeg(bytes(damaged), strict=True)
        except ValueError as error:
            noticed += 1
            left_over += "extraneous" in str(error)
            assert outcome(bytes(damaged)).warnings == ("jpeg_corrupt_data",)  # type: ignore[union-attr]
    assert noticed > left_over > 50


def test_spectral_selection_that_baseline_does_not_have_is_passed_over() -> None:
    data = bytearray(KINDS["baseline"])
    at = data.index(b"\xff\xda")
    parameters = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") - 3
    assert data[parameters : parameters + 3] == bytes([0, 63, 0])
    data[parameters + 1] = 0
    found = decode(bytes(data), strict=True)
    assert np.array_equal(found.pixels, decode(KINDS["baseline"]).pixels)


def outcome(data: bytes) -> Photograph | str:
    try:
        return decode(data)
    except ImageError as error:
        return error.code


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_lacks_coded_data_is_truncated_wherever_it_ends(kind: str) -> None:
    data = KINDS[kind]
    sound = decode(data).pixels
    for cut in range(3, len(data) // 2, 7):
        found = outcome(data[:-cut])
        if isinstance(found, Photograph):
            # Only padding and the end marker may be missing.
            assert np.array_equal(found.pixels, sound)
            assert cut < 8
        else:
            assert found in ("truncated", "corrupt")


def test_a_progressive_file_that_lacks_whole_scans_is_truncated() -> None:
    data = KINDS["progressive"]
    at = len(data)
    for _ in range(data.count(b"\xff\xda") - 1):
        at = data.rindex(b"\xff\xda", 0, at)
        assert outcome(data[:at]) == "truncated"
