"""Where a photograph's rating is kept: a sidecar beside it; the photograph itself is only ever read."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Final

from dgqa_infer.atomic import write_whole
from dgqa_infer.errors import OutputError
from dgqa_infer.inputs.formats import EXTENSIONS, HEAD_BYTES, sniff
from dgqa_infer.ratings.xmp import Xmp, XmpError

_MAX_SIDECAR = 64_000_000  # bytes; a raw developer's history may be long
_HEAD = 1_000_000  # bytes in which the metadata of JPEG and raw files begins
_MAX_PHOTO = 200_000_000  # bytes of the others, which may have it anywhere
_METADATA_FIRST: Final = ("JPEG", "RAW")
_PACKET, _PACKET_END = b"<x:xmpmeta", b"</x:xmpmeta>"
# What is before Exif: nothing in TIFF, its name in JPEG, PNG and WebP, four zeros in AVIF and JPEG XL.
_EXIF = re.compile(rb"(?:\A|Exif\0\0|eXIf|EXIF.{4}|\0{4})(II\*\0|MM\0\*)", re.DOTALL)
_EXIF_RATING: Final = 0x4746  # a tag of Microsoft's that cameras write too
_MOST = 256  # places that look like Exif, and entries of its directory


class Naming(StrEnum):
    """What a new sidecar is called."""

    FULL = "full"
    STEM = "stem"


class Outcome(StrEnum):
    """What became of one photograph's rating."""

    WRITTEN = "written"
    UNCHANGED = "unchanged"
    KEPT = "kept"
    """A person's rating is there."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The sidecar of a photograph, there or not."""

    photo: Path
    path: Path

    @classmethod
    def of(cls, photo: Path, naming: Naming = Naming.FULL) -> Sidecar:
        """The sidecar that is there, under either name; else the one to be made.

        Args:
            photo: the file.
            naming: `IMG.jpg.xmp` (darktable, digiKam), or `IMG.xmp` (Adobe's programs).
        """
        names = [photo.name, photo.stem] if naming is Naming.FULL else [photo.stem, photo.name]
        paths = [photo.with_name(name + ending) for name in names for ending in (".xmp", ".XMP")]
        return cls(photo, next((path for path in paths if path.exists()), paths[0]))

    def rate(self, stars: int, facts: dict[str, str], *, dry_run: bool = False) -> Outcome:
        """Put a rating in, unless a person has rated the photograph, here or in its own metadata.

        Args:
            stars: 1–5, or −1.
            facts: as `Xmp.rate` takes them.
            dry_run: say what would be done, and write nothing.

        Raises:
            OutputError: the sidecar cannot be read, is not XMP, or cannot be written.
        """
        try:
            document = Xmp(self._read()) if self.path.exists() else Xmp()
        except XmpError as error:
            raise OutputError(f"{self.path} is left as it is: {error}") from error
        if document.is_a_persons or (document.rating is None and embedded_rating(self.photo)):
            return Outcome.KEPT
        if not document.rate(stars, facts):
            return Outcome.UNCHANGED
        if not dry_run:
            write_whole(self.path, document.data(), overwrite=True)
        return Outcome.WRITTEN

    def _read(self) -> bytes:
        if not self.path.is_file():
            raise OutputError(f"{self.path} is left as it is: it is not a file")
        try:
            with self.path.open("rb") as file:
                data = file.read(_MAX_SIDECAR + 1)
        except OSError as error:
            raise OutputError(f"{self.path} cannot be read: {error.strerror}") from error
        if len(data) > _MAX_SIDECAR:
            raise OutputError(f"{self.path} is left as it is: it has more than {_MAX_SIDECAR:,} bytes")
        return data


def embedded_rating(photo: Path) -> bool:
    """Whether the photograph's own metadata, XMP or Exif, says a rating."""
    try:
        with photo.open("rb") as file:
            data = file.read(_HEAD)
            if (
                sniff(data[:HEAD_BYTES]) not in _METADATA_FIRST
                and EXTENSIONS.get(photo.suffix.lower()) != "RAW"
            ):
                data += file.read(_MAX_PHOTO)
    except OSError:
        return False
    return _xmp_rating(data) or _exif_rating(data)


def _xmp_rating(data: bytes) -> bool:
    end = 0
    while (start := data.find(_PACKET, end)) >= 0 and (end := data.find(_PACKET_END, start)) >= 0:
        end += len(_PACKET_END)
        try:
            if Xmp(data[start:end]).rating is not None:
                return True
        except XmpError:
            continue
    return False


def _exif_rating(data: bytes) -> bool:
    """Whether one of the first directories of Exif says a rating. Exif is a TIFF file within the file."""
    for found in islice(_EXIF.finditer(data), _MOST):
        order = "<" if found[1].startswith(b"I") else ">"
        start = found.start(1)
        try:
            at = start + struct.unpack_from(f"{order}I", data, start + 4)[0]
            (count,) = struct.unpack_from(f"{order}H", data, at)
            for entry in range(at + 2, at + 2 + 12 * min(count, _MOST), 12):
                tag, rating = struct.unpack_from(f"{order}H6xH", data, entry)
                if tag == _EXIF_RATING and rating:
                    return True
        except struct.error:
            continue
    return False
