from __future__ import annotations

import io

import pytest
from PIL import Image

from dgqa_infer.inputs.formats import HEAD_BYTES, describe_refused, sniff


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF"])
def test_what_pillow_writes_is_recognised(kind: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, kind)
    assert sniff(file.getvalue()[:HEAD_BYTES]) == kind


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\0\0\0\x1cftypheic\0\0\0\0mif1heic", "HEIF"),
        (b"\0\0\0\x20ftypmif1\0\0\0\0mif1avif", "AVIF"),
        (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", "RAW"),
        (b"II*\0\x10\0\0\0CR\x02\0", "RAW"),
        (b"FUJIFILMCCD-RAW 0201", "RAW"),
        (b"II+\0\x08\0\0\0", "TIFF"),
    ],
)
def test_brands_and_raw_files_are_told_apart(head: bytes, kind: str) -> None:
    assert sniff(head) == kind


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"%PDF-1.7", "a PDF document"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "a PostScript document"),
        (b"8BPS\0\x01", "a Photoshop document"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", "an SVG or XML document"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><svg>", "an SVG or XML document"),
        (b"\xd7\xcd\xc6\x9a\0\0", "a Windows metafile"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "a film or a container that is not known"),
        (b"BMW drivers are no bitmaps", "a text file"),
        (b"\x01\x02\x03", "no image format that is known"),
    ],
)
def test_what_is_refused_is_called_by_its_name(head: bytes, words: str) -> None:
    assert sniff(head) is None
    assert describe_refused(head) == words


def test_nothing_is_no_format() -> None:
    assert sniff(b"") is None
