"""Camera raw files: DNG by its specification, written here tag by tag, developed by LibRaw."""

from __future__ import annotations

import io
import struct
import sys
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dgqa_infer.errors import ImageError
from dgqa_infer.images.decode import DecodeLimits, decode
from dgqa_infer.images.decoders.raw import is_raw

BYTE, ASCII, SHORT, LONG, SRATIONAL = 1, 2, 3, 4, 10
SIZES = {BYTE: 1, ASCII: 1, SHORT: 2, LONG: 4, SRATIONAL: 8}
WIDTH, HEIGHT = 400, 300

needs_libraw = pytest.mark.skipif(find_spec("rawpy") is None, reason="needs rawpy")


def directory(at: int, entries: list[tuple[int, int, bytes]]) -> bytes:
    """A TIFF directory that lies at an offset, with the values that do not fit behind it."""
    table, values = b"", b""
    behind = at + 2 + 12 * len(entries) + 4
    for tag, kind, value in sorted(entries):
        count = len(value) // SIZES[kind]
        if len(value) > 4:
            field = struct.pack("<I", behind + len(values))
            values += value + b"\0" * (len(value) % 2)
        else:
            field = value.ljust(4, b"\0")
        table += struct.pack("<HHI", tag, kind, count) + field
    return struct.pack("<H", len(entries)) + table + bytes(4) + values


def short(*values: int) -> tuple[int, bytes]:
    return SHORT, struct.pack(f"<{len(values)}H", *values)


def long(*values: int) -> tuple[int, bytes]:
    return LONG, struct.pack(f"<{len(values)}I", *values)


def dng(preview: bytes | None = None, preview_size: tuple[int, int] = (0, 0), orientation: int = 1) -> bytes:
    """A horizontal gradient behind a Bayer filter, as a camera stores it; perhaps with a preview."""
    samples = np.tile(np.linspace(0, 60_000, WIDTH).astype("<u2"), (HEIGHT, 1)).tobytes()
    jpeg = preview or b""
    raw_at = 8 + len(samples)
    jpeg_at = raw_at
    about = [
        (271, ASCII, b"Test\0"),
        (272, ASCII, b"Camera\0"),
        (274, *short(orientation)),
        (50706, BYTE, bytes([1, 4, 0, 0])),
        (50708, ASCII, b"Test Camera\0"),
        (50721, SRATIONAL, struct.pack("<18i", 1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1)),
        (50778, *short(21)),
    ]
    picture = [
        (254, *long(0)),
        (256, *long(WIDTH)),
        (257, *long(HEIGHT)),
        (258, *short(16)),
        (259, *short(1)),
        (262, *short(32803)),
        (273, *long(8)),
        (277, *short(1)),
        (278, *long(HEIGHT)),
        (279, *long(len(samples))),
        (33421, *short(2, 2)),
        (33422, BYTE, bytes([0, 1, 1, 2])),
        (50714, *short(0)),
        (50717, *short(65535)),
    ]
    if preview is None:
        first_at, body = raw_at, directory(raw_at, about + picture)
    else:
        sub_at = jpeg_at + len(jpeg) + len(jpeg) % 2
        sub = directory(sub_at, picture)
        first_at = sub_at + len(sub)
        shown = [
            (254, *long(1)),
            (256, *long(preview_size[0])),
            (257, *long(preview_size[1])),
            (258, *short(8, 8, 8)),
            (259, *short(7)),
            (262, *short(6)),
            (273, *long(jpeg_at)),
            (277, *short(3)),
            (278, *long(preview_size[1])),
            (279, *long(len(jpeg))),
            (330, *long(sub_at)),
        ]
        body = jpeg + b"\0" * (len(jpeg) % 2) + sub + directory(first_at, about + shown)
    return b"II*\0" + struct.pack("<I", first_at) + samples + body


def green(size: tuple[int, int], **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (0, 255, 0)).save(file, "JPEG", quality=95, **options)
    return file.getvalue()


