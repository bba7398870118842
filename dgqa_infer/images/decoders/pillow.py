"""Pillow opens a file as one named format, and everything that it raises becomes an `ImageError`.

The plugin is called directly: `Image.open` would try others, and its limit is global to the process.
"""

from __future__ import annotations

import importlib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, ImageFile

from dgqa_infer.errors import ImageError
from dgqa_infer.inputs.formats import Format

_PLUGINS: dict[Format, tuple[str, str]] = {
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "HEIF": ("pillow_heif.as_plugin", "HeifImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "JPEG 2000": ("PIL.Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    "JPEG XL": ("pillow_jxl.JpegXLImagePlugin", "JXLImageFile"),
}
_EXTRAS: dict[str, str] = {"HEIF": "heif", "JPEG XL": "jxl"}
_ORIENTATION = 0x0112
_EXIF, _COLOUR_SPACE, _INTEROPERABILITY, _INDEX = 0x8769, 0xA001, 0xA005, 1
_ADOBE_RGB = ("R03", 2)  # by the DCF option file's index; by what some cameras write as the colour space
_WORDS = re.compile(r"[A-Za-z][\w'-]*,? [\w(].{0,200}$")
_NOT_DECODED = ("unsupported", "cannot handle", "unknown pixel mode")
_ENDS_EARLY = ("truncated", "not enough", "end of file", "end-of-file", "unexpected end")
# Without one of these there is neither, and Exif, which takes a third of a millisecond, need not be read.
_ADOBE_RGB_BYTES = (b"R03", b"\xa0\1\0\3\0\0\0\1\0\2", b"\1\xa0\3\0\1\0\0\0\2\0")


def open_as(data: bytes, kind: Format) -> ImageFile.ImageFile:
    """Read the header; decode nothing.

    Raises:
        ImageError: the file is not sound, or "unsupported" where the decoder is not installed.
    """
    if kind == "WEBP":
        _check_riff(data)
    module, name = _PLUGINS[kind]
    try:
        plugin = getattr(importlib.import_module(module), name)
    except ImportError as error:
        extra = _EXTRAS.get(kind, "cpu")
        raise ImageError(
            "unsupported", f"{kind} needs a decoder that is not installed: pip install 'dgqa-infer[{extra}]'"
        ) from error
    with translated(kind):
        image = plugin(io.BytesIO(data), None)
        assert isinstance(image, ImageFile.ImageFile)
        return image


def load(image: ImageFile.ImageFile, kind: Format) -> bool:
    """Decode the picture that the file is for: the first one, and of HEIF the primary one.

    A TIFF file stays at the page that it is at.

    Returns:
        Whether there are more.
    """
    with translated(kind):
        # HEIF is opened at its primary picture, and TIFF has been sought before.
        more = kind != "TIFF" and getattr(image, "n_frames", 1) > 1
        if more and kind != "HEIF":
            image.seek(0)
        image.load()
    return more


def orientation(image: Image.Image, default: int = 1) -> int:
    """The EXIF orientation that is still to be applied, 1–8; the default for none and for nonsense."""
    try:
        value = image.getexif().get(_ORIENTATION, default)
    except Exception:
        # Pillow's reader of EXIF raises whatever comes; a photograph is not worse for it.
        return default
    return value if isinstance(value, int) and 1 <= value <= 8 else default


def is_adobe_rgb(image: Image.Image) -> bool:
    """Whether Exif says that a picture without a profile is in Adobe RGB, as DCF has cameras say it."""
    if not any(each in image.info.get("exif", b"") for each in _ADOBE_RGB_BYTES):
        return False
    try:
        exif = image.getexif()
        interoperability = str(exif.get_ifd(_INTEROPERABILITY).get(_INDEX, "")).rstrip("\0")
        return interoperability == _ADOBE_RGB[0] or exif.get_ifd(_EXIF).get(_COLOUR_SPACE) == _ADOBE_RGB[1]
    except Exception:
        # As for the orientation.
        return False


@contextmanager
def translated(kind: str) -> Iterator[None]:
    """Around calls into Pillow: what it raises on hostile files is anything, and becomes an `ImageError`."""
    try:
        yield
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError("too_large", "decoding it needs more memory than there is") from error
    except Image.DecompressionBombError as error:
        raise ImageError("too_large", f"its {kind} header announces too many pixels") from error
    except Exception as error:
        said = str(error).strip().rstrip(".")
        words_of = f": {said}" if is_sentence(error) else ""
        if any(words in said.lower() for words in _NOT_DECODED):
            raise ImageError("unsupported", f"this kind of {kind} is not decoded{words_of}") from error
        if isinstance(error, EOFError) or any(words in said.lower() for words in _ENDS_EARLY):
            raise ImageError("truncated", "the file ends before its image data does") from error
        raise ImageError("corrupt", f"its {kind} data is damaged{words_of}") from error


def is_sentence(error: Exception) -> bool:
    """Whether what an exception says is for people: words, and not a key or a line of Python."""
    said = str(error)
    foreign = "driver" in said or isinstance(
        error, KeyError | IndexError | TypeError | AttributeError | AssertionError
    )
    return not foreign and said.isprintable() and _WORDS.match(said) is not None


def _check_riff(data: bytes) -> None:
    announced = int.from_bytes(data[4:8], "little") + 8
    if announced > len(data):
        raise ImageError(
            "truncated", f"the file ends {announced - len(data):,} bytes before its image data does"
        )
