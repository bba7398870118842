"""Why a photograph stands where it does, in words, beside a named fault or where none is named.

What was measured of it is compared with the set that it is in, and with borders that do not move. Only what
stands out is said, and only of photographs whose score is low; a photograph with a good score may be dark or
soft on purpose. These are facts beside a score, not what the model went by.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from itertools import accumulate
from typing import Final, NamedTuple

from dgqa_infer.results import Row

LOW_SCORE: Final = 50
"""Half of ordinary photographs score lower."""
DARK, BRIGHT = 23.5, 86.5
"""Brightness, in sRGB, of middle grey (18 % of the light) two stops under and over: 4.5 % and 72 %."""
CLIPPED: Final = 0.09
"""Share of clipped pixels that 5 % of ordinary photographs exceed."""
SOFT: Final = {99: 0.39, 95: 0.48, 50: 0.68}
"""Sharpness that is below that of so many per cent of ordinary photographs."""
NOISY: Final = {99: 6.9, 95: 3.1, 50: 0.7}
"""Noise that is above that of so many per cent of ordinary photographs."""
SMALL: Final = 512
"""Short side in pixels that photographs are shrunk to, and not enlarged to, before they are scored."""
NO_FAULT: Final = "no fault found"
NOTHING_STANDS_OUT: Final = "nothing stands out; rated low as a whole"
MOST: Final = 2
"""More are never given."""

_OF_SET = 0.9  # share of the set that something must exceed to be said to stand out in it
_LEAST_SET = 20  # photographs, for such a share to mean something
_SAYS_SOFT = {"soft all over", "out of focus", "motion blur", "smudged by noise reduction"}
_SAYS_NOISY = {"grain", "colour noise", "noise in the bright parts", "stray black and white pixels"}
_SAYS_EXPOSED = {"too dark", "too bright", "clipped highlights or shadows"}
_EXPLAINED, _FAULTY, _SOFT, _NOISY, _EXPOSED, _WARNED = (1 << bit for bit in range(6))
_MOST_16_BIT = 0xFFFF


class Measured(NamedTuple):
    """What reasons are made of, in whole numbers below 65,536, so that many rows take little memory.

    Attributes:
        score: in hundredths.
        sharpness: in ten-thousandths, as the others' units are those of `dgqa_infer.images.attributes`.
        brightness: in hundredths.
        clipped: in ten-thousandths.
        noise: in hundredths.
        short_side: in pixels.
        says: what the row says already, a bit each.
    """

    score: int = 0
    sharpness: int = 0
    brightness: int = 0
    clipped: int = 0
    noise: int = 0
    short_side: int = 0
    says: int = 0


def measured(row: Row) -> Measured:
    """What a row says of its photograph; all zero where it has no score or no attributes.

    Raises:
        KeyError, TypeError, ValueError: it is no row of ours.
    """
    attributes, found = row.get("attributes"), row.get("distortions")
    if "error" in row or attributes is None or found is None:
        return Measured()
    named = {each["name"] for each in found}
    says = _EXPLAINED | _FAULTY * bool(named) | _WARNED * bool(row["warnings"])
    says |= _SOFT * bool(named & _SAYS_SOFT) | _NOISY * bool(named & _SAYS_NOISY)
    says |= _EXPOSED * bool(named & _SAYS_EXPOSED)
    return Measured(
        _steps(row["score"], 100),
        _steps(attributes["sharpness"], 10_000),
        _steps(attributes["brightness"], 100),
        _steps(attributes["clipped"], 10_000),
        _steps(attributes["noise"], 100),
        min(row["width"], row["height"], _MOST_16_BIT),
        says,
    )


class SetCounts:
    """A set's scores, sharpness and noise, counted: exact, and small for any number of photographs."""

    def __init__(self) -> None:
        self._counts = {name: Counter[int]() for name in ("score", "sharpness", "noise")}
        self._below: dict[str, tuple[list[int], list[int]]] = {}

    def add(self, photograph: Measured) -> None:
        """Count a photograph that was explained; others are passed over."""
        if photograph.says & _EXPLAINED:
            self._below.clear()
            for name, counts in self._counts.items():
                counts[getattr(photograph, name)] += 1

    @property
    def photographs(self) -> int:
        """Number of photographs that were counted."""
        return self._counts["score"].total()

    def share_below(self, name: str, step: int) -> float:
        """Share of the photographs that have less of it than a number of steps; 0 without any."""
        if name not in self._below:
            steps = sorted(self._counts[name])
            self._below[name] = steps, [0, *accumulate(self._counts[name][step] for step in steps)]
        steps, below = self._below[name]
        return below[bisect_left(steps, step)] / max(1, below[-1])