@needs_libraw
def test_a_raw_file_without_a_preview_is_developed_at_half_its_size() -> None:
    photograph = decode(dng())
    assert (photograph.format, photograph.width, photograph.height) == ("RAW", WIDTH // 2, HEIGHT // 2)
    assert photograph.warnings == ("raw_half_size",)
    means = photograph.pixels.mean(axis=(0, 2))
    assert means[0] < 10
    assert means[-1] > 200
    assert np.all(np.diff(means[::10]) > 0)


@needs_libraw
def test_the_camera_s_own_preview_is_what_is_scored_where_it_is_large(tmp_path: Any) -> None:
    path = tmp_path / "photo.dng"
    path.write_bytes(dng(green((WIDTH, HEIGHT)), (WIDTH, HEIGHT)))
    photograph = decode(path)
    assert (photograph.format, photograph.width, photograph.height) == ("RAW", WIDTH, HEIGHT)
    assert photograph.warnings == ("raw_preview",)
    assert np.abs(photograph.pixels.astype(int) - (0, 255, 0)).max() < 10


@needs_libraw
def test_a_thumbnail_is_never_scored() -> None:
    photograph = decode(dng(green((160, 120)), (160, 120)))
    assert photograph.warnings == ("raw_half_size",)
    assert photograph.width == WIDTH // 2


@needs_libraw
def test_raw_pictures_are_turned_upright_once() -> None:
    assert decode(dng(orientation=6)).height == WIDTH // 2
    turned = decode(dng(green((WIDTH, HEIGHT)), (WIDTH, HEIGHT), orientation=6))
    assert (turned.width, turned.height) == (HEIGHT, WIDTH)
    tags = Image.Exif()
    tags[274] = 6
    says_it_too = dng(green((WIDTH, HEIGHT), exif=tags), (WIDTH, HEIGHT), orientation=6)
    assert decode(says_it_too).height == WIDTH


@needs_libraw
def test_limits_hold_for_raw_files_too() -> None:
    with pytest.raises(ImageError) as error:
        decode(dng(), DecodeLimits(pixels=1000))
    assert error.value.code == "too_large"
    asked: list[int] = []
    decode(dng(), before_decoding=asked.append)
    assert len(asked) == 1
    assert asked[0] > 3 * WIDTH * HEIGHT


@needs_libraw
def test_a_damaged_raw_file_has_no_score() -> None:
    data = dng()
    for cut in (8, 100, 50_000, len(data) - 40):
        with pytest.raises(ImageError) as error:
            decode(b"FUJIFILMCCD-RAW " + data[:cut])
        assert error.value.code in ("corrupt", "truncated", "unsupported")


def test_raw_files_are_told_from_tiff_photographs() -> None:
    assert is_raw(dng())
    assert is_raw(dng(green((16, 16)), (16, 16)))
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "TIFF")
    assert not is_raw(file.getvalue())
    assert not is_raw(b"II*\0\xff\xff\xff\xff")
    assert not is_raw(b"MM\0*")


def test_a_missing_decoder_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(ImageError) as error:
        decode(dng())
    assert error.value.code == "unsupported"
    assert "pip install 'dgqa-infer[raw]'" in error.value.message


def test_heif_is_decoded_where_its_extra_is_installed() -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    x = np.tile(np.linspace(0, 255, 96).astype(np.uint8), (64, 1))
    image = Image.fromarray(np.stack([x, x[:, ::-1], x // 2], axis=-1))
    tags = Image.Exif()
    tags[274] = 6
    file = io.BytesIO()
    pillow_heif.from_pillow(image).save(file, format="HEIF", quality=95, exif=tags.tobytes())
    photograph = decode(file.getvalue())
    assert (photograph.format, photograph.warnings) == ("HEIF", ())
    expected = np.asarray(image) if photograph.width == 96 else np.rot90(np.asarray(image), -1)
    assert np.abs(photograph.pixels.astype(int) - expected).mean() < 8


def test_heif_without_its_extra_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setitem(sys.modules, "pillow_heif.as_plugin", None)
    with pytest.raises(ImageError) as error:
        decode(b"\0\0\0\x1cftypheic\0\0\0\0mif1heic" + bytes(100))
    assert error.value.code == "unsupported"
    assert "pip install 'dgqa-infer[heif]'" in error.value.message
