"""The pictures of a report: the worst and the best photographs, with their quality maps.

Photographs are decoded by processes of their own, as for scoring, and only files on this machine are read. A
picture is shown only if its file has the size that was scored, a map only if its mean is the row's quality.
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

from PIL import Image

from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.bundle.preprocessing import NVJPEG
from dgqa_infer.domains.classes import WORDS, is_kadid
from dgqa_infer.domains.drift import drift
from dgqa_infer.domains.profile import DomainProfile
from dgqa_infer.errors import BackendError, ModelError
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.inputs.local import local_file
from dgqa_infer.outputs.html.digest import Digest, Shown
from dgqa_infer.outputs.html.thumbnails import data_url
from dgqa_infer.outputs.map_picture import tint
from dgqa_infer.pipeline.crops import CropsPredictor
from dgqa_infer.pipeline.pipeline import Pipeline
from dgqa_infer.quality_map import QualityMap
from dgqa_infer.scorer import Scorer

SIDE: Final = 640
"""Longest side of a picture, in pixels."""

_MAP_SIDE = 160
_BATCH = 4
_QUALITY = 82
_SAME_RAW = 0.05  # on the label scale: another device or precision; another photograph is farther off
_CLASSES_SHOWN = 12


def illustrate(digest: Digest, name: str, photos: Path | None) -> tuple[dict[str, Any], list[str]]:
    """What the page shows beside the numbers: pictures, and the profile beside the model's target.

    Args:
        digest: of all rows.
        name: of the bundle that scored, or its folder.
        photos: as `HtmlSink` takes it.

    Returns:
        Fields of the page's data; and what a person should know of the report, a sentence each.

    Raises:
        ModelError: the bundle is damaged.
    """
    notes: list[str] = []
    if not digest.total:
        return {"shown": [], "worst": [], "best": [], "profile": None, "drift": None, "meaning": []}, notes
    bundle = Bundle.load(name)
    model = digest.models.most_common(1)[0][0]
    if model.endswith("+scaled"):
        bundle = bundle.with_scaled_decoding()
    # Decoded on a GPU, a photograph's map is the same but for what the eye does not see.
    own = model.removesuffix(f"+{NVJPEG}") == bundle.model_id
    if not own:
        notes.append(
            f"no quality maps: the rows are of {model}, not of {bundle.model_id}; "
            "name their bundle with --model"
        )
    shown = digest.worst() + digest.best()
    pictures = _pictures(shown, bundle if own else None, photos, notes)
    profile, drifted = _profile(digest.profile, bundle if own else None)
    worst = len(digest.worst())
    fields = {
        "shown": [{"place": each.place, "row": each.row} | pictures.get(each.place, {}) for each in shown],
        "worst": list(range(worst)),
        "best": list(range(worst, len(shown))),
        "profile": profile,
        "drift": drifted,
        "meaning": _meaning(bundle) if own else [],
    }
    return fields, notes


def _meaning(bundle: Bundle) -> list[dict[str, Any]]:
    """What some scores look like, and the share of real photographs below each, as the card says."""
    measured = next((figure for figure in bundle.card.figures if figure.get("kind") == "anchors"), None)
    if measured is None:
        return []
    try:
        return [
            {
                "score": int(anchor["score"]),
                "like": " or ".join(str(each["what"]) for each in anchor["looks_like"]),
                "below": float(anchor["share_of_photographs_below"]),
                "photographs": int(measured["photographs"]),
            }
            for anchor in measured["anchors"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{bundle.path}: the card's anchors are not as they should be: {error!r}") from error


def _profile(here: DomainProfile, bundle: Bundle | None) -> tuple[Any, Any]:
    """The classes' shares of the photographs, the greatest first, and how far they are from the target's."""
    if not here.photos:
        return None, None
    there = None
    if bundle is not None and bundle.card.domains is not None and is_kadid(bundle.card.domains):
        there = DomainProfile.from_card(bundle.card.domains.profile)
    own = here.votes / here.photos
    other = None if there is None else there.votes / there.photos
    greatest = own if other is None else [max(pair) for pair in zip(own, other, strict=True)]
    order = sorted(range(len(own)), key=lambda number: -greatest[number])[:_CLASSES_SHOWN]
    words = list(WORDS.values())
    profile = [
        {
            "name": words[number],
            "here": round(float(own[number]), 4),
            "there": None if other is None else round(float(other[number]), 4),
        }
        for number in order
        if greatest[number] > 0
    ]
    if there is None or bundle is None:
        return profile, None
    found = drift(here, there)
    sentence = found.sentence(bundle.card.name).replace("`", "")
    return profile, {"sentence": sentence[0].upper() + sentence[1:] + ".", "far": found.far}


def _pictures(
    shown: list[Shown], bundle: Bundle | None, root: Path | None, notes: list[str]
) -> dict[int, dict[str, str]]:
    """Row number → what the page needs to show the photograph, where it is still there."""
    found = {each.place: each for each in shown}
    files = {place: local_file(each.path, root) for place, each in found.items()}
    there = {place: file for place, file in files.items() if file is not None}
    pictures: dict[int, dict[str, str]] = {}
    if there:
        some = bundle or Bundle.load("dgqa-lite0")
        scorer = None if bundle is None else _map_scorer(bundle, notes)
        crops = CropsPredictor(some.card.preprocessing, some.model_id, batch_size=_BATCH)
        with (
            scorer or nullcontext(),
            Pipeline[Any](scorer or crops, workers=1, preview=SIDE) as pipeline,
        ):
            for place, outcome in zip(there, pipeline.run(list(there.values())), strict=True):
                row = found[place]
                if outcome.preview is None or row.size not in (None, outcome.size):
                    continue
                pictures[place] = {"photo": data_url(Image.fromarray(outcome.preview), "JPEG", _QUALITY)}
                quality = getattr(outcome.result, "quality_map", None)
                if quality is not None and abs(quality.raw - row.raw) <= _SAME_RAW:
                    small = _tinted(quality, outcome.preview, some.card.raw_range)
                    pictures[place]["map"] = data_url(small, "PNG")
    if missing := len(shown) - len(pictures):
        where = "as the rows name them" if root is None else f"in {root}"
        notes.append(
            f"{missing} of the {len(shown)} photographs to be shown have no picture: there is no such file, "
            f"{where}; --photos names the folder that their paths start in"
        )
    return pictures


def _map_scorer(bundle: Bundle, notes: list[str]) -> Scorer | None:
    """What says where quality comes from; None where the bundle does not work here."""
    try:
        return Scorer(bundle, device="cpu", maps=True, batch_size=_BATCH)
    except (BackendError, ModelError) as error:
        notes.append(f"no quality maps: {error}")
        return None


def _tinted(quality: QualityMap, photograph: Pixels, raw_range: tuple[float, float]) -> Image.Image:
    """The map in the photograph's shape, small: it is smooth, and the page stretches it."""
    height, width = photograph.shape[:2]
    scale = min(1.0, _MAP_SIDE / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    return tint(quality, *size, raw_range)
