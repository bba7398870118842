"""TIFF: which page is the photograph, and samples that Pillow would misread.

Pillow is right for 8 bits a sample and for most of 16. It ignores that white may be zero (16 bits), that
samples may be signed or end below 65,535 (MaxSampleValue), and it garbles separate planes of 16 bits. Those
are read by tifffile as they are, and made 8-bit here. Tags and their numbers: TIFF 6.0, sections 8 and 18.
"""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from dgqa_infer.errors import ImageError
from dgqa_infer.images.decoders import pillow

_SUBFILE_TYPE, _OLD_SUBFILE_TYPE = 254, 255
_BITS, _PHOTOMETRIC, _SAMPLES, _MAX_SAMPLE = 258, 262, 277, 281
_PLANES, _COLOUR_MAP, _EXTRA_SAMPLES, _SAMPLE_FORMAT, _ORIENTATION, _ICC = 284, 320, 338, 339, 274, 34675
_NOT_THE_PHOTOGRAPH = 1 | 4  # reduced resolution; transparency mask
_OLD_REDUCED = 2
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _SEPARATED = 0, 1, 2, 5
_UNSIGNED, _SIGNED = 1, 2
_SEPARATE = 2
_COMPRESSION, _UNCOMPRESSED, _WEBP = 259, 1, 50001
_COLOURS = {_WHITE_IS_ZERO: "L", _BLACK_IS_ZERO: "L", _RGB: "RGB", _SEPARATED: "CMYK"}
_PREMULTIPLIED, _STRAIGHT = 1, 2
_MAX_SAMPLES = 8
_MAX_PAGES = 10_000

# What tifffile logs of a damaged file is for whoever asks for logs; without a handler Python would print it.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


@dataclass(slots=True)
class Samples:
    """A page whose samples are read as they are.

    Attributes:
        size: width and height, in pixels, as it lies.
        orientation: 1–8, as EXIF numbers them.
        more: whether the file has other photographs.
        alpha_declared: whether the file itself says that a sample is alpha.
        warnings: stable words, as in `Photograph`; complete when it is decoded.
    """

    size: tuple[int, int]
    orientation: int
    more: bool
    alpha_declared: bool
    _page: Any = field(repr=False)
    warnings: list[str] = field(default_factory=list)

    def decoded(self) -> Image.Image:
        """The page in mode L, RGB or CMYK, with its alpha where it has one, and with its profile.

        Raises:
            ImageError: "unsupported" for samples without a defined white; or it is damaged.
        """
        tags = {tag.code: tag.value for tag in self._page.tags}
        mode = _COLOURS.get(tags.get(_PHOTOMETRIC, _BLACK_IS_ZERO))
        if mode is None:
            raise ImageError(
                "unsupported", "this kind of TIFF is not decoded: its colours are of a rare kind"
            )
        samples = self._read()
        bits = self._page.bitspersample
        colours = len(mode)
        extra = _tuple(tags.get(_EXTRA_SAMPLES, ()))
        alpha = int(extra[0]) if extra and int(extra[0]) in (_PREMULTIPLIED, _STRAIGHT) else 0
        if not extra and samples.shape[2] == colours + 1 and mode != "CMYK":
            # As Pillow takes an undeclared fourth sample.
            alpha = _STRAIGHT
        if samples.shape[2] < colours:
            raise ImageError("corrupt", f"a TIFF of this kind has {colours} samples a pixel, not fewer")
        used = samples[..., : colours + (1 if alpha and mode != "CMYK" else 0)]
        used = _unsigned(used, bits, tags, self.warnings)
        if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
            used[..., 0] = 255 - used[..., 0]
        if used.shape[2] > colours:
            mode = {"L": "La", "RGB": "RGBa"}[mode] if alpha == _PREMULTIPLIED else f"{mode}A"
        image = Image.frombytes(mode, self.size, np.ascontiguousarray(used).tobytes())
        if (profile := tags.get(_ICC)) is not None:
            image.info["icc_profile"] = bytes(profile)
        return image

    def _read(self) -> NDArray[Any]:
        """[height, width, samples], of the file's own type."""
        _check_segments(self._page)
        with pillow.translated("TIFF"):
            try:
                samples = self._page.asarray(maxworkers=1)
            except (ValueError, ImportError) as error:
                if "imagecodecs" in str(error) or isinstance(error, ImportError):
                    raise ImageError(
                        "unsupported",
                        "this kind of TIFF needs a decoder that is not installed: "
                        "pip install 'dgqa-infer[tiff]'",
                    ) from error
                raise
        axes = self._page.axes
        if axes == "YX":
            samples = samples[..., None]
        elif axes == "SYX":
            samples = np.moveaxis(samples, 0, 2)
        elif axes != "YXS":
            raise ImageError(
                "unsupported", "this kind of TIFF is not decoded: it has more than two dimensions"
            )
        if samples.shape[:2] != self.size[::-1]:
            raise ImageError("corrupt", "its TIFF data is damaged: the size of its picture is contradictory")
        return np.asarray(samples)


