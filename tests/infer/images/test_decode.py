"""Decoding real files, made here with Pillow, whose `exif_transpose` is the oracle for orientation."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from dgqa_infer.errors import ImageError
from dgqa_infer.images import decode as images
from dgqa_infer.images.decode import DecodeLimits, decode
from dgqa_infer.images.decoders import jpeg

ORIENTATION = 0x0112
LIMITS = DecodeLimits()


def scene(mode: str = "RGB", size: tuple[int, int] = (48, 40)) -> Image.Image:
    """Three blurred colour fields and a gradient: no two corners are alike."""
    x, y = np.meshgrid(np.linspace(0, 255, size[0]), np.linspace(0, 255, size[1]))
    pixels = np.stack([x, y, 255 - x / 2 - y / 2], axis=-1).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def error_of(source: bytes | str, limits: DecodeLimits = LIMITS, **options: Any) -> ImageError:
    with pytest.raises(ImageError) as caught:
        decode(source, limits, **options)
    return caught.value


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags.tobytes()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_lossless_formats_give_the_very_pixels(kind: str) -> None:
    photograph = decode(encoded(scene(), kind))
    assert np.array_equal(photograph.pixels, np.asarray(scene()))
    assert (photograph.width, photograph.height, photograph.format) == (48, 40, kind)
    assert photograph.warnings == ()


@pytest.mark.parametrize(("kind", "options"), [("JPEG", {"quality": 95}), ("WEBP", {}), ("AVIF", {})])
def test_lossy_formats_give_the_pixels_that_pillow_gives(kind: str, options: dict[str, Any]) -> None:
    data = encoded(scene(), kind, **options)
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(image.convert("RGB"))
    assert np.array_equal(decode(data).pixels, expected)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}, {"quality": 7}])
@pytest.mark.parametrize("size", [(48, 40), (17, 1), (1, 23), (255, 129)])
def test_the_fast_jpeg_decoder_gives_pillow_s_pixels(
    subsampling: str, options: dict[str, Any], size: tuple[int, int]
) -> None:
    pytest.importorskip("simplejpeg")
    data = encoded(scene(size=size), "JPEG", subsampling=subsampling, **options)
    pixels, verdict = jpeg.decode(data, "RGB")
    assert verdict == "sound"
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(pixels, np.asarray(image))


def test_a_grey_jpeg_becomes_three_equal_channels() -> None:
    data = encoded(scene("L"), "JPEG")
    with Image.open(io.BytesIO(data)) as image:
        expected = np.repeat(np.asarray(image)[..., None], 3, axis=2)
    assert np.array_equal(decode(data).pixels, expected)


def test_without_the_fast_decoder_the_pixels_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(scene(), "JPEG")
    fast = decode(data).pixels
    monkeypatch.setitem(__import__("sys").modules, "simplejpeg", None)
    assert np.array_equal(decode(data).pixels, fast)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(10))
def test_photographs_are_turned_upright_as_pillow_turns_them(kind: str, orientation: int) -> None:
    lossless = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(scene(), kind, exif=exif(orientation), **lossless)
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    photograph = decode(data)
    assert np.array_equal(photograph.pixels, expected)
    assert (photograph.height, photograph.width) == expected.shape[:2]
    assert photograph.pixels.flags.c_contiguous


@pytest.mark.parametrize(
    "junk", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0" + b"\0" * 50, b"\xff" * 40]
)
def test_broken_exif_leaves_the_photograph_as_it_lies(junk: bytes) -> None:
    plain = decode(encoded(scene(), "JPEG")).pixels
    assert np.array_equal(decode(encoded(scene(), "JPEG", exif=junk)).pixels, plain)


def test_of_an_animation_the_first_frame_is_taken_with_a_warning() -> None:
    frames = [Image.new("RGB", (16, 16), (0, 0, 50 * number)) for number in range(3)]
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        photograph = decode(data)
        assert photograph.warnings == ("first_frame",)
        assert photograph.pixels.max() == 0


def test_a_name_that_promises_another_format_is_remarked(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(encoded(scene(), "PNG"))
    assert decode(path).warnings == ("extension_mismatch",)


def test_metadata_is_never_run_nor_shown(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[0x010E] = "__import__('os').system('touch pwned')<script>alert(1)</script>"
    photograph = decode(encoded(scene(), "JPEG", exif=tags))
    assert photograph.warnings == ()
    assert not (tmp_path / "pwned").exists()


def png(
    width: int, height: int, *, depth: int = 8, colour: int = 0, rows: bytes = b"", extra: bytes = b""
) -> bytes:
    """A PNG file by the standard, chunk by chunk."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_too_many_pixels_are_refused_before_any_is_decoded() -> None:
    error = error_of(png(30_000, 30_000))
    assert error.code == "too_large"
    assert error.message == "30000 × 30000 is 900.0 MP; the limit is 256.0 MP"


