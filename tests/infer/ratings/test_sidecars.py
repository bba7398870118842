"""Ratings in sidecars, read back by two other programs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dgqa_infer.errors import OutputError
from dgqa_infer.ratings.sidecars import Naming, Outcome, Sidecar, embedded_rating
from dgqa_infer.ratings.xmp import Xmp, XmpError

EXIFTOOL, EXIV2 = shutil.which("exiftool"), shutil.which("exiv2")
FACTS = {"Score": "61.80", "Model": "tiny@0"}
DARKTABLE = """<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"
    xmlns:darktable="http://darktable.sf.net/"
    xmlns:dc="http://purl.org/dc/elements/1.1/"
   xmp:Label="Green"{rating}
   xmpMM:DerivedFrom="a.jpg"
   darktable:xmp_version="5">
   <!-- from a raw developer -->
   <dc:subject><rdf:Seq><rdf:li>harbour</rdf:li><rdf:li>night</rdf:li></rdf:Seq></dc:subject>
   <darktable:history><rdf:Seq>
     <rdf:li darktable:num="0" darktable:operation="exposure" darktable:params="00000000"/>
   </rdf:Seq></darktable:history>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""
"""In the form that darktable writes: attributes and elements, a rating among the attributes."""


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (40, 30), (90, 90, 90)).save(path)
    return path


def exiftool(path: Path) -> dict[str, object]:
    """What ExifTool reads."""
    if EXIFTOOL is None:
        pytest.skip("exiftool is not installed")
    ran = subprocess.run([EXIFTOOL, "-j", "-G", path], capture_output=True, check=True)
    (found,) = json.loads(ran.stdout)
    return dict(found)


def exiv2(path: Path) -> dict[str, str]:
    """What Exiv2 reads, by its key."""
    if EXIV2 is None:
        pytest.skip("exiv2 is not installed")
    ran = subprocess.run([EXIV2, "-PXkv", path], capture_output=True, text=True, check=True)
    assert "Error" not in ran.stderr
    return dict(line.split(maxsplit=1) for line in ran.stdout.splitlines() if len(line.split()) > 1)


@pytest.mark.parametrize("stars", [-1, 1, 5])
def test_other_programs_read_the_rating(photo: Path, stars: int) -> None:
    before = photo.read_bytes()
    sidecar = Sidecar.of(photo)
    assert sidecar.rate(stars, FACTS) is Outcome.WRITTEN
    assert sidecar.path.name == "a.jpg.xmp"
    assert exiftool(sidecar.path)["XMP:Rating"] == stars
    assert exiv2(sidecar.path)["Xmp.xmp.Rating"] == str(stars)
    assert photo.read_bytes() == before


def test_everything_else_in_a_sidecar_stays(photo: Path) -> None:
    sidecar = Sidecar.of(photo)
    sidecar.path.write_text(DARKTABLE.format(rating=""))
    tool, two = exiftool(sidecar.path), exiv2(sidecar.path)
    assert sidecar.rate(4, FACTS) is Outcome.WRITTEN
    assert "from a raw developer" in sidecar.path.read_text()
    after, after_two = exiftool(sidecar.path), exiv2(sidecar.path)
    files = {name for name in after if name.startswith(("File:", "ExifTool:", "SourceFile"))}
    added = {"XMP:Rating", "XMP:Score", "XMP:Model"}
    assert {name: after[name] for name in tool if name not in files} == {
        name: value for name, value in tool.items() if name not in files
    }
    assert set(after) - set(tool) <= added
    assert {name: after_two[name] for name in two} == two
    assert after_two["Xmp.xmp.Rating"] == "4"


@pytest.mark.parametrize("form", ['\n   xmp:Rating="2"', '\n   xmp:Rating="-1"'])
def test_a_rating_that_a_person_gave_is_never_touched(photo: Path, form: str) -> None:
    sidecar = Sidecar.of(photo)
    sidecar.path.write_text(DARKTABLE.format(rating=form))
    before = sidecar.path.read_bytes()
    assert sidecar.rate(5, FACTS) is Outcome.KEPT
    assert sidecar.path.read_bytes() == before


def test_a_rating_in_an_element_is_a_rating(photo: Path) -> None:
    sidecar = Sidecar.of(photo)
    text = DARKTABLE.format(rating="").replace("<dc:subject>", "<xmp:Rating>3</xmp:Rating><dc:subject>")
    sidecar.path.write_text(text)
    assert sidecar.rate(5, FACTS) is Outcome.KEPT


def test_zero_stars_are_no_rating(photo: Path) -> None:
    sidecar = Sidecar.of(photo)
    sidecar.path.write_text(DARKTABLE.format(rating='\n xmp:Rating="0"'))
    assert sidecar.rate(5, FACTS) is Outcome.WRITTEN
    assert Xmp(sidecar.path.read_bytes()).rating == "5"


def test_our_own_rating_is_renewed_and_one_that_a_person_changed_or_removed_is_not(photo: Path) -> None:
    sidecar = Sidecar.of(photo)
    assert sidecar.rate(3, FACTS) is Outcome.WRITTEN
    assert sidecar.rate(3, FACTS) is Outcome.UNCHANGED
    assert sidecar.rate(4, FACTS) is Outcome.WRITTEN
    ours = sidecar.path.read_text()
    for persons in (ours.replace('xmp:Rating="4"', 'xmp:Rating="1"'), ours.replace('xmp:Rating="4"', "")):
        sidecar.path.write_text(persons)
        assert sidecar.rate(5, FACTS) is Outcome.KEPT
        assert sidecar.path.read_text() == persons


