"""What a page says when all rows are there: pictures, what scores mean, and what the photographs resemble."""

from __future__ import annotations

from array import array
from typing import Any

from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.bundle.preprocessing import NVJPEG
from dgqa_infer.domains.classes import WORDS, is_kadid
from dgqa_infer.domains.drift import drift
from dgqa_infer.domains.profile import DomainProfile
from dgqa_infer.errors import ModelError
from dgqa_infer.outputs.html.digest import Digest
from dgqa_infer.outputs.html.pictures import Picture, Picturing, Progress, pictures_of
from dgqa_infer.outputs.reasons import Measured, SetCounts, reasons
from dgqa_infer.statistics import ranked

_CLASSES_SHOWN = 12


def ending(
    digest: Digest, name: str, picturing: Picturing, progress: Progress
) -> tuple[dict[str, Any], dict[int, Picture], list[str]]:
    """What the page shows beside the numbers.

    Args:
        digest: of all rows.
        name: of the bundle that scored, or its folder.
        picturing: which pictures are wanted.
        progress: told how many are drawn and how many there will be.

    Returns:
        Fields of the page's data; row number → its pictures; and what a person should know of the report, a
        sentence each.

    Raises:
        ModelError: the bundle is damaged.
    """
    notes: list[str] = []
    if not digest.total:
        nothing: dict[str, Any] = {"shown": [], "worst": [], "best": [], "meaning": []}
        return nothing | {"profile": None, "drift": None}, {}, notes
    bundle = Bundle.load(name)
    model = ranked(digest.models, 1)[0][0]
    if bundle.has_int8 and model.startswith(f"{bundle.in_int8().card.name}@"):
        bundle = bundle.in_int8()
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
    large = {each.place for each in shown}
    others = [each for each in digest.from_the_worst() if each.place not in large]
    pictures, told = pictures_of(shown, others, bundle if own else None, picturing, progress)
    if not digest.explained:
        notes.append("the rows do not say what is wrong: score with --explain")
    profile, drifted = _profile(digest.profile, bundle if own else None)
    worst = len(digest.worst())
    fields = {
        "shown": [
            {"place": each.place, "row": each.row, "why": reasons(each.measured, digest.measured)}
            for each in shown
        ],
        "worst": list(range(worst)),
        "best": list(range(worst, len(shown))),
        "profile": profile,
        "drift": drifted,
        "meaning": _meaning(bundle) if own else [],
    }
    return fields, pictures, notes + told


def why(steps: array[int], others: SetCounts) -> dict[str, Any]:
    """Why the listed photographs stand where they do.

    Args:
        steps: `Measured` of each row, one after the other.
        others: the whole set.

    Returns:
        `phrases`, and `why`: the numbers of each row's phrases.
    """
    phrases: dict[str, int] = {}
    said = []
    width = len(Measured._fields)
    for at in range(0, len(steps), width):
        found = reasons(Measured(*steps[at : at + width]), others)
        said.append([phrases.setdefault(each, len(phrases)) for each in found])
    return {"phrases": list(phrases), "why": said}


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