def reasons(photograph: Measured, others: SetCounts | None = None) -> list[str]:
    """What stands out of a photograph with a low score and is not named already.

    Args:
        photograph: what was measured of it.
        others: the whole set that it is in; None where it is not known (yet).

    Returns:
        Up to `MOST` phrases; none of a photograph that is not explained or whose score is not low, below
        `LOW_SCORE` or among the lower half of the set; of one with a named fault, one at most.
    """
    says = photograph.says
    in_lower_half = others is not None and others.share_below("score", photograph.score) < 0.5
    if not says & _EXPLAINED or not (photograph.score < 100 * LOW_SCORE or in_lower_half):
        return []
    found: list[str | None] = []
    if not says & _EXPOSED:
        found += [_exposure(photograph), _clipping(photograph)]
    if not says & _SOFT:
        found.append(_softness(photograph, others))
    if not says & _NOISY:
        found.append(_noise(photograph, others))
    if photograph.short_side < SMALL and not says & _FAULTY:
        found.append(f"small: {photograph.short_side} pixels on the short side")
    phrases = [each for each in found if each is not None][: 1 if says & _FAULTY else MOST]
    if not phrases and not says & (_FAULTY | _WARNED) and photograph.score < 100 * LOW_SCORE:
        return [NOTHING_STANDS_OUT]
    return phrases


def _exposure(photograph: Measured) -> str | None:
    brightness = photograph.brightness / 100
    if DARK <= brightness <= BRIGHT:
        return None
    return f"{'dark' if brightness < DARK else 'very bright'}: mean brightness {brightness:.0f} of 100"


def _clipping(photograph: Measured) -> str | None:
    share = photograph.clipped / 10_000
    return None if share <= CLIPPED else f"{share:.0%} of the pixels are clipped".replace("%", " %")


def _softness(photograph: Measured, others: SetCounts | None) -> str | None:
    below = others.share_below("sharpness", photograph.sharpness + 1) if others is not None else 1.0
    passed = [share for share, border in SOFT.items() if photograph.sharpness < 10_000 * border]
    return _beside("softer", passed, 1 - below, others)


def _noise(photograph: Measured, others: SetCounts | None) -> str | None:
    below = others.share_below("noise", photograph.noise) if others is not None else 0.0
    passed = [share for share, border in NOISY.items() if photograph.noise > 100 * border]
    return _beside("noisier", passed, below, others)


def _beside(more: str, passed: list[int], share: float, others: SetCounts | None) -> str | None:
    """How a photograph compares: with its set where it stands out there, else with ordinary photographs.

    Args:
        more: "softer" or "noisier".
        passed: per cents of ordinary photographs that it exceeds, the greatest first.
        share: of its set that it exceeds.
        others: its set.
    """
    if not passed:
        return None
    if others is not None and others.photographs >= _LEAST_SET and share >= _OF_SET:
        return f"{more} than {int(100 * share + 1e-9)} % of these"
    return f"{more} than {passed[0]} % of ordinary photographs" if passed[0] > 50 else None


def _steps(value: float, number: int) -> int:
    """A value in steps of which one has so many; within 16 bits, whatever a file says."""
    return min(max(round(value * number), 0), _MOST_16_BIT)
