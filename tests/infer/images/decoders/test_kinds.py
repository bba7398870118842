"""Which picture of a file is the photograph, what is transparent, and the formats that came later."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dgqa_infer.errors import ImageError
from dgqa_infer.images.decode import DecodeLimits, decode
from dgqa_infer.images.decoders import heif, jxl
from dgqa_infer.images.decoders.raw import is_raw

X = np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))
PIXELS = np.stack([X, X[:, ::-1], X // 2 + 40], axis=-1)
PICTURE = Image.fromarray(PIXELS)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def error_of(data: bytes, limits: DecodeLimits | None = None, **options: Any) -> ImageError:
    with pytest.raises(ImageError) as error:
        decode(data, limits, **options)
    return error.value


@pytest.mark.parametrize("primary", [0, 1])
def test_of_a_heif_file_the_primary_picture_is_scored_wherever_it_is_stored(primary: int) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pictures = [Image.new("RGB", (320, 200), (0, 200, 0)), Image.new("RGB", (96, 64), (200, 0, 0))]
    stack = pillow_heif.HeifFile()
    for picture in pictures:
        stack.add_from_pillow(picture)
    file = io.BytesIO()
    stack.save(file, quality=90, primary_index=primary)
    found = decode(file.getvalue())
    assert (found.width, found.height) == pictures[primary].size
    assert np.abs(found.pixels.astype(int).mean((0, 1)) - pictures[primary].getpixel((0, 0))).max() < 8
    assert found.warnings == ("first_frame",)
    area = found.width * found.height
    assert error_of(file.getvalue(), DecodeLimits(pixels=area - 1)).code == "too_large"


@pytest.mark.parametrize(
    ("points", "is_srgb"),
    [((1, 13), True), ((2, 2), True), ((1, 1), True), ((9, 16), False), ((12, 13), False), ((9, 18), False)],
)
def test_code_points_of_other_colours_than_srgb_are_noticed(points: tuple[int, int], is_srgb: bool) -> None:
    data = encoded(PICTURE, "AVIF")
    box = b"colrnclx" + struct.pack(">HH", *points)
    assert heif.is_srgb(data[:100] + box) == is_srgb
    at = data.index(b"colrnclx") + 8
    data = data[:at] + struct.pack(">HH", *points) + data[at + 4 :]
    assert decode(data).warnings == (() if is_srgb else ("colour_space_ignored",))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_a_picture_that_is_transparent_everywhere_has_nothing_to_score(kind: str) -> None:
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    clear = PICTURE.copy()
    clear.putalpha(0)
    error = error_of(encoded(clear, kind, **options))
    assert (error.code, "transparent" in error.message) == ("empty", True)
    seen = clear.copy()
    seen.putpixel((0, 0), (1, 2, 3, 255))
    assert decode(encoded(seen, kind, **options)).warnings == ("alpha_over_grey",)


def bmp(alpha: int) -> bytes:
    """A BMP file with a BITMAPV5HEADER whose fourth mask is alpha."""
    rows = np.dstack([PIXELS[::-1, :, ::-1], np.full(PIXELS.shape[:2], alpha, np.uint8)]).tobytes()
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 124, 64, 48, 1, 32, 3, len(rows), 2835, 2835, 0, 0)
    header += masks + b"BGRs" + bytes(124 - 40 - 16 - 4)
    return b"BM" + struct.pack("<IHHI", 14 + 124 + len(rows), 0, 0, 138) + header + rows


def test_a_bmp_whose_fourth_byte_is_always_zero_is_opaque() -> None:
    for alpha in (0, 255):
        found = decode(bmp(alpha))
        assert np.array_equal(found.pixels, PIXELS)
        assert found.warnings == ()


def test_of_a_gif_the_first_picture_is_scored() -> None:
    palette = PICTURE.quantize(200)
    expected = np.asarray(palette.convert("RGB"))
    found = decode(encoded(palette, "GIF"))
    assert (found.format, found.warnings) == ("GIF", ())
    assert np.array_equal(found.pixels, expected)
    data = encoded(
        palette, "GIF", save_all=True, append_images=[palette.transpose(Image.Transpose.ROTATE_180)]
    )
    found = decode(data)
    assert found.warnings == ("first_frame",)
    assert np.array_equal(found.pixels, expected)


@pytest.mark.parametrize("name", ["a.jp2", "a.j2k"])
def test_jpeg_2000_is_decoded(name: str) -> None:
    file = io.BytesIO()
    file.name = name
    PICTURE.save(file, "JPEG2000", no_jp2=name.endswith("j2k"))
    found = decode(file.getvalue(), name=name)
    assert (found.format, found.warnings) == ("JPEG 2000", ())
    assert np.array_equal(found.pixels, PIXELS)
    assert error_of(file.getvalue(), DecodeLimits(pixels=99)).code == "too_large"
    assert error_of(file.getvalue()[:200]).code in ("truncated", "corrupt")


def jpeg_xl(pixels: NDArray[Any] = PIXELS, **options: Any) -> bytes:
    imagecodecs = pytest.importorskip("imagecodecs")
    return bytes(imagecodecs.jpegxl_encode(pixels, lossless=True, **options))


@pytest.mark.parametrize("container", [False, True])
def test_jpeg_xl_is_decoded_where_its_extra_is_installed(container: bool) -> None:
    pytest.importorskip("pillow_jxl")
    data = jpeg_xl(usecontainer=container)
    found = decode(data, name="a.jxl")
    assert (found.format, found.warnings) == ("JPEG XL", ())
    assert np.array_equal(found.pixels, PIXELS)
    assert error_of(data[: len(data) // 2]).code in ("truncated", "corrupt")


def test_jpeg_xl_without_its_extra_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pillow_jxl.JpegXLImagePlugin", None)
    error = error_of(b"\xff\x0a" + bytes(40))
    assert (error.code, "pip install 'dgqa-infer[jxl]'" in error.message) == ("unsupported", True)


@pytest.mark.parametrize("size", [(64, 48), (8, 8), (256, 256), (300, 200), (257, 1), (2000, 3), (160, 90)])
@pytest.mark.parametrize("container", [False, True])
def test_the_size_of_a_jpeg_xl_file_is_known_before_it_is_decoded(
    size: tuple[int, int], container: bool
) -> None:
    data = jpeg_xl(np.zeros((size[1], size[0], 3), np.uint8), usecontainer=container)
    assert jxl.size(data) == size
    assert error_of(data, DecodeLimits(pixels=size[0] * size[1] - 1)).code == "too_large"


def test_a_thumbnail_that_nothing_marks_before_a_sensor_s_picture_is_a_raw_file() -> None:
    def directory(photometric: int, at: int, within: int) -> bytes:
        entries = [(256, 16), (257, 16), (258, 8), (262, photometric), (273, 8), (277, 1), (279, 256)]
        if within:
            entries.append((330, within))
        table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
        return struct.pack("<H", len(entries)) + table + bytes(4)

    picture = bytes(256)
    for photometric, expected in ((32803, True), (34892, True), (1, False)):
        first = directory(1, 264, 0)
        second_at = 8 + 256 + len(first) + 12
        data = b"II*\0" + struct.pack("<I", 264) + picture + directory(1, 264, second_at)
        data += directory(photometric, second_at, 0)
        assert is_raw(data) == expected


def test_what_a_decoder_says_in_code_is_not_told() -> None:
    data = bytearray(encoded(PICTURE, "TIFF"))
    at = data.index(struct.pack("<HH", 259, 3))
    data[at + 8 : at + 10] = struct.pack("<H", 28163)
    for found in (error_of(bytes(data)), error_of(b"BM" + bytes(12) + struct.pack("<I", 40) + bytes(80))):
        assert "Error" not in found.message
        assert "28163" not in found.message
