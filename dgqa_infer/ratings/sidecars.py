"""Where a photograph's rating is kept: a sidecar beside it; the photograph itself is only ever read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from PIL import Image

from dgqa_infer.atomic import write_whole
from dgqa_infer.errors import OutputError
from dgqa_infer.ratings.xmp import Xmp, XmpError

_MAX_SIDECAR = 64_000_000  # bytes; a raw developer's history may be long
_HEAD = 1_000_000  # bytes of a photograph in which its own metadata begins
_PACKET = re.compile(rb"<x:xmpmeta\b.*?</x:xmpmeta>", re.DOTALL)
_EXIF_RATING: Final = 0x4746  # a tag of Microsoft's that cameras write too


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
        full, stem = photo.with_name(f"{photo.name}.xmp"), photo.with_suffix(".xmp")
        first, second = (full, stem) if naming is Naming.FULL else (stem, full)
        return cls(photo, second if second.exists() and not first.exists() else first)

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
            head = file.read(_HEAD)
    except OSError:
        return False
    for packet in _PACKET.findall(head):
        try:
            if Xmp(packet).rating is not None:
                return True
        except XmpError:
            continue
    return _exif_rating(head)


def _exif_rating(head: bytes) -> bool:
    start = head.find(b"Exif\0\0")
    if start < 0:
        return False
    exif = Image.Exif()
    try:
        exif.load(head[start:])
        return bool(exif.get(_EXIF_RATING))
    except Exception:  # damaged metadata, of which Pillow says anything
        return False