def test_a_side_that_is_too_long_is_refused() -> None:
    assert error_of(png(40_000, 1)).code == "too_large"


def test_a_file_above_the_limit_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "big.jpg"
    with path.open("wb") as file:
        file.truncate(300_000_000)
    assert error_of(str(path)).code == "too_large"
    assert error_of(b"\xff\xd8\xff" + bytes(100), DecodeLimits(file_bytes=50)).code == "too_large"


def test_limits_are_inclusive_and_can_be_raised() -> None:
    data = encoded(scene(), "PNG")
    assert decode(data, DecodeLimits(file_bytes=len(data), pixels=48 * 40, side=48)).width == 48
    assert error_of(data, DecodeLimits(pixels=48 * 40 - 1)).code == "too_large"
    assert error_of(data, DecodeLimits(side=47)).code == "too_large"


def test_a_caller_may_wait_when_the_header_is_known_and_the_pixels_are_not() -> None:
    asked: list[int] = []
    decode(encoded(scene(), "JPEG"), before_decoding=asked.append)
    (needed,) = asked
    assert 3 * 48 * 40 < needed < 100 * 48 * 40

    def refuse(_: int) -> None:
        raise ImageError("too_large", "no room")

    assert error_of(encoded(scene(), "JPEG"), before_decoding=refuse).message == "no room"


def test_a_photograph_above_pillow_s_own_limit_but_within_ours_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Pillow refuses at twice its number when it opens a file by itself.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert decode(encoded(scene(), "JPEG")).width == 48


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"8BPS" + bytes(20), "Photoshop"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n(hello) show", "PostScript"),
        (b"%PDF-1.4", "PDF"),
        (b"<svg><image href='file:///etc/passwd'/></svg>", "SVG"),
        (b"just some text", "text"),
        (b"\0\0\0\x1cftypheic\0\0\0\0mif1heic", "HEIF|HEIC"),
    ],
)
def test_what_is_not_decoded_says_what_it_is(data: bytes, words: str) -> None:
    error = error_of(data)
    assert error.code in ("unsupported", "corrupt")
    assert any(word in error.message for word in words.split("|"))


def test_pillow_s_own_warnings_stay_inside(recwarn: pytest.WarningsRecorder) -> None:
    decode(
        encoded(scene(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\xff\xff\xff\xff\0\0\0\0")
    )
    assert not recwarn.list


def test_an_error_carries_the_path_and_says_it_once(tmp_path: Path) -> None:
    path = str(tmp_path / "none.jpg")
    error = error_of(path)
    assert (error.path, str(error)) == (path, f"{path}: No such file or directory")


def test_a_pillow_image_is_seen_as_its_file_would_be() -> None:
    data = encoded(scene("RGBA"), "PNG", exif=exif(6))
    with Image.open(io.BytesIO(data)) as image:
        from_memory = images.from_pillow(image, LIMITS)
    assert np.array_equal(from_memory.pixels, decode(data).pixels)
    assert images.from_pillow(Image.new("RGBA", (2, 2), (0, 0, 0, 9)), LIMITS).warnings == (
        "alpha_over_grey",
    )


def test_an_array_is_taken_as_it_is() -> None:
    pixels = np.asarray(scene())
    assert np.array_equal(images.from_array(pixels, LIMITS).pixels, pixels)
    assert np.array_equal(images.from_array(pixels[..., 0], LIMITS).pixels[..., 2], pixels[..., 0])
    assert images.from_array(pixels[::2, ::-1], LIMITS).pixels.flags.c_contiguous


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3)),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_other_arrays_are_refused(array: NDArray[Any]) -> None:
    with pytest.raises(ImageError) as error:
        images.from_array(array, LIMITS)
    assert error.value.code in ("unsupported", "corrupt")


