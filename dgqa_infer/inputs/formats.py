"""Which format a file has, by its first bytes and never by its name; and why a format is refused."""

from __future__ import annotations

from typing import Literal

Format = Literal["JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF", "HEIF", "GIF", "JPEG 2000", "JPEG XL", "RAW"]

EXTENSIONS: dict[str, Format] = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), "JPEG"),
    ".png": "PNG",
    ".webp": "WEBP",
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".bmp", ".dib"), "BMP"),
    **dict.fromkeys((".avif", ".avifs"), "AVIF"),
    **dict.fromkeys((".heic", ".heif", ".hif"), "HEIF"),
    ".gif": "GIF",
    **dict.fromkeys((".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc"), "JPEG 2000"),
    ".jxl": "JPEG XL",
    **dict.fromkeys(
        (".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mos", ".nef", ".nrw"),
        "RAW",
    ),
    **dict.fromkeys((".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".srw", ".x3f"), "RAW"),
}
"""The extensions, in lower case, that make a file in a folder an image."""

REFUSED_EXTENSIONS = frozenset(
    {
        ".bpg",
        ".cur",
        ".dcm",
        ".dds",
        ".exr",
        ".fit",
        ".fits",
        ".flif",
        ".hdp",
        ".hdr",
        ".icns",
        ".ico",
        ".jls",
    }
    | {".jxr", ".pbm", ".pcx", ".pgm", ".pnm", ".ppm", ".psb", ".psd", ".qoi", ".ras", ".sgi", ".tga"}
    | {".wdp", ".xbm", ".xcf", ".xpm"}
)
"""The extensions, in lower case, of pictures that are not decoded; in a folder each has its row."""

HEAD_BYTES = 64
"""How many first bytes `sniff` wants."""

_TIFF_HEADS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_RAW_HEADS = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\x00", b"\x00MRM", b"FOVb")
_JPEG_2000_HEADS = (b"\x00\x00\x00\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
_JPEG_XL_HEADS = (b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n")
_JPEG_LS = b"\xf7"
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)
_AVIF_BRANDS = (b"avif", b"avis")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

# Formats that are known and refused: their decoders run programs, draw vectors or are rarely tested, or they
# hold no photographs. The first are pictures nevertheless.
_REFUSED_PICTURES: tuple[tuple[bytes, str], ...] = (
    (b"8BPS", "a Photoshop document"),
    (b"v/1\x01", "an OpenEXR file"),
    (b"\x00\x00\x01\x00", "a Windows icon"),
    (b"\x00\x00\x02\x00", "a Windows cursor"),
    (b"gimp xcf", "a GIMP document"),
    (b"#?RADIANCE", "a Radiance HDR file"),
    (b"DDS ", "a DirectDraw surface"),
    (b"SIMPLE  =", "a FITS file"),
    (b"BPG\xfb", "a BPG file"),
    (b"qoif", "a QOI file"),
    (b"FLIF", "a FLIF file"),
    (b"II\xbc", "a JPEG XR file"),
    (b"\xff\xd8\xff\xf7", "a JPEG-LS file"),
    *((f"P{digit}{end}".encode(), "a Netpbm file") for digit in range(1, 8) for end in " \t\r\n"),
)
_REFUSED: tuple[tuple[bytes, str], ...] = (
    *_REFUSED_PICTURES,
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript document"),
    (b"\xd7\xcd\xc6\x9a", "a Windows metafile"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\x7fELF", "a program"),
)


def sniff(head: bytes) -> Format | None:
    """The format that the first bytes announce.

    Args:
        head: the first `HEAD_BYTES` bytes of a file, or all of a shorter one.

    Returns:
        The format, or None where it is none of ours.
    """
    if head.startswith(b"\xff\xd8\xff") and head[3:4] != _JPEG_LS:
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head.startswith(_RAW_HEADS) or (head[:4] == b"II*\x00" and head[8:10] == b"CR"):
        return "RAW"
    if head.startswith(_TIFF_HEADS):
        return "TIFF"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head.startswith(_JPEG_2000_HEADS):
        return "JPEG 2000"
    if head.startswith(_JPEG_XL_HEADS):
        return "JPEG XL"
    # Two letters alone would take a text that begins with them.
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if head[4:8] == b"ftyp":
        return _by_brand(head)
    return None


def is_refused_picture(head: bytes) -> bool:
    """Whether a file that is none of our formats is a picture nevertheless."""
    return any(head.startswith(magic) for magic, _ in _REFUSED_PICTURES)


def describe_refused(head: bytes) -> str:
    """What a file that is none of our formats looks like, as a noun phrase for a message."""
    for magic, name in _REFUSED:
        if head.startswith(magic):
            return name
    if head[4:8] == b"ftyp":
        return "a film or a container that is not known"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<svg", b"<?xml")):
        return "an SVG or XML document"
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    if head and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head):
        return "a text file"
    return "no image format that is known"


def _by_brand(head: bytes) -> Format | None:
    major = head[8:12]
    if major == b"crx ":
        return "RAW"
    if major in _AVIF_BRANDS:
        return "AVIF"
    length = min(int.from_bytes(head[:4], "big"), len(head))
    compatible = [head[at : at + 4] for at in range(16, length - 3, 4)]
    if major in _HEIF_BRANDS:
        return "AVIF" if any(brand in _AVIF_BRANDS for brand in compatible) else "HEIF"
    return None