def test_a_rating_that_another_program_changed_is_kept(photo: Path) -> None:
    sidecar = Sidecar.of(photo)
    sidecar.rate(3, FACTS)
    if EXIV2 is None:
        pytest.skip("exiv2 is not installed")
    subprocess.run([EXIV2, "-M", "set Xmp.xmp.Rating 1", sidecar.path], check=True)
    assert sidecar.rate(5, FACTS) is Outcome.KEPT
    assert exiftool(sidecar.path)["XMP:Rating"] == 1


@pytest.mark.parametrize("tag", ["-XMP:Rating=2", "-EXIF:Rating=2"])
def test_a_rating_inside_the_photograph_is_a_persons(photo: Path, tag: str) -> None:
    if EXIFTOOL is None:
        pytest.skip("exiftool is not installed")
    assert not embedded_rating(photo)
    subprocess.run([EXIFTOOL, "-q", "-overwrite_original", tag, photo], check=True)
    assert embedded_rating(photo)
    sidecar = Sidecar.of(photo)
    assert sidecar.rate(5, FACTS) is Outcome.KEPT
    assert not sidecar.path.exists()


XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="%d"/></rdf:RDF>'
    b"</x:xmpmeta>"
)
# With enough detail that what follows the pixels is not among the first million bytes.
DETAILED = Image.effect_noise((1400, 1200), 90).convert("RGB")


def with_metadata(path: Path, stars: int, **options: Any) -> Path:
    """A photograph whose Exif has a rating, 0 being none, with its metadata where Pillow puts it."""
    tags = Image.Exif()
    tags[0x4746] = stars
    DETAILED.save(path, exif=tags.tobytes() if path.suffix == ".avif" else tags, **options)
    return path


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.jpg", {}),
        ("a.png", {"compress_level": 1}),
        ("a.webp", {"quality": 100, "method": 0}),
        ("a.tif", {}),
        ("a.tiff", {"compression": "tiff_lzw"}),
        ("a.avif", {"speed": 10}),
    ],
)
def test_a_rating_in_exif_is_a_persons_in_every_format(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    assert embedded_rating(with_metadata(tmp_path / name, 4, **options))
    assert not embedded_rating(with_metadata(tmp_path / name, 0, **options))


@pytest.mark.parametrize("stars", [0, 5])
def test_so_is_one_in_xmp_behind_the_pixels(tmp_path: Path, stars: int) -> None:
    photo = tmp_path / "a.webp"
    DETAILED.save(photo, quality=100, method=0, xmp=XMP % stars)
    assert photo.read_bytes().index(b"<x:xmpmeta") > 1_000_000
    assert embedded_rating(photo) is bool(stars)


@pytest.mark.timeout(20)
def test_metadata_without_end_takes_no_time_without_end(tmp_path: Path) -> None:
    photo = tmp_path / "a.png"
    photo.write_bytes(
        b"\x89PNG\r\n\x1a\n" + b"<x:xmpmeta " * 1_000_000 + b"\0\0\0\0II*\0\x08\0\0\0\xff\xff" * 100_000
    )
    assert not embedded_rating(photo)


def test_a_sidecar_in_capitals_is_the_photograph_s(photo: Path) -> None:
    # As cameras and Windows name them; a second one would contradict it.
    photo.with_name("a.XMP").write_bytes(XMP % 2)
    sidecar = Sidecar.of(photo)
    assert sidecar.path.name == "a.XMP"
    assert sidecar.rate(5, FACTS) is Outcome.KEPT


def test_metadata_that_is_damaged_says_nothing(photo: Path) -> None:
    data = photo.read_bytes()
    photo.write_bytes(data[:2] + b"\xff\xe1\x00\x0aExif\0\0II*" + b"<x:xmpmeta broken</x:xmpmeta>" + data[2:])
    assert not embedded_rating(photo)


def test_the_sidecar_that_is_there_is_used_under_either_name(photo: Path) -> None:
    assert Sidecar.of(photo, Naming.STEM).path.name == "a.xmp"
    photo.with_name("a.xmp").write_text(DARKTABLE.format(rating=""))
    assert Sidecar.of(photo).path.name == "a.xmp"
    photo.with_name("a.jpg.xmp").write_text(DARKTABLE.format(rating=""))
    assert Sidecar.of(photo).path.name == "a.jpg.xmp"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no XML",
        b"<x/>",
        b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        DARKTABLE.format(rating="")[:300].encode(),
    ],
)
def test_a_sidecar_that_is_not_xmp_is_left_as_it_is(photo: Path, data: bytes) -> None:
    sidecar = Sidecar.of(photo)
    sidecar.path.write_bytes(data)
    with pytest.raises(XmpError):
        Xmp(data)
    with pytest.raises(OutputError, match=r"a\.jpg\.xmp is left as it is"):
        sidecar.rate(5, FACTS)
    assert sidecar.path.read_bytes() == data


def test_a_dry_run_writes_nothing(photo: Path) -> None:
    sidecar = Sidecar.of(photo)
    assert sidecar.rate(5, FACTS, dry_run=True) is Outcome.WRITTEN
    assert not sidecar.path.exists()


@pytest.mark.timeout(30)
def test_a_pipe_in_the_place_of_a_sidecar_is_not_waited_for(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    Image.new("RGB", (8, 8)).save(photo)
    os.mkfifo(tmp_path / "a.jpg.xmp")
    with pytest.raises(OutputError, match="is left as it is: it is not a file"):
        Sidecar.of(photo).rate(3, FACTS)