def photo_of(size: tuple[int, int], **options: Any) -> bytes:
    """A JPEG with detail; 4:2:0 unless told otherwise."""
    small = np.random.default_rng(5).integers(0, 256, (size[1] // 8 + 2, size[0] // 8 + 2, 3), np.uint8)
    picture = Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)
    return encoded(picture.convert(options.pop("mode", "RGB")), "JPEG", quality=90, **options)


@pytest.mark.parametrize(
    ("short_side", "divided"),
    [(None, 1), (301, 1), (151, 1), (150, 2), (76, 2), (75, 4), (38, 4), (37, 8), (2, 8)],
)
def test_a_jpeg_is_decoded_at_a_part_of_its_size_while_its_short_side_keeps_enough(
    short_side: int | None, divided: int
) -> None:
    photograph = decode(photo_of((403, 300)), short_side=short_side)
    assert (photograph.width, photograph.height) == (403, 300)
    assert photograph.pixels.shape == (-(-300 // divided), -(-403 // divided), 3)
    assert photograph.box == (None if divided == 1 else (0, 0, 403 / divided, 300 / divided))


@pytest.mark.parametrize("options", [{}, {"subsampling": "4:4:4"}, {"progressive": True}, {"mode": "L"}])
@pytest.mark.parametrize("divided", [2, 4, 8])
def test_the_fast_decoder_gives_the_pixels_of_pillow_s_draft(options: dict[str, Any], divided: int) -> None:
    pytest.importorskip("simplejpeg")
    data = photo_of((403, 301), **options)
    with Image.open(io.BytesIO(data)) as image:
        image.draft(None, (403 // divided, 301 // divided))
        expected = np.asarray(image.convert("RGB"))
    photograph = decode(data, short_side=301 // divided)
    assert np.array_equal(photograph.pixels, expected)


def test_a_part_is_decoded_the_same_without_the_fast_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    data = photo_of((403, 300))
    fast = decode(data, short_side=100)
    monkeypatch.setitem(__import__("sys").modules, "simplejpeg", None)
    slow = decode(data, short_side=100)
    assert np.array_equal(fast.pixels, slow.pixels)
    assert fast.box == slow.box


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_box_of_a_part_is_turned_with_its_pixels(orientation: int) -> None:
    photograph = decode(photo_of((403, 301), exif=exif(orientation)), short_side=50)
    # 403 / 4 and 301 / 4 fill 101 × 76 pixels but for a quarter and three quarters, which belong to the right
    # and lower edge of the picture as it lies. Pillow turns a picture that is marked there.
    lying = Image.new("L", (101, 76))
    for place in [(100, y) for y in range(76)]:
        lying.putpixel(place, 1)
    for place in [(x, 75) for x in range(100)]:
        lying.putpixel(place, 2)
    lying.getexif()[ORIENTATION] = orientation
    marks = np.asarray(ImageOps.exif_transpose(lying))
    missing = {0: 0.0, 1: 0.25, 2: 0.75}
    middle = (marks.shape[0] // 2, marks.shape[1] // 2)
    left, top = missing[marks[middle[0], 0]], missing[marks[0, middle[1]]]
    right, bottom = missing[marks[middle[0], -1]], missing[marks[-1, middle[1]]]
    height, width = marks.shape
    assert photograph.pixels.shape[:2] == marks.shape
    assert photograph.box == (left, top, width - right, height - bottom)
    assert (photograph.width, photograph.height) == ((301, 403) if orientation > 4 else (403, 301))


def test_other_formats_are_decoded_whole_whatever_is_asked_for() -> None:
    photograph = decode(encoded(scene(), "PNG"), short_side=2)
    assert np.array_equal(photograph.pixels, np.asarray(scene()))
    assert photograph.box is None
