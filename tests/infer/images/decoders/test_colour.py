"""Expected colours come from the definitions: of alpha, of 16 bits, and of a profile's colorants."""

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


def swapped_profile() -> bytes:
    """An sRGB profile whose colorants of red and green have changed places: what it calls red is green."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    entries = {}
    for index in range(struct.unpack_from(">I", data, 128)[0]):
        at = 132 + 12 * index
        entries[bytes(data[at : at + 4])] = at
    red, green = entries[b"rXYZ"], entries[b"gXYZ"]
    data[red + 4 : red + 12], data[green + 4 : green + 12] = (
        data[green + 4 : green + 12],
        data[red + 4 : red + 12],
    )
    return bytes(data)


def png(
    width: int, height: int, *, depth: int = 8, colour: int = 0, rows: bytes = b"", extra: bytes = b""
) -> bytes:
    """A PNG file by the standard, chunk by chunk."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_an_embedded_profile_is_honoured(kind: str) -> None:
    red = Image.new("RGB", (32, 32), (255, 0, 0))
    data = encoded(
        red, kind, icc_profile=swapped_profile(), **({} if kind in ("PNG", "TIFF") else {"quality": 100})
    )
    pixels = decode(data).pixels.astype(int)
    assert np.abs(pixels - (0, 255, 0)).max() <= 3


def test_an_srgb_profile_changes_nothing() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    with_profile, without = (decode(encoded(scene(), "JPEG", icc_profile=each)) for each in (profile, None))
    assert np.array_equal(with_profile.pixels, without.pixels)
    assert with_profile.warnings == ()


def test_a_damaged_profile_is_ignored_with_a_warning() -> None:
    photograph = decode(encoded(scene(), "PNG", icc_profile=b"\0" * 200))
    assert photograph.warnings == ("icc_profile_ignored",)
    assert np.array_equal(photograph.pixels, np.asarray(scene()))


def test_a_profile_above_the_limit_is_ignored_with_a_warning() -> None:
    data = encoded(scene(), "PNG", icc_profile=swapped_profile())
    photograph = decode(data, DecodeLimits(profile_bytes=100))
    assert photograph.warnings == ("icc_profile_ignored",)
    assert np.array_equal(photograph.pixels, np.asarray(scene()))


def test_a_profile_for_other_channels_is_ignored_with_a_warning() -> None:
    data = bytearray(swapped_profile())
    data[16:20] = b"CMYK"
    assert decode(encoded(scene(), "PNG", icc_profile=bytes(data))).warnings == ("icc_profile_ignored",)


def test_what_is_transparent_lies_over_mid_grey() -> None:
    image = Image.new("RGBA", (4, 1))
    for x, alpha in enumerate((0, 255, 128, 51)):
        image.putpixel((x, 0), (200, 100, 0, alpha))
    photograph = decode(encoded(image, "PNG"))
    expected = [
        [128 + (channel - 128) * alpha / 255 for channel in (200, 100, 0)] for alpha in (0, 255, 128, 51)
    ]
    assert np.abs(photograph.pixels[0] - np.array(expected)).max() <= 1
    assert photograph.warnings == ("alpha_over_grey",)


def test_an_opaque_alpha_channel_is_no_news() -> None:
    photograph = decode(encoded(scene("RGBA"), "PNG"))
    assert photograph.warnings == ()
    assert np.array_equal(photograph.pixels, np.asarray(scene()))


def test_a_transparent_palette_colour_and_grey_with_alpha_lie_over_mid_grey() -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putpixel((1, 0), 1)
    assert decode(encoded(palette, "PNG", transparency=0)).pixels.tolist() == [[[128] * 3, [0, 0, 255]]]
    grey = Image.new("LA", (2, 1), (10, 0))
    grey.putpixel((1, 0), (20, 255))
    assert decode(encoded(grey, "PNG")).pixels.tolist() == [[[128] * 3, [20] * 3]]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_samples_are_scaled_and_not_clipped(kind: str) -> None:
    samples = np.array([[0, 255, 256, 32768, 65535]], np.uint16)
    pixels = decode(encoded(Image.fromarray(samples), kind)).pixels
    assert pixels[0, :, 0].tolist() == [0, 0, 1, 128, 255]


def test_16_bit_colour_is_scaled_and_not_clipped() -> None:
    row = b"\0" + struct.pack(">6H", 65535, 32768, 0, 256, 255, 4096)
    assert decode(png(2, 1, depth=16, colour=2, rows=row)).pixels.tolist() == [[[255, 128, 0], [1, 0, 16]]]


@pytest.mark.parametrize(
    ("array", "word"),
    [(np.zeros((2, 2), np.float32), "floating"), (np.full((2, 2), 70000, np.int32), "32-bit")],
)
def test_samples_without_a_defined_white_are_refused(array: NDArray[Any], word: str) -> None:
    error = error_of(encoded(Image.fromarray(array), "TIFF"))
    assert error.code == "unsupported"
    assert word in error.message


def test_cmyk_without_a_profile_is_converted_with_a_warning() -> None:
    photograph = decode(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF"))
    assert photograph.pixels[0, 0].tolist() == [255, 0, 0]
    assert photograph.warnings == ("cmyk_without_profile",)


@pytest.mark.parametrize(("mode", "white"), [("1", 1), ("L", 255), ("P", 255), ("LAB", (255, 128, 128))])
def test_other_modes_keep_white_white(mode: str, white: Any) -> None:
    image = Image.new("L", (4, 4), 255).convert("P") if mode == "P" else Image.new(mode, (4, 4), white)
    pixels = decode(encoded(image, "TIFF")).pixels
    assert pixels.shape == (4, 4, 3)
    assert pixels.min() >= 254


@pytest.mark.parametrize(
    ("space", "index", "stated"),
    [(1, "R98", False), (65535, "R03", True), (2, None, True), (65535, None, False)],
)
@pytest.mark.parametrize("with_profile", [False, True])
def test_adobe_rgb_that_only_exif_states_is_said_to_be_taken_for_srgb(
    space: int, index: str | None, stated: bool, with_profile: bool
) -> None:
    # DCF 2.0 (JEITA CP-3461B): a photograph in Adobe RGB has the index "R03", and its colour space is 65535.
    tags = Image.Exif()
    tags.get_ifd(0x8769)[0xA001] = space
    if index is not None:
        tags.get_ifd(0x8769)[0xA005] = {1: index}
    options = {"icc_profile": swapped_profile()} if with_profile else {}
    found = decode(encoded(scene(), "JPEG", exif=tags.tobytes(), **options))
    assert found.warnings == (("colour_space_ignored",) if stated and not with_profile else ())
