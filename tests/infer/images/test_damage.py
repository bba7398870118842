"""Damaged data of every format has the right picture, a flag, or no score; nothing else."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from dgqa_infer.errors import ImageError
from dgqa_infer.images.decode import DecodeLimits, Photograph, decode

ORIENTATION = 0x0112


def scene(mode: str = "RGB", size: tuple[int, int] = (48, 40)) -> Image.Image:
    """Three blurred colour fields and a gradient: no two corners are alike."""
    x, y = np.meshgrid(np.linspace(0, 255, size[0]), np.linspace(0, 255, size[1]))
    pixels = np.stack([x, y, 255 - x / 2 - y / 2], axis=-1).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def error_of(source: bytes | str, limits: DecodeLimits | None = None, **options: Any) -> ImageError:
    with pytest.raises(ImageError) as caught:
        decode(source, limits, **options)
    return caught.value


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags.tobytes()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP", "WEBP"])
def test_a_file_that_is_cut_off_has_no_score(kind: str) -> None:
    # No embedded thumbnail and enough detail, so that half the file is half the picture.
    detailed = Image.effect_noise((128, 128), 80).convert("RGB")
    data = encoded(detailed, kind)
    error = error_of(data[: len(data) * 6 // 10])
    assert error.code in ("truncated", "corrupt")
    if kind in ("JPEG", "PNG", "WEBP", "BMP"):
        assert error.code == "truncated"


def png(width: int, height: int, *, depth: int = 8, colour: int = 0, rows: bytes = b"") -> bytes:
    """A PNG file by the standard, chunk by chunk."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_a_png_with_a_wrong_checksum_has_no_score() -> None:
    data = bytearray(png(4, 4, rows=b"\0" * 20))
    at = data.index(b"IDAT")
    data[at - 4 + 8 + struct.unpack(">I", data[at - 4 : at])[0]] ^= 1
    error = error_of(bytes(data))
    assert (error.code, error.message) == ("corrupt", "the checksum of its IDAT chunk is wrong")


def damaged_jpeg() -> bytes:
    """A JPEG with some bits of its entropy-coded data flipped, which decoders bridge with invented pixels."""
    # Of other noise a third of such files decode without complaint; Pillow's depends on what ran before.
    noise = np.random.default_rng(0).normal(128, 60, (256, 256)).clip(0, 255).astype(np.uint8)
    data = bytearray(encoded(Image.fromarray(noise).convert("RGB"), "JPEG", quality=90))
    scan = data.index(b"\xff\xda") + 20
    for offset in range(scan + 2000, len(data) - 1000, 997):
        data[offset] = 0x55
    return bytes(data)


def test_jpeg_data_that_is_damaged_but_decodable_is_flagged_and_strictly_refused() -> None:
    pytest.importorskip("simplejpeg")
    assert decode(damaged_jpeg()).warnings == ("jpeg_corrupt_data",)
    assert decode(damaged_jpeg(), short_side=64).warnings == ("jpeg_corrupt_data",)
    error = error_of(damaged_jpeg(), strict=True)
    assert error.code == "corrupt"
    assert decode(encoded(scene(), "JPEG"), strict=True).warnings == ()


def _seeds() -> list[tuple[str, bytes]]:
    frames = [scene(), scene().rotate(90)]
    return [
        ("jpeg", encoded(scene(), "JPEG", exif=exif(6))),
        ("progressive", encoded(scene(), "JPEG", progressive=True)),
        ("cmyk", encoded(scene("CMYK"), "JPEG")),
        ("grey", encoded(scene("L"), "JPEG")),
        (
            "png",
            encoded(
                scene("RGBA"),
                "PNG",
                icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
            ),
        ),
        ("png16", encoded(Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64)), "PNG")),
        ("palette", encoded(scene("P"), "PNG", transparency=3)),
        ("webp", encoded(scene(), "WEBP", exif=exif(3))),
        ("animated", encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)),
        ("tiff", encoded(scene(), "TIFF", compression="tiff_lzw")),
        ("bmp", encoded(scene(), "BMP")),
        ("avif", encoded(scene(), "AVIF", exif=exif(8))),
    ]


SEEDS = _seeds()


def outcome(data: bytes, limits: DecodeLimits, strict: bool) -> Photograph | ImageError:
    try:
        return decode(data, limits, strict=strict)
    except ImageError as error:
        return error


@settings(max_examples=400, deadline=None)
@given(
    which=st.integers(0, len(SEEDS) - 1),
    cut=st.floats(0, 1),
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 7)), max_size=12),
    head=st.binary(max_size=12),
    strict=st.booleans(),
)
def test_damage_ends_in_a_photograph_within_limits_or_in_a_reason(
    which: int, cut: float, flips: list[tuple[float, int]], head: bytes, strict: bool
) -> None:
    data = bytearray(SEEDS[which][1])
    for place, bit in flips:
        data[int(place * (len(data) - 1))] ^= 1 << bit
    data[: len(head)] = head
    del data[int(len(data) * (0.3 + 0.7 * cut)) + 1 :]
    limits = DecodeLimits(pixels=1_000_000, side=4096)
    found = outcome(bytes(data), limits, strict)
    if isinstance(found, ImageError):
        assert found.message
        assert "\n" not in found.message
        return
    photograph = found
    assert isinstance(photograph, Photograph)
    assert photograph.pixels.dtype == np.uint8
    assert photograph.pixels.shape == (photograph.height, photograph.width, 3)
    assert photograph.width * photograph.height <= limits.pixels


@pytest.mark.parametrize(("name", "data"), SEEDS)
def test_a_file_cut_anywhere_has_the_whole_picture_or_none(name: str, data: bytes) -> None:
    whole = decode(data).pixels
    for percent in range(100):
        try:
            found = decode(data[: len(data) * percent // 100])
        except ImageError:
            continue
        assert np.array_equal(found.pixels, whole), f"{name} cut at {percent} %"
