"""The colour profile of BMP files, laid out as Windows' BITMAPV5HEADER has it."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from dgqa_infer.images.decode import DecodeLimits, decode

X = np.tile(np.arange(32, dtype=np.uint8) * 8, (16, 1))
PIXELS = np.stack([X, X[:, ::-1], X // 2], axis=-1)


def bmp(profile: bytes, space: bytes = b"DEBM") -> bytes:
    height, width, _ = PIXELS.shape
    rows = PIXELS[::-1, :, ::-1].tobytes()
    header = struct.pack("<IiiHHIIiiII", 124, width, height, 1, 24, 0, len(rows), 2835, 2835, 0, 0)
    header += bytes(16) + space + bytes(48) + struct.pack("<IIII", 4, 124 + len(rows), len(profile), 0)
    whole = 14 + len(header) + len(rows) + len(profile)
    return b"BM" + struct.pack("<IHHI", whole, 0, 0, 14 + len(header)) + header + rows + profile


def test_the_embedded_profile_is_honoured(wide_gamut: bytes) -> None:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG", icc_profile=wide_gamut)
    found = decode(bmp(wide_gamut))
    assert np.array_equal(found.pixels, decode(file.getvalue()).pixels)
    assert not np.array_equal(found.pixels, PIXELS)
    assert found.warnings == ()


@pytest.mark.parametrize("profile", [b"junk", bytes(5_000_000)], ids=["junk", "too long"])
def test_a_profile_that_cannot_be_used_is_ignored_and_said_to_be(profile: bytes) -> None:
    found = decode(bmp(profile), DecodeLimits())
    assert found.warnings == ("icc_profile_ignored",)
    assert np.array_equal(found.pixels, PIXELS)


def test_bytes_behind_a_picture_without_a_profile_are_none(wide_gamut: bytes) -> None:
    found = decode(bmp(wide_gamut, b"BGRs"))
    assert (found.warnings, np.array_equal(found.pixels, PIXELS)) == ((), True)
