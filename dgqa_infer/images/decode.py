"""Bytes become an upright sRGB photograph, within limits; or an `ImageError` says why not.

The first bytes choose the decoder, never the name. The header is read and checked before any pixel. Metadata
is text: nothing of it is run, and only orientation and colour profile are used.
"""

from __future__ import annotations

import os
import warnings as python_warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dgqa_infer.errors import ImageError
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.images.decoders import bmp, colour, heif, jpeg, jpeg2000, jxl, pillow, png, raw, tiff
from dgqa_infer.images.decoders.orientation import SIDEWAYS, Box, upright, upright_box
from dgqa_infer.images.memory import decoding_bytes, samples_bytes
from dgqa_infer.inputs.addresses import shown
from dgqa_infer.inputs.files import read_file
from dgqa_infer.inputs.formats import EXTENSIONS, HEAD_BYTES, Format, describe_refused, sniff

if TYPE_CHECKING:
    from dgqa_infer.images.decoders.nvjpeg import DeviceDecoder

CORRUPT_DATA = "jpeg_corrupt_data"
"""The warning that a decoder made up parts of a picture whose data was damaged."""

CPU_DECODED = "cpu_decoded"
"""The warning that a JPEG has the pixels of the CPU's decoder where a GPU was to decode."""


# Of formats whose profiles Pillow does not read.
_PROFILES: dict[Format, Callable[[bytes], bytes | None]] = {"BMP": bmp.profile, "JPEG 2000": jpeg2000.profile}
# Whether the colours that a file states are ones that we take it for.
_IS_KNOWN: dict[Format, Callable[[bytes], bool]] = {
    "AVIF": heif.is_srgb,
    "HEIF": heif.is_srgb,
    "JPEG 2000": jpeg2000.is_known,
}


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What a file may ask for before it is refused as "too_large".

    Attributes:
        file_bytes: size of the file.
        pixels: width × height.
        side: width or height, in pixels.
        profile_bytes: size of the embedded colour profile; a longer one is not used, and a warning says so.
        allow_private: whether web addresses of this machine and of its link may be asked.
    """

    file_bytes: int = 200_000_000
    pixels: int = 256_000_000
    side: int = 32_768
    profile_bytes: int = 4_000_000
    allow_private: bool = False


@dataclass(frozen=True, slots=True)
class Photograph:
    """A decoded photograph.

    Attributes:
        pixels: uint8 [height, width, 3], sRGB, upright; fewer where a JPEG was decoded at a part of its size,
            or on a GPU, which has shrunk it already.
        width: of the photograph, in pixels.
        height: of the photograph, in pixels.
        format: of the file, such as "JPEG"; None from memory.
        warnings: stable words for what a careful reader should know, such as "alpha_over_grey".
        box: the part of `pixels` that the photograph fills, where it was decoded at a part of its size: its
            edges may fall within a pixel. None where that is all of them.
    """

    pixels: Pixels
    width: int
    height: int
    format: Format | None
    warnings: tuple[str, ...]
    box: Box | None = None

    def seen(self, more: tuple[str, ...]) -> Photograph:
        """The same photograph with more warnings."""
        return replace(self, warnings=self.warnings + more) if more else self


def decode(
    source: str | os.PathLike[str] | bytes,
    limits: DecodeLimits | None = None,
    *,
    name: str | None = None,
    strict: bool = False,
    before_decoding: Callable[[int], None] | None = None,
    short_side: int | None = None,
    on_device: DeviceDecoder | None = None,
) -> Photograph:
    """Decode one photograph.

    Args:
        source: a path, or the bytes of a file.
        limits: what it may ask for; the defaults of `DecodeLimits` where None.
        name: what bytes were called where they came from; a path's own where None.
        strict: refuse a JPEG whose data is damaged, even if a picture can be made of it.
        before_decoding: called with the bytes of memory that decoding takes at most, when the header is known
            and within limits, before any pixel is decoded; may wait until there is memory.
        short_side: a JPEG may be decoded at a half, a quarter or an eighth of its size, as long as its short
            side keeps so many pixels; None for every JPEG at its full size.
        on_device: decodes and shrinks those JPEGs that it can; None where the CPU decodes all.

    Raises:
        ImageError: it cannot be decoded; the code says why.
    """
    limits = limits or DecodeLimits()
    path = name if isinstance(source, bytes) else os.fspath(source)
    try:
        data = (
            source
            if isinstance(source, bytes)
            else read_file(source, limits.file_bytes, allow_private=limits.allow_private).data
        )
        request = _Request(limits, before_decoding or (lambda _: None), short_side, on_device)
        photograph = _decode(data, path, request)
        if strict and CORRUPT_DATA in photograph.warnings:
            raise ImageError("corrupt", "its JPEG data is damaged, and parts of the picture are made up")
        return photograph
    except ImageError as error:
        raise ImageError(error.code, error.message, shown(path) if path else path) from error
    except MemoryError as error:
        raise ImageError("too_large", "decoding it needs more memory than there is", path) from error


def from_pillow(image: Image.Image, limits: DecodeLimits) -> Photograph:
    """A photograph from a Pillow image: upright, with its profile and transparency seen to as in a file.

    Raises:
        ImageError: it is too large, damaged, or its samples have no defined white.
    """
    _check_size(*image.size, limits)
    with python_warnings.catch_warnings():
        python_warnings.simplefilter("ignore")
        with pillow.translated(image.format or "image"):
            image.load()
            pixels, warnings = colour.to_srgb(
                _eight_bits(image), limits.profile_bytes, alpha_declared=image.format not in ("BMP", "DIB")
            )
        pixels = upright(pixels, pillow.orientation(image))
    return Photograph(pixels, pixels.shape[1], pixels.shape[0], None, tuple(warnings))


def _eight_bits(image: Image.Image) -> Image.Image:
    """Mode I of no file is converted as Pillow converts it if no sample is above 255."""
    if image.mode == "I" and image.format is None:
        least, most = image.getextrema()
        if least >= 0 and most <= 255:  # type: ignore[operator]
            return image.convert("L")
    return image


def from_array(array: NDArray[Any], limits: DecodeLimits) -> Photograph:
    """A photograph from an array uint8 [height, width, 3], sRGB, upright; [height, width] is grey.

    Raises:
        ImageError: the array is none of these, or is too large.
    """
    array = np.asarray(array)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
        shape = " × ".join(map(str, array.shape))
        raise ImageError(
            "unsupported", f"an array must be uint8 [height, width, 3], not {array.dtype} [{shape}]"
        )
    _check_size(array.shape[1], array.shape[0], limits)
    pixels = np.ascontiguousarray(array if array.ndim == 3 else np.repeat(array[..., None], 3, axis=2))
    return Photograph(pixels, pixels.shape[1], pixels.shape[0], None, ())


@dataclass(frozen=True, slots=True)
class _Request:
    """What `decode` was asked for, on its way through the formats."""

    limits: DecodeLimits
    before_decoding: Callable[[int], None]
    short_side: int | None
    on_device: DeviceDecoder | None


def _decode(data: bytes, path: str | None, request: _Request) -> Photograph:
    limits = request.limits
    if not data:
        raise ImageError("empty", "there are no bytes")
    if len(data) > limits.file_bytes:
        raise ImageError("too_large", f"{len(data):,} bytes; the limit is {limits.file_bytes:,}")
    head = data[:HEAD_BYTES]
    if (kind := sniff(head)) is None:
        raise ImageError("unsupported", f"this is {describe_refused(head)}; it is not scored")
    expected = EXTENSIONS.get(PurePath(path).suffix.lower()) if path else None
    if kind == "TIFF" and (raw.is_raw(data) or (expected == "RAW" and raw.is_known(data))):
        kind = "RAW"
    with python_warnings.catch_warnings():
        # Pillow warns of odd metadata; what matters of that is in our own warnings.
        python_warnings.simplefilter("ignore")
        photograph = _decode_raw(data, request) if kind == "RAW" else _decode_image(data, kind, request)
    return photograph.seen(("extension_mismatch",) if expected not in (None, kind) else ())


def _decode_image(data: bytes, kind: Format, request: _Request, orientation: int = 1) -> Photograph:
    """What Pillow opens; JPEG and TIFF, which need more than that, begin here too."""
    if kind == "JPEG":
        return _decode_jpeg(data, request, orientation)
    warnings: list[str] = []
    gamma, more = None, False
    if kind == "JPEG XL" and (announced := jxl.size(data)) is not None:
        _check_size(*announced, request.limits)
    if kind == "PNG":
        contents = png.read(data, request.limits.profile_bytes)
        data, gamma, more = contents.data, contents.gamma, contents.more
        warnings += contents.warnings
    if kind == "TIFF":
        page, more = tiff.open_photograph(data)
        if isinstance(page, tiff.Samples):
            return _decode_samples(page, len(data), request)
        image = page
    else:
        image = pillow.open_as(data, kind)
    _check_size(*image.size, request.limits)
    if kind in _PROFILES and (profile := _PROFILES[kind](data)):
        image.info["icc_profile"] = profile
    request.before_decoding(decoding_bytes(kind, image, len(data)))
    deep = jpeg2000.samples(data, image) if kind == "JPEG 2000" else None
    more |= deep is None and pillow.load(image, kind)
    # What was decoded counts, whatever was announced.
    _check_size(*image.size, request.limits)
    if kind == "PNG" and contents.profile is not None:
        image.info["icc_profile"] = contents.profile
    if kind == "TIFF":
        tiff.correct_palette(image)
    if kind in _IS_KNOWN and not image.info.get("icc_profile") and not _IS_KNOWN[kind](data):
        warnings.append("colour_space_ignored")
    if more:
        warnings.append("first_frame")
    declared = kind != "BMP" and (kind != "TIFF" or tiff.alpha_is_declared(image))
    with pillow.translated(kind):
        pixels, seen = colour.to_srgb(
            deep or image, request.limits.profile_bytes, alpha_declared=declared, gamma=gamma
        )
    # Some formats say it behind the pixels, so it is asked for last. JPEG XL is turned by its decoder, but
    # for a JPEG that it holds whole.
    turned = 1 if kind == "JPEG XL" and not getattr(image, "jpeg", False) else pillow.orientation(image)
    return _upright(pixels, turned, kind, warnings + seen)


def _decode_samples(page: tiff.Samples, file_bytes: int, request: _Request) -> Photograph:
    _check_size(*page.size, request.limits)
    request.before_decoding(samples_bytes("TIFF", *page.size, file_bytes))
    with pillow.translated("TIFF"):
        image = page.decoded()
        pixels, seen = colour.to_srgb(image, request.limits.profile_bytes, alpha_declared=page.alpha_declared)
    warnings = (["first_frame"] if page.more else []) + page.warnings
    return _upright(pixels, page.orientation, "TIFF", warnings + seen)


def _upright(pixels: Pixels, orientation: int, kind: Format, warnings: list[str]) -> Photograph:
    pixels = upright(pixels, orientation)
    return Photograph(pixels, pixels.shape[1], pixels.shape[0], kind, tuple(warnings))


def _decode_jpeg(data: bytes, request: _Request, orientation: int) -> Photograph:
    image, data, found = jpeg.open_file(data)
    width, height = image.size
    _check_size(width, height, request.limits)
    part = jpeg.divisor(width, height, request.short_side)
    request.before_decoding(decoding_bytes("JPEG", image, len(data), part=part > 1))
    warnings = list(found)
    profile = image.info.get("icc_profile")
    foreign = colour.profile_changes_srgb(profile, request.limits.profile_bytes)
    stated = ("colour_space_ignored",) if not profile and pillow.is_adobe_rgb(image) else ()
    warnings += stated
    box: Box | None = None
    if request.on_device is not None:
        turned = pillow.orientation(image, orientation)
        if not foreign and (small := request.on_device.decode(data, image, turned)) is not None:
            sides = (height, width) if turned in SIDEWAYS else (width, height)
            return Photograph(small, *sides, "JPEG", stated)
        warnings.append(CPU_DECODED)
    if part > 1:
        _, box = image.draft(None, (width // part, height // part)) or (None, None)
    size = image.size if box else None
    pixels, verdict = jpeg.decode(data, image.mode, size)
    if pixels is None and (mended := jpeg.mend(data, image.mode, size, verdict)) is not None:
        data, pixels, found = mended
        warnings += found
        if pixels is None:
            image = pillow.open_as(data, "JPEG")
    elif verdict == "corrupt":
        warnings.append(CORRUPT_DATA)
    if pixels is None or foreign:
        if pixels is not None and image.mode == "RGB":
            converted: Image.Image = Image.fromarray(pixels)
            converted.info["icc_profile"] = profile
        else:
            pillow.load(image, "JPEG")
            converted = image
        with pillow.translated("JPEG"):
            pixels, more = colour.to_srgb(converted, request.limits.profile_bytes)
        warnings += more
    turned = pillow.orientation(image, orientation)
    if box is not None:
        box = upright_box(box, *image.size, turned)
    if turned in SIDEWAYS:
        width, height = height, width
    return Photograph(upright(pixels, turned), width, height, "JPEG", tuple(warnings), box)


def _decode_raw(data: bytes, request: _Request) -> Photograph:
    with raw.open_raw(data) as picture:
        _check_size(picture.sizes.width, picture.sizes.height, request.limits)
        if (found := raw.preview(picture)) is not None:
            preview, orientation = found
            photograph = _decode_jpeg(preview, request, orientation)
            return replace(photograph, format="RAW").seen(("raw_preview",))
        sizes = picture.sizes
        request.before_decoding(samples_bytes("RAW", sizes.width, sizes.height, len(data)))
        pixels = raw.develop(picture)
        _check_size(pixels.shape[1], pixels.shape[0], request.limits)
    return Photograph(pixels, pixels.shape[1], pixels.shape[0], "RAW", ("raw_half_size",))


def _check_size(width: int, height: int, limits: DecodeLimits) -> None:
    if width < 1 or height < 1:
        raise ImageError("corrupt", f"it has {width} × {height} pixels")
    if width * height > limits.pixels:
        megapixels = width * height / 1e6
        raise ImageError(
            "too_large",
            f"{width} × {height} is {megapixels:,.1f} MP; the limit is {limits.pixels / 1e6:,.1f} MP",
        )
    if max(width, height) > limits.side:
        raise ImageError("too_large", f"{width} × {height} pixels; the limit for a side is {limits.side:,}")
