"""The table of levels: docs/distortions.md, "Table of levels", from two copies of the original dispatcher."""

from __future__ import annotations

import pytest

from dgqa_infer.errors import UsageError
from dgqa_training.distortions import DISTORTIONS, LEVELS, find

TABLE = {
    1: ("Gaussian blur", (0.1, 0.5, 1, 2, 5)),
    2: ("Lens blur", (1, 2, 4, 6, 8)),
    3: ("Motion blur", (1, 2, 4, 6, 10)),
    4: ("Color diffusion", (1, 3, 6, 8, 12)),
    5: ("Color shift", (1, 3, 6, 8, 12)),
    6: ("Color quantization", (64, 48, 32, 16, 8)),
    7: ("Color saturation 1", (0.4, 0.2, 0.1, 0, -0.4)),
    8: ("Color saturation 2", (1, 2, 3, 6, 9)),
    9: ("JPEG2000", (16, 32, 45, 120, 400)),
    10: ("JPEG", (43, 36, 24, 7, 4)),
    11: ("White noise", (0.001, 0.002, 0.003, 0.005, 0.01)),
    12: ("White noise in color component", (0.0001, 0.0005, 0.001, 0.002, 0.003)),
    13: ("Impulse noise", (0.001, 0.005, 0.01, 0.02, 0.03)),
    14: ("Multiplicative noise", (0.001, 0.005, 0.01, 0.02, 0.05)),
    15: ("Denoise", (0.01, 0.03, 0.05, 0.1, 0.15)),
    16: ("Brighten", (0.1, 0.2, 0.4, 0.7, 1.1)),
    17: ("Darken", (0.05, 0.1, 0.2, 0.4, 0.8)),
    18: ("Mean shift", (0.15, 0.08, 0, -0.08, -0.15)),
    19: ("Jitter", (0.05, 0.1, 0.2, 0.5, 1)),
    20: ("Non-eccentricity patch", (20, 40, 60, 80, 100)),
    21: ("Pixelate", (0.01, 0.05, 0.1, 0.2, 0.5)),
    22: ("Quantization", (20, 16, 13, 10, 7)),
    23: ("Color block", (2, 4, 6, 8, 10)),
    24: ("High sharpen", (1, 2, 3, 6, 12)),
    25: ("Contrast change", (0.3, 0.15, 0, -0.4, -0.6)),
}
GROUPS = {
    "blur": range(1, 4),
    "colour": range(4, 9),
    "compression": range(9, 11),
    "noise": range(11, 16),
    "brightness": range(16, 19),
    "spatial": range(19, 24),
    "sharpness": range(24, 26),
}


def test_all_types_have_the_original_names_and_levels():
    assert {number: (kind.name, kind.levels) for number, kind in DISTORTIONS.items()} == TABLE
    assert list(DISTORTIONS) == list(range(1, 26))
    assert all(kind.number == number for number, kind in DISTORTIONS.items())


def test_groups_are_the_authors():
    assert {n: kind.group for n, kind in DISTORTIONS.items()} == {n: g for g, r in GROUPS.items() for n in r}


def test_only_denoise_is_approximate():
    assert [number for number, kind in DISTORTIONS.items() if kind.approximate] == [15]


@pytest.mark.parametrize("which", [10, "10", "jpeg", "JPEG", " Jpeg "])
def test_types_are_found_by_number_slug_and_name(which):
    assert find(which).number == 10


def test_slugs_and_plain_words_are_unique():
    for attribute in ("slug", "name", "plain"):
        assert len({getattr(kind, attribute) for kind in DISTORTIONS.values()}) == 25


@pytest.mark.parametrize("which", [0, 26, "-1", "blurry", ""])
def test_unknown_types_are_refused_by_what_was_asked_for(which):
    with pytest.raises(UsageError, match="there is no distortion type"):
        find(which)


@pytest.mark.parametrize("level", [0, 6, -1])
def test_unknown_levels_are_refused(level):
    with pytest.raises(UsageError, match=f"level {level} does not exist"):
        find(1).value(level)
    assert LEVELS == (1, 2, 3, 4, 5)
