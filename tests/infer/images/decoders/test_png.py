"""PNG chunks by the standard: those that pixels depend on, and the many that may be damaged."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from dgqa_infer.errors import ImageError
from dgqa_infer.images.decode import DecodeLimits, decode

X = np.tile(np.arange(32, dtype=np.uint8) * 8, (16, 1))
PIXELS = np.stack([X, X[:, ::-1], X // 2], axis=-1)
SRGB_CHROMATICITIES = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
DISPLAY_P3_CHROMATICITIES = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def chunk(kind: bytes, body: bytes, *, checksum: int | None = None) -> bytes:
    found = zlib.crc32(kind + body) if checksum is None else checksum
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", found)


def png(before: bytes = b"", behind: bytes = b"", *, plte: bytes = b"") -> bytes:
    height, width, _ = PIXELS.shape
    rows = b"".join(b"\0" + row.tobytes() for row in PIXELS)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + before
        + plte
        + chunk(b"IDAT", zlib.compress(rows))
        + behind
        + chunk(b"IEND", b"")
    )


ANCILLARY = (
    b"acTL bKGD cHRM cICP cLLI eXIf fcTL fdAT gAMA hIST iTXt mDCV oFFs "
    b"pCAL pHYs sBIT sCAL sPLT sRGB sTER tEXt tIME tRNS zTXt prVt caBX"
).split()


@pytest.mark.parametrize("kind", ANCILLARY)
@pytest.mark.parametrize("body", [b"", b"\xff", b"a\0b", bytes(40)])
@pytest.mark.parametrize("checksum", [None, 1])
def test_no_chunk_that_pixels_do_not_depend_on_costs_the_score(
    kind: bytes, body: bytes, checksum: int | None
) -> None:
    odd = chunk(kind, body, checksum=checksum)
    for data in (png(before=odd), png(behind=odd)):
        found = decode(data)
        if kind not in (b"eXIf", b"gAMA"):
            assert np.array_equal(found.pixels, PIXELS)
        if checksum is not None:
            assert found.warnings == ("metadata_ignored",)


@pytest.mark.parametrize(
    "odd",
    [
        chunk(b"iCCP", b""),
        chunk(b"iCCP", b"name"),
        chunk(b"iCCP", b"name\0\0junk"),
        chunk(b"iCCP", b"name\0\0" + zlib.compress(PROFILE), checksum=0),
        chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(5_000_000))),
    ],
)
def test_a_damaged_or_overlong_profile_is_ignored_and_said_to_be(odd: bytes) -> None:
    found = decode(png(before=odd))
    assert np.array_equal(found.pixels, PIXELS)
    assert found.warnings == ("icc_profile_ignored",)


def test_a_profile_of_megabytes_is_honoured_up_to_the_limit(wide_gamut: bytes) -> None:
    long = bytearray(wide_gamut + bytes(3_000_000))
    long[:4] = len(long).to_bytes(4, "big")
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "TIFF", icc_profile=bytes(long))
    data = png(before=chunk(b"iCCP", b"wide\0\0" + zlib.compress(bytes(long))))
    found = decode(data)
    assert found.warnings == ()
    assert np.array_equal(found.pixels, decode(file.getvalue()).pixels)
    assert not np.array_equal(found.pixels, PIXELS)
    assert decode(data, DecodeLimits(profile_bytes=1_000_000)).warnings == ("icc_profile_ignored",)


@pytest.mark.parametrize(
    "text",
    [
        chunk(b"zTXt", b"workflow\0\0" + zlib.compress(bytes(3_000_000))),
        chunk(b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(bytes(3_000_000))),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"<x>" * 1_000_000)),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b"<x>" * 1_000_000),
        chunk(b"tEXt", b"workflow\0" + bytes(3_000_000)),
        chunk(b"zTXt", b"a\0\0" + zlib.compress(b"text")) * 3000,
    ],
)
def test_text_of_any_length_is_passed_over(text: bytes) -> None:
    for data in (png(before=text), png(behind=text)):
        found = decode(data)
        assert np.array_equal(found.pixels, PIXELS)
        assert found.warnings == ()


def test_an_orientation_in_xmp_is_still_read() -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r tiff:Orientation="6"/></x:xmpmeta>'
    for text in (b"\0\0\0\0" + xmp, b"\1\0\0\0" + zlib.compress(xmp)):
        found = decode(png(before=chunk(b"iTXt", b"XML:com.adobe.xmp\0" + text)))
        assert np.array_equal(found.pixels, np.rot90(PIXELS, -1))


def test_a_chunk_that_pixels_depend_on_must_be_sound() -> None:
    cases = {
        "corrupt": png().replace(b"IDAT", b"IDAU"[:3] + b"T", 1)[:60] + b"!" + png()[61:],
        "unsupported": png(before=chunk(b"CgBI", b"1234")),
        "truncated": png()[:70],
    }
    for code, data in cases.items():
        with pytest.raises(ImageError) as error:
            decode(data)
        assert error.value.code == code


@pytest.mark.parametrize("gamma", [1.0, 1 / 1.8, 1 / 2.6])
def test_the_gamma_that_a_file_states_is_honoured(gamma: float) -> None:
    found = decode(png(before=chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000)))))
    assert found.warnings == ()
    # PNG, 11.3.3.2: sample = light ** gamma; IEC 61966-2-1 for the way back.
    light = (PIXELS / 255) ** (1 / (round(gamma * 100_000) / 100_000))
    expected = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055) * 255
    assert np.abs(found.pixels - expected).max() <= 0.5 + 1e-6


@pytest.mark.parametrize(
    ("chunks", "warnings"),
    [
        ([(b"gAMA", struct.pack(">I", 45455))], ()),
        ([(b"gAMA", struct.pack(">I", 45455)), (b"cHRM", struct.pack(">8I", *SRGB_CHROMATICITIES))], ()),
        ([(b"cHRM", struct.pack(">8I", *DISPLAY_P3_CHROMATICITIES))], ("colour_space_ignored",)),
        ([(b"cICP", bytes([1, 13, 0, 1]))], ()),
        ([(b"cICP", bytes([9, 16, 0, 1]))], ("colour_space_ignored",)),
        ([(b"cICP", bytes([12, 13, 0, 1]))], ("colour_space_ignored",)),
        ([(b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 100_000))], ()),
        ([(b"iCCP", b"sRGB\0\0" + zlib.compress(PROFILE)), (b"gAMA", struct.pack(">I", 100_000))], ()),
        ([(b"gAMA", struct.pack(">I", 0))], ("metadata_ignored",)),
    ],
)
def test_colours_that_are_not_srgb_are_said_to_be_taken_for_it(
    chunks: list[tuple[bytes, bytes]], warnings: tuple[str, ...]
) -> None:
    found = decode(png(before=b"".join(chunk(*each) for each in chunks)))
    assert found.warnings == warnings
    assert np.abs(found.pixels.astype(int) - PIXELS).max() <= 1


def test_of_an_animation_the_first_picture_is_scored() -> None:
    file = io.BytesIO()
    frames = [Image.fromarray(PIXELS), Image.fromarray(PIXELS[:, ::-1])]
    frames[0].save(file, "PNG", save_all=True, append_images=frames[1:])
    found = decode(file.getvalue())
    assert np.array_equal(found.pixels, PIXELS)
    assert found.warnings == ("first_frame",)


def packed(samples: NDArray[np.integer[Any]], depth: int) -> bytes:
    """Rows of samples, [height, width] or [height, width, 3], each behind the filter "none"."""
    bits = np.unpackbits(samples.astype(">u2")[..., None].view(np.uint8), axis=-1)[..., -depth:]
    rows = np.packbits(bits.reshape(len(samples), -1), axis=1)
    return b"".join(b"\0" + row.tobytes() for row in rows)


@pytest.mark.parametrize(("colour", "depth"), [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16)])
def test_the_one_transparent_sample_lies_over_mid_grey_at_every_depth(colour: int, depth: int) -> None:
    # At 16 bits both bytes of the sample matter.
    most = (1 << depth) - 1
    hidden = min(0x1234, most)
    samples = np.random.default_rng(depth).integers(0, most + 1, (16, 32, 3)[: 2 + bool(colour)])
    samples[:8, :8] = hidden
    is_hidden = (samples == hidden).all(axis=-1) if colour else samples == hidden
    header = struct.pack(">IIBBBBB", 32, 16, depth, colour, 0, 0, 0)
    data = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"tRNS", struct.pack(">H", hidden) * (3 if colour else 1))
        + chunk(b"IDAT", zlib.compress(packed(samples, depth)))
        + chunk(b"IEND", b"")
    )
    found = decode(data)
    shown = samples >> 8 if depth == 16 else samples * 255 // most
    expected = shown if colour else np.repeat(shown[..., None], 3, axis=2)
    assert np.array_equal(found.pixels, np.where(is_hidden[..., None], 128, expected))
    assert found.warnings == ("alpha_over_grey",)


def test_transparency_before_the_header_is_no_bug() -> None:
    data = png()
    assert np.array_equal(decode(data[:8] + chunk(b"tRNS", b"\0\1") + data[8:]).pixels, PIXELS)
