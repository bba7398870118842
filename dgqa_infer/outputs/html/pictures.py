"""The pictures of a report: large ones of the worst and the best, with maps, and small ones of the rest.

Photographs are decoded by processes of their own, as for scoring, and only files on this machine are read. A
picture is shown only if its file has the size that was scored, a map only if its mean is the row's quality.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.bundle.card import Calibration
from dgqa_infer.errors import BackendError, ModelError
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.inputs.local import local_file
from dgqa_infer.outputs.html.digest import Shown
from dgqa_infer.outputs.html.thumbnails import data_url, thumbnails
from dgqa_infer.outputs.map_picture import tint
from dgqa_infer.pipeline.pipeline import Pipeline
from dgqa_infer.quality_map import QualityMap
from dgqa_infer.scorer import Scorer

WORST: Final = 24
BYTES: Final = 4_000_000
"""Of all pictures in a page: with 5,000 rows it stays below 5 MB."""
SIDE: Final = 640
"""Longest side of a large picture, in pixels."""
SIDES: Final = ((320, 18_000), (224, 10_000), (160, 5_500), (96, 2_600))
"""Longest side of a small picture, and how many bytes one usually takes in the page."""

_FEW = 16  # that are tried however little room there is
_MAP_SIDE = 160
_BATCH = 4
_QUALITY, _SMALL_QUALITY = 78, 70
_SAME_RAW = 0.02  # another device or precision; another photograph is farther off

Picture = dict[str, str]
"""Addresses that hold pictures: `photo`, a large one, perhaps with its `map`; or `thumb`, a small one."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Picturing:
    """Which pictures are in a page.

    Attributes:
        worst: how many of the worst photographs are shown large; 0: neither they nor the best.
        bytes: of all pictures in the page; 0 for none.
        photos: folder that the rows' paths start in, and outside of which nothing is read; None for the
            current folder, and for any path.
    """

    worst: int = WORST
    bytes: int = BYTES
    photos: Path | None = None


def pictures_of(
    large: Sequence[Shown],
    others: Sequence[Shown],
    bundle: Bundle | None,
    picturing: Picturing,
    progress: Progress,
) -> tuple[dict[int, Picture], list[str]]:
    """Draw pictures until the space for them is used up.

    Args:
        large: photographs that are shown large.
        others: photographs that are shown small, in the order in which space is given to them.
        bundle: that scored, for the maps; None: there are none.
        picturing: what is wanted.
        progress: told how many are drawn and how many there will be.

    Returns:
        Row number → its pictures; and what a person should know of them, a sentence each.
    """
    if not picturing.bytes:
        return {}, []
    notes: list[str] = []
    files = {
        each.place: file
        for each in (*large, *others)
        if (file := local_file(each.path, picturing.photos)) is not None
    }
    wanted = len(files)
    found: dict[int, Picture] = {}
    room = picturing.bytes
    for place, picture in _large([each for each in large if each.place in files], files, bundle, notes):
        found[place] = picture
        room -= sum(map(len, picture.values()))
        progress(len(found), wanted)
    small = [each for each in others if each.place in files]
    with closing(_small(small, files, room)) as drawn:
        for place, picture in drawn:
            room -= len(picture["thumb"])
            if room < 0:
                break
            found[place] = picture
            progress(len(found), wanted)
    return found, notes + _notes(large, others, found, wanted, picturing)


def _notes(
    large: Sequence[Shown],
    others: Sequence[Shown],
    found: dict[int, Picture],
    there: int,
    picturing: Picturing,
) -> list[str]:
    notes = []
    if (lacking := sum(each.place not in found for each in large)) and there < len(large) + len(others):
        where = "as the rows name them" if picturing.photos is None else f"in {picturing.photos}"
        notes.append(
            f"{lacking} of the {len(large)} photographs to be shown have no picture: there is no such file, "
            f"{where}; --photos names the folder that their paths start in"
        )
    elif lacking:
        notes.append(f"{lacking} of the {len(large)} photographs to be shown have no picture: they changed")
    return notes


def _large(
    shown: Sequence[Shown], files: dict[int, str], bundle: Bundle | None, notes: list[str]
) -> Iterator[tuple[int, Picture]]:
    """Pictures with maps where the bundle works here, else without."""
    if not shown:
        return
    rows = {each.place: each for each in shown}
    paths = {place: files[place] for place in rows}
    scorer = None if bundle is None else _map_scorer(bundle, notes)
    if bundle is None or scorer is None:
        for place, pixels in thumbnails(paths, SIDE, wanted=lambda key, size: rows[key].size in (None, size)):
            yield place, _picture(pixels)
        return
    with scorer, Pipeline(scorer, preview=SIDE) as pipeline:
        for place, outcome in zip(paths, pipeline.run(list(paths.values())), strict=True):
            row = rows[place]
            if outcome.preview is None or row.size not in (None, outcome.size):
                continue
            picture = _picture(outcome.preview)
            quality = getattr(outcome.result, "quality_map", None)
            if quality is not None and abs(quality.raw - row.raw) <= _SAME_RAW:
                picture["map"] = data_url(_tinted(quality, outcome.preview, bundle.card.calibration), "WEBP")
            yield place, picture


def _small(
    shown: Sequence[Shown], files: dict[int, str], room: int
) -> Generator[tuple[int, Picture], None, None]:
    """As large as there is room for; not more photographs are decoded than will be shown."""
    if not shown or room <= 0:
        return
    side, bytes = next((each for each in SIDES if each[1] * len(shown) <= room), SIDES[-1])
    rows = {each.place: each for each in shown[: max(_FEW, 2 * room // bytes)]}
    paths = {place: files[place] for place in rows}
    for place, pixels in thumbnails(paths, side, wanted=lambda key, size: rows[key].size in (None, size)):
        yield place, {"thumb": data_url(Image.fromarray(pixels), "WEBP", _SMALL_QUALITY)}


def _picture(pixels: Pixels) -> Picture:
    return {"photo": data_url(Image.fromarray(pixels), "WEBP", _QUALITY)}


def _map_scorer(bundle: Bundle, notes: list[str]) -> Scorer | None:
    """What says where quality comes from; None where the bundle does not work here."""
    try:
        return Scorer(
            bundle,
            device="cpu",
            # The map of a row that int8 gave is that of the int8 graph, and so of fp32.
            precision="fp32" if bundle.has_int8 else "auto",
            maps=True,
            batch_size=_BATCH,
        )
    except (BackendError, ModelError) as error:
        notes.append(f"no quality maps: {error}")
        return None


def _tinted(quality: QualityMap, photograph: Pixels, scale: Calibration) -> Image.Image:
    """The map in the photograph's shape, small: it is smooth, and the page stretches it."""
    height, width = photograph.shape[:2]
    factor = min(1.0, _MAP_SIDE / max(height, width))
    size = max(1, round(height * factor)), max(1, round(width * factor))
    return tint(quality, *size, scale)
