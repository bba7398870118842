"""Compositions of one to three distortions, at two strengths of which one is surely worse than the other.

The first distortion comes at a mild and at a strong level; further ones, the same for both, come on top.
What is worse within a type is the word of KADID-10k's raters: levels are taken only where their mean labels
are apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from dgqa_training.distortions import DISTORTIONS, LEVELS, ByteImage, from_bytes, to_bytes
from dgqa_training.labels.labels import PRISTINE_LABEL, kadid_mean
from dgqa_training.synthesis.nuisances import IDENTITIES

GAP: Final = 0.5
"""How far apart labels are, 0–10, where one is surely better."""

MODERATE: Final = 5.0
"""Least label of what comes on top: it must not hide what is below."""

MENDING: Final = frozenset({7, 8, 15, 16, 17, 18, 24, 25})
"""Types that can make an ordinary photograph better: it may be dull, noisy, dark, bright, soft or flat."""

_ONE_WAY = (LEVELS,)
_BOTH_WAYS: Final = {18: ((3, 2, 1), (3, 4, 5)), 25: ((3, 2, 1), (4, 5))}
"""Types whose levels go two ways, such as brighter and darker: each way, from the mildest on."""


@dataclass(frozen=True, slots=True)
class Composition:
    """What is done to a photograph, twice.

    Attributes:
        type: 1–25, of the distortion that comes in two strengths.
        mild: its level, 1–5.
        strong: another level, of which raters say that it is worse.
        on_top: (type, level) of further distortions, the same for both.
    """

    type: int
    mild: int
    strong: int
    on_top: tuple[tuple[int, int], ...] = ()

    @property
    def types(self) -> frozenset[int]:
        """All types that are in it."""
        return frozenset({self.type, *(kind for kind, _ in self.on_top)})

    def labels(self) -> tuple[float, float]:
        """KADID's mean labels of mild and strong, 0–10; NaN where nobody rated such compositions."""
        if self.on_top:
            return math.nan, math.nan
        mild, strong = (float(kadid_mean()[self.type - 1, level - 1]) for level in (self.mild, self.strong))
        return mild, strong


@lru_cache
def steps(type_number: int) -> tuple[tuple[int, int], ...]:
    """Pairs of levels (mild, strong) of a type, the second surely worse, both surely worse than nothing.

    Args:
        type_number: 1–25.
    """
    labels = kadid_mean()[type_number - 1]
    found = []
    for way in _BOTH_WAYS.get(type_number, _ONE_WAY):
        for place, mild in enumerate(way):
            worse = [strong for strong in way[place + 1 :] if labels[mild - 1] - labels[strong - 1] >= GAP]
            if (type_number, mild) not in IDENTITIES and PRISTINE_LABEL - labels[mild - 1] >= GAP:
                found += [(mild, strong) for strong in worse]
    return tuple(found)


def draw(generator: np.random.Generator, *, pristine: bool) -> Composition:
    """Draw a composition of one, two or three distortions, each equally often, of different groups.

    Args:
        generator: the source of all randomness.
        pristine: whether the photograph has no faults; one that may have some is not mended.
    """
    allowed = [kind for kind in DISTORTIONS if pristine or kind not in MENDING]
    kind = int(generator.choice([each for each in allowed if steps(each)]))
    mild, strong = (int(level) for level in generator.choice(steps(kind)))
    on_top: list[tuple[int, int]] = []
    for _ in range(int(generator.integers(3))):
        used = {DISTORTIONS[each].group for each in (kind, *(above for above, _ in on_top))}
        cases = [
            each for each in _moderate() if each[0] in allowed and DISTORTIONS[each[0]].group not in used
        ]
        above, level = generator.choice(cases)
        on_top.append((int(above), int(level)))
    return Composition(kind, mild, strong, tuple(on_top))


@lru_cache
def _moderate() -> tuple[tuple[int, int], ...]:
    """Types and levels that may come on top; raters thought some that change nothing a fault."""
    labels = kadid_mean()
    return tuple(
        (kind, level)
        for kind in DISTORTIONS
        for level in LEVELS
        if MODERATE <= labels[kind - 1, level - 1] <= PRISTINE_LABEL - GAP and (kind, level) not in IDENTITIES
    )


def degraded(image: ByteImage, composition: Composition, seed: int) -> tuple[ByteImage, ByteImage]:
    """An image as a composition leaves it, mild and strong.

    KADIS's stretches of the contrast before and after are those of a whole photograph; of a part of one they
    would raise the contrast. So values are held to 0–1 instead.

    Args:
        image: uint8 [h, w, 3], not modified.
        composition: what is done.
        seed: of all randomness; both are drawn alike, so that they differ in strength alone.

    Returns:
        uint8 [h, w, 3], twice.
    """
    mild, strong = (
        _applied(image, ((composition.type, level), *composition.on_top), seed)
        for level in (composition.mild, composition.strong)
    )
    return mild, strong


def _applied(image: ByteImage, distortions: tuple[tuple[int, int], ...], seed: int) -> ByteImage:
    values = from_bytes(image)
    for place, (number, level) in enumerate(distortions):
        kind, generator = DISTORTIONS[number], np.random.default_rng([seed, place])
        values = np.clip(kind.function(values, kind.value(level), generator), np.float32(0), np.float32(1))
    return to_bytes(values)
