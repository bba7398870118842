"""JPEG 2000 of any depth, signed or not, with its profile; expected are the samples that went in."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dgqa_infer.errors import ImageError
from dgqa_infer.images.decode import decode

X = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (48, 1))
# From black to white in each channel.
SAMPLES = np.stack([X, X[:, ::-1], np.roll(X, 20, axis=1)], axis=-1)


def encoded(samples: Any, bits: int) -> bytes:
    imagecodecs = pytest.importorskip("imagecodecs")
    return bytes(imagecodecs.jpeg2k_encode(samples, level=None, bitspersample=bits))


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("alpha", [False, True])
def test_colours_of_any_depth_keep_their_upper_eight_bits(bits: int, alpha: bool) -> None:
    samples = SAMPLES >> (16 - bits)
    if alpha:
        opaque = np.full((48, 64, 1), (1 << bits) - 1)
        samples = np.concatenate([samples, opaque], axis=-1)
    found = decode(encoded(samples.astype(np.uint8 if bits == 8 else np.uint16), bits))
    assert np.array_equal(found.pixels, SAMPLES >> 8)
    assert (found.format, found.warnings) == ("JPEG 2000", ())


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_so_does_grey(bits: int) -> None:
    samples = (X >> (16 - bits)).astype(np.uint8 if bits == 8 else np.uint16)
    found = decode(encoded(samples, bits))
    assert np.array_equal(found.pixels, np.repeat((X >> 8)[..., None], 3, axis=2))


def test_white_of_signed_samples_is_the_end_of_their_range() -> None:
    signed = (SAMPLES.astype(np.int32) - 32768).astype(np.int16)
    assert np.array_equal(decode(encoded(signed, 16)).pixels, SAMPLES >> 8)


def test_a_deep_file_that_is_cut_off_has_no_score() -> None:
    data = encoded(SAMPLES, 16)
    for share in (0.5, 0.9, 0.99):
        with pytest.raises(ImageError) as error:
            decode(data[: round(share * len(data))])
        assert error.value.code in ("truncated", "corrupt")


def test_without_the_decoder_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(SAMPLES, 12)
    monkeypatch.setitem(__import__("sys").modules, "imagecodecs", None)
    with pytest.raises(ImageError, match=r"pip install 'dgqa-infer\[tiff\]'") as error:
        decode(data)
    assert error.value.code == "unsupported"


def jp2(colours: bytes) -> bytes:
    """A JP2 file that says so of its colours."""
    file = io.BytesIO()
    Image.fromarray((SAMPLES >> 8).astype(np.uint8)).save(file, "JPEG2000")
    data = file.getvalue()
    header, at = data.index(b"jp2h"), data.index(b"colr")
    length = int.from_bytes(data[at - 4 : at], "big")
    box = struct.pack(">I", len(colours) + 8) + b"colr" + colours
    grown = int.from_bytes(data[header - 4 : header], "big") + len(box) - length
    return (
        data[: header - 4] + struct.pack(">I", grown) + data[header : at - 4] + box + data[at - 4 + length :]
    )


@pytest.mark.parametrize("method", [2, 3], ids=["restricted", "any"])
def test_the_embedded_profile_is_honoured(wide_gamut: bytes, method: int) -> None:
    file = io.BytesIO()
    Image.fromarray((SAMPLES >> 8).astype(np.uint8)).save(file, "PNG", icc_profile=wide_gamut)
    found = decode(jp2(bytes([method, 0, 0]) + wide_gamut))
    assert np.array_equal(found.pixels, decode(file.getvalue()).pixels)
    assert not np.array_equal(found.pixels, SAMPLES >> 8)
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("colours", "warnings"),
    [
        (b"\1\0\0" + struct.pack(">I", 16), ()),
        (b"\1\0\0" + struct.pack(">I", 21), ("colour_space_ignored",)),
        (b"\2\0\0junk", ("icc_profile_ignored",)),
    ],
    ids=["sRGB", "ROMM-RGB", "no profile"],
)
def test_colours_that_are_not_srgb_are_said_to_be_taken_for_it(
    colours: bytes, warnings: tuple[str, ...]
) -> None:
    found = decode(jp2(colours))
    assert found.warnings == warnings
    assert np.array_equal(found.pixels, SAMPLES >> 8)