def _check_segments(page: Any) -> None:
    """Refuse a page whose strips or tiles are not all there: tifffile leaves zeros in their place.

    Raises:
        ImageError: "truncated" or "corrupt".
    """
    offsets, counts = page.dataoffsets, page.databytecounts
    length = page.parent.filehandle.size
    if any(at + count > length for at, count in zip(offsets, counts, strict=False)):
        raise ImageError("truncated", "the file ends before its image data does")
    whole = len(offsets) == len(counts) == math.prod(page.chunked) and all(offsets) and all(counts)
    if whole and page.compression == _UNCOMPRESSED:
        planes = page.samplesperpixel if page.planarconfig == _SEPARATE else 1
        row = -(-page.imagewidth * (page.samplesperpixel // planes) * page.bitspersample // 8)
        whole = sum(counts) >= planes * page.imagelength * row
    if not whole:
        raise ImageError("corrupt", "its TIFF data is damaged: parts of its picture are missing")


def open_photograph(data: bytes) -> tuple[ImageFile.ImageFile | Samples, bool]:
    """Open the first page that is neither reduced nor a mask; decode nothing.

    Args:
        data: a TIFF file.

    Returns:
        Pillow's picture at that page where Pillow reads it rightly, else its samples; and whether the file
        has other photographs.

    Raises:
        ImageError: as `pillow.open_as` does; "unsupported" for a page that neither library reads.
    """
    try:
        image = pillow.open_as(data, "TIFF")
        with pillow.translated("TIFF"):
            more = _seek_photograph(image)
            tags = getattr(image, "tag_v2", {})
            misread = _is_misread(tags)
    except ImageError as error:
        if error.code != "unsupported" and not _is_unknown(error):
            raise
        found = _samples(data)
        if found is None:
            raise
        return found, found.more
    if misread and (found := _samples(data)) is not None:
        return found, found.more
    return image, more


def _is_unknown(error: BaseException) -> bool:
    """Whether Pillow has failed to look something up, such as a compression, rather than found damage."""
    cause = error.__cause__
    return isinstance(cause, KeyError) or (cause is not None and _is_unknown(cause))


def correct_palette(image: Image.Image) -> None:
    """Read a colour map whose values end at 255 as 8-bit ones, as libtiff does; Pillow takes them for 16."""
    colours = getattr(image, "tag_v2", {}).get(_COLOUR_MAP)
    if image.mode == "P" and colours and 0 < max(colours) < 256:
        count = len(colours) // 3
        image.putpalette(bytes(colours[at + of * count] for at in range(count) for of in range(3)))


def alpha_is_declared(image: Image.Image) -> bool:
    """Whether the file itself says that a sample is alpha."""
    return any(
        value in (_PREMULTIPLIED, _STRAIGHT) for value in _tuple(image_tags(image).get(_EXTRA_SAMPLES))
    )


def image_tags(image: Image.Image) -> Any:
    """The tags of Pillow's page; empty for what has none."""
    return getattr(image, "tag_v2", {})


def _seek_photograph(image: ImageFile.ImageFile) -> bool:
    """Seek the photograph; whether there is another one."""
    photographs: list[int] = []
    frames = min(getattr(image, "n_frames", 1), _MAX_PAGES)
    for index in range(frames) if frames > 1 else ():
        image.seek(index)
        if not _is_reduced(image_tags(image)):
            photographs.append(index)
            if len(photographs) == 2:
                break
    if frames > 1:
        image.seek(photographs[0] if photographs else 0)
    return len(photographs) > 1


def _is_reduced(tags: Any) -> bool:
    kind, old = tags.get(_SUBFILE_TYPE, 0), tags.get(_OLD_SUBFILE_TYPE, 0)
    kind, old = (_tuple(each)[0] if _tuple(each) else 0 for each in (kind, old))
    return bool(int(kind) & _NOT_THE_PHOTOGRAPH) or int(old) == _OLD_REDUCED


def _is_misread(tags: Any) -> bool:
    """Whether Pillow would read other samples than the file has."""
    if tags.get(_COMPRESSION) == _WEBP:
        # Of which Pillow's libtiff is built without.
        return True
    bits = _tuple(tags.get(_BITS, 1))
    formats = _tuple(tags.get(_SAMPLE_FORMAT, _UNSIGNED))
    if any(each not in (_UNSIGNED, _SIGNED) for each in formats):
        return False
    deepest = max(bits, default=1)
    if any(each == _SIGNED for each in formats) or _significant(tags, deepest) != deepest:
        return True
    separate = tags.get(_PLANES, 1) == _SEPARATE and len(bits) > 1
    white_is_zero = tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    return deepest > 8 and (separate or white_is_zero)


def _significant(tags: Any, bits: int) -> int:
    """How many bits of each sample are used: fewer where MaxSampleValue is the end of a shorter range.

    TIFF 6.0 has the tag for statistics, so that other values than 2ⁿ − 1 say nothing of white.
    """
    try:
        ends = {int(each) for each in _tuple(tags.get(_MAX_SAMPLE, ()))}
    except (TypeError, ValueError):
        return bits
    end = ends.pop() if len(ends) == 1 else 0
    used = end.bit_length()
    return used if end == (1 << used) - 1 and 1 < used < bits and bits > 8 else bits


def _samples(data: bytes) -> Samples | None:
    """The photograph's page by way of tifffile; None where that does not read it either."""
    import tifffile

    with pillow.translated("TIFF"):
        try:
            pages = tifffile.TiffFile(io.BytesIO(data)).pages
            first: tifffile.TiffPage | None = None
            photographs: list[tifffile.TiffPage] = []
            # Frames are pages without tags of their own, which are only made where one asks for them.
            for index, page in enumerate(cast("Iterable[tifffile.TiffPage]", pages)):
                first = first or page
                tags = {tag.code: tag.value for tag in page.tags}
                if not _is_reduced(tags):
                    photographs.append(page)
                if len(photographs) == 2 or index == _MAX_PAGES:
                    break
        except tifffile.TiffFileError:
            return None
        chosen = photographs[0] if photographs else first
        if chosen is None or chosen.samplesperpixel > _MAX_SAMPLES or chosen.imagedepth != 1:
            return None
        turned = chosen.tags.valueof(_ORIENTATION, 1)
        orientation = int(turned) if turned in range(1, 9) else 1
        extra = _tuple(chosen.tags.valueof(_EXTRA_SAMPLES, ()))
        declared = any(int(value) in (_PREMULTIPLIED, _STRAIGHT) for value in extra)
        size = (chosen.imagewidth, chosen.imagelength)
        return Samples(size, orientation, len(photographs) > 1, declared, chosen)


def _unsigned(samples: NDArray[Any], bits: Any, tags: Any, warnings: list[str]) -> NDArray[np.uint8]:
    """8-bit samples: the upper eight of those bits that the file uses.

    Signed samples are white at the end of their positive range; a negative one has no defined black.
    """
    if samples.dtype.kind not in "ui" or not isinstance(bits, int) or not 8 <= bits <= 16:
        what = "floating-point" if samples.dtype.kind == "f" else f"{bits}-bit"
        raise ImageError("unsupported", f"{what} samples have no defined white")
    used = _significant(tags, bits)
    least, most = int(samples.min()), int(samples.max())
    if least < 0:
        raise ImageError("unsupported", "negative samples have no defined black")
    if samples.dtype.kind == "i":
        used = min(used, bits - 1)
    if most >= 1 << used:
        # The tag is wrong, and the samples need the whole range.
        used = bits
        warnings.append("sample_range_ignored")
    wide = samples.astype(np.uint16)
    if used >= 8:
        return (wide >> (used - 8)).astype(np.uint8)
    return (wide.astype(np.uint32) * 255 // ((1 << used) - 1)).astype(np.uint8)


def _tuple(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, tuple | list) else (value,)
