"""TIFF files of every layout, written by tifffile; what is expected is how the samples were made."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from dgqa_infer.errors import ImageError
from dgqa_infer.images.decode import DecodeLimits, Photograph, decode

HEIGHT, WIDTH = 24, 36
Y, X = np.mgrid[:HEIGHT, :WIDTH]
# 8-bit samples of red, green, blue and one more; their 16-bit twins have other lower bits.
EIGHT = np.stack([X * 7, Y * 10, 255 - X * 3 - Y * 4, 30 + X * 2 + Y * 3], axis=-1).astype(np.uint8)
SIXTEEN = EIGHT.astype(np.uint16) * 256 + np.uint16(77)
NO_EXTRA = {"extrasamples": ()}


def tiff(samples: NDArray[Any], photometric: str | int, *, order: str = "<", **options: Any) -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file, byteorder=order) as writer:  # type: ignore[arg-type]
        writer.write(samples, photometric=photometric, metadata=None, **options)
    return file.getvalue()


def planes(samples: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(np.moveaxis(samples, 2, 0))


def pixels(data: bytes) -> NDArray[np.uint8]:
    found = decode(data)
    assert set(found.warnings) <= {"cmyk_without_profile"}
    return found.pixels


def grey(samples: NDArray[Any]) -> NDArray[Any]:
    return np.repeat(samples[..., None], 3, axis=2)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "deflate", "lzw", "packbits"])
class TestSixteenBits:
    def options(self, order: str, compression: str | None, **more: Any) -> dict[str, Any]:
        if compression in ("lzw", "packbits"):
            pytest.importorskip("imagecodecs")
        return {"order": order, "compression": compression, **more}

    def test_grey_whose_white_is_zero_is_no_negative(self, order: str, compression: str | None) -> None:
        data = tiff(65535 - SIXTEEN[..., 0], "miniswhite", **self.options(order, compression))
        assert np.array_equal(pixels(data), grey(EIGHT[..., 0]))

    def test_grey_whose_black_is_zero(self, order: str, compression: str | None) -> None:
        data = tiff(SIXTEEN[..., 0], "minisblack", **self.options(order, compression))
        assert np.array_equal(pixels(data), grey(EIGHT[..., 0]))

    @pytest.mark.parametrize("planar", ["contig", "separate"])
    def test_colours_in_one_plane_or_in_three(self, order: str, compression: str | None, planar: str) -> None:
        samples = SIXTEEN[..., :3] if planar == "contig" else planes(SIXTEEN[..., :3])
        data = tiff(samples, "rgb", planarconfig=planar, **self.options(order, compression))
        assert np.array_equal(pixels(data), EIGHT[..., :3])

    @pytest.mark.parametrize("planar", ["contig", "separate"])
    def test_alpha_that_is_declared_lies_over_mid_grey(
        self, order: str, compression: str | None, planar: str
    ) -> None:
        samples = SIXTEEN.copy()
        samples[..., 3] = 65535
        samples[:, : WIDTH // 2, 3] = 0
        data = tiff(
            samples if planar == "contig" else planes(samples),
            "rgb",
            planarconfig=planar,
            extrasamples=["unassalpha"],
            **self.options(order, compression),
        )
        found = decode(data)
        assert found.warnings == ("alpha_over_grey",)
        assert np.all(found.pixels[:, : WIDTH // 2] == 128)
        assert np.array_equal(found.pixels[:, WIDTH // 2 :], EIGHT[:, WIDTH // 2 :, :3])

    @pytest.mark.parametrize("planar", ["contig", "separate"])
    def test_inks_in_one_plane_or_in_four(self, order: str, compression: str | None, planar: str) -> None:
        data = tiff(
            SIXTEEN if planar == "contig" else planes(SIXTEEN),
            "separated",
            planarconfig=planar,
            **self.options(order, compression),
        )
        expected = np.asarray(Image.frombytes("CMYK", (WIDTH, HEIGHT), EIGHT.tobytes()).convert("RGB"))
        assert np.array_equal(pixels(data), expected)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("bits", "maximum"), [(10, 1023), (12, 4095), (14, 16383), (9, 511)])
def test_max_sample_value_is_white_where_it_ends_a_shorter_range(bits: int, maximum: int, order: str) -> None:
    samples = EIGHT[..., 0].astype(np.uint16) << (bits - 8)
    data = tiff(samples, "minisblack", order=order, extratags=[(281, 3, 1, maximum, True)])
    assert np.array_equal(pixels(data), grey(EIGHT[..., 0]))
    colours = EIGHT[..., :3].astype(np.uint16) << (bits - 8)
    data = tiff(colours, "rgb", order=order, extratags=[(281, 3, 3, (maximum,) * 3, True)])
    assert np.array_equal(pixels(data), EIGHT[..., :3])


def test_max_sample_value_that_is_a_mere_statistic_changes_nothing() -> None:
    # TIFF 6.0, page 35: "not to be used to affect the visual appearance of an image".
    data = tiff(SIXTEEN[..., 0], "minisblack", extratags=[(281, 3, 1, 61234, True)])
    assert np.array_equal(pixels(data), grey(EIGHT[..., 0]))


def test_max_sample_value_that_samples_exceed_is_ignored_with_a_warning() -> None:
    found = decode(tiff(SIXTEEN[..., 0], "minisblack", extratags=[(281, 3, 1, 4095, True)]))
    assert np.array_equal(found.pixels, grey(EIGHT[..., 0]))
    assert found.warnings == ("sample_range_ignored",)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [np.int8, np.int16])
def test_signed_samples_are_white_at_the_end_of_their_positive_range(kind: Any, order: str) -> None:
    bits = np.dtype(kind).itemsize * 8 - 1
    samples = (EIGHT[..., :3] >> 1).astype(kind) << (bits - 7)
    expected = (EIGHT[..., :3] >> 1).astype(int)
    expected = expected * 255 // 127 if kind is np.int8 else expected * 2
    assert np.array_equal(pixels(tiff(samples, "rgb", order=order)), expected)
    data = tiff(samples[..., 0], "minisblack", order=order)
    assert np.array_equal(pixels(data), grey(expected[..., 0]))


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.array([[-5, 7], [0, 3]], np.int16), "negative samples"),
        (np.array([[0.5, 1.5]], np.float32), "floating-point samples"),
        (np.array([[1, 2**31]], np.uint32), "samples have no defined white"),
    ],
)
def test_samples_without_a_defined_white_are_refused(samples: NDArray[Any], words: str) -> None:
    with pytest.raises(ImageError, match=words) as error:
        decode(tiff(samples, "minisblack"))
    assert error.value.code == "unsupported"


@pytest.mark.parametrize("unit", [1, 256, 257])
def test_a_colour_map_has_16_bit_values_or_as_libtiff_takes_them_8_bit_ones(unit: int) -> None:
    ramp = np.arange(256)
    colours = np.stack([ramp, 255 - ramp, ramp // 2])
    indices = EIGHT[..., 0]
    data = tiff(indices, "palette", colormap=(colours * unit).astype(np.uint16))
    assert np.array_equal(pixels(data), colours.T[indices])


def pages(*each: tuple[NDArray[Any], int]) -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for samples, kind in each:
            writer.write(samples, photometric="rgb", subfiletype=kind, metadata=None)
    return file.getvalue()


THUMBNAIL = EIGHT[::4, ::4, :3]


@pytest.mark.parametrize("thumbnails", [0, 1, 3])
def test_the_first_page_that_is_no_thumbnail_is_the_photograph(thumbnails: int) -> None:
    first = [(THUMBNAIL, 1)] * thumbnails
    found = decode(pages(*first, (EIGHT[..., :3], 0)))
    assert np.array_equal(found.pixels, EIGHT[..., :3])
    assert (found.width, found.height, found.warnings) == (WIDTH, HEIGHT, ())
    found = decode(pages(*first, (EIGHT[..., :3], 0), (EIGHT[..., 1:], 2)))
    assert np.array_equal(found.pixels, EIGHT[..., :3])
    assert found.warnings == ("first_frame",)


def test_a_lone_page_that_calls_itself_a_thumbnail_is_the_photograph() -> None:
    assert np.array_equal(decode(pages((THUMBNAIL, 1))).pixels, THUMBNAIL)


def test_limits_are_those_of_the_page_that_is_decoded() -> None:
    data = pages((THUMBNAIL, 1), (EIGHT[..., :3], 0))
    with pytest.raises(ImageError) as error:
        decode(data, DecodeLimits(pixels=THUMBNAIL.size))
    assert error.value.code == "too_large"
    asked: list[int] = []
    decode(data, before_decoding=asked.append)
    assert len(asked) == 1
    assert asked[0] > 3 * WIDTH * HEIGHT


def test_a_page_behind_a_thumbnail_may_have_separate_planes() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(THUMBNAIL, photometric="rgb", subfiletype=1, metadata=None)
        writer.write(planes(SIXTEEN[..., :3]), photometric="rgb", planarconfig="separate", metadata=None)
    assert np.array_equal(pixels(file.getvalue()), EIGHT[..., :3])


def test_the_orientation_of_separate_planes_is_applied() -> None:
    data = tiff(planes(SIXTEEN[..., :3]), "rgb", planarconfig="separate", extratags=[(274, 3, 1, 6, True)])
    assert np.array_equal(pixels(data), np.rot90(EIGHT[..., :3], -1))


def undeclared(fourth: int) -> Photograph:
    samples = EIGHT.copy()
    samples[..., 3] = fourth
    data = bytearray(tiff(samples, "rgb", extrasamples=["unspecified"]))
    # tifffile always declares; another tag in the place of ExtraSamples, still in order, leaves it out.
    at = data.index((338).to_bytes(2, "little") + (3).to_bytes(2, "little"))
    data[at : at + 2] = (337).to_bytes(2, "little")
    return decode(bytes(data))


def test_a_fourth_sample_that_is_not_declared_and_always_zero_is_no_alpha() -> None:
    found = undeclared(0)
    assert found.warnings == ()
    assert np.array_equal(found.pixels, EIGHT[..., :3])
    assert np.array_equal(undeclared(255).pixels, EIGHT[..., :3])


def test_a_layout_that_needs_a_missing_decoder_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("imagecodecs")
    data = tiff(planes(SIXTEEN[..., :3]), "rgb", planarconfig="separate", compression="lzw")

    def missing(*_: Any, **__: Any) -> None:
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffPage, "asarray", missing)
    with pytest.raises(ImageError, match=r"pip install 'dgqa-infer\[tiff\]'") as error:
        decode(data)
    assert error.value.code == "unsupported"


@pytest.mark.parametrize("compression", ["webp", "jpeg2000", "jpegxl", "png", "jpegxr"])
def test_compressions_that_pillow_lacks_are_decoded_by_imagecodecs(compression: str) -> None:
    pytest.importorskip("imagecodecs")
    data = tiff(EIGHT[..., :3], "rgb", compression=compression)
    assert np.array_equal(pixels(data), EIGHT[..., :3])
    for cut in (0.5, 0.9):
        with pytest.raises(ImageError) as error:
            decode(data[: round(cut * len(data))])
        assert error.value.code in ("truncated", "corrupt")


@pytest.mark.parametrize("tag", [273, 279])
@pytest.mark.parametrize("value", [None, 0])
def test_without_places_or_lengths_of_its_planes_it_is_damaged_and_nothing_is_printed(
    tag: int, value: int | None, capfd: pytest.CaptureFixture[str]
) -> None:
    """What is missing would be scored as black."""
    data = bytearray(tiff(planes(SIXTEEN[..., :3]), "rgb", planarconfig="separate"))
    at = max(data.find(struct.pack("<HHI", tag, kind, 3)) for kind in (3, 4))
    if value is None:
        data[at : at + 2] = struct.pack("<H", 65000)
    else:
        size = 2 if data[at + 2] == 3 else 4
        where = struct.unpack("<I", data[at + 8 : at + 12])[0]
        data[where + size : where + 2 * size] = bytes(size)
    with pytest.raises(ImageError) as error:
        decode(bytes(data))
    assert error.value.code == "corrupt"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("options", [{}, {"rowsperstrip": 5}, {"tile": (16, 16)}, {"compression": "deflate"}])
@pytest.mark.parametrize("cut", [1, 30])
def test_a_file_that_ends_within_its_samples_is_truncated(options: dict[str, Any], cut: int) -> None:
    data = tiff(65535 - SIXTEEN[..., 0], "miniswhite", **options)
    with pytest.raises(ImageError) as error:
        decode(data[:-cut])
    assert error.value.code in ("truncated", "corrupt")
