"""Are our images as bad, in the right order, as KADID's raters found KADID's?

For each type: the order, over its levels, of the mean full-reference quality of our images against KADID's
mean DMOS (labels/kadid10k.csv). Two Kodak photographs, 256×256 pixels of each, one busy, one calm.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from dgqa_training.distortions import DISTORTIONS, LEVELS
from dgqa_training.labels.full_reference import quality
from dgqa_training.labels.kadid_scores import read
from dgqa_training.synthesis import synthesize

CONTENTS = ("kodak_kodim05.webp", "kodak_kodim23.webp")

# Levels whose mean DMOS (1–5) are nearer than this were much alike to raters.
ALIKE = 0.35

# The types whose rank correlation may fall short of 1, and why that is no fault of the images.
EXPLAINED = {
    5: "raters gave levels 3 to 5 the scores 1.92, 1.85, 1.86; the direction of the shift, drawn at random"
    " for each image, matters more",
    21: "nearest neighbours at scales 0.78, 0.70 and 0.57 move 65, 30 and 53 % of the columns by one pixel; a"
    " metric counts that, raters do not see it: they gave levels 2 to 4 the scores 3.10, 2.90, 2.79",
    25: "raters gave the strongest contrast 3.42 and the weakest 3.32: which is worse depends on the photo",
}


@pytest.fixture(scope="module")
def severity(shared_data):
    qualities = np.zeros((25, 5))
    for content in CONTENTS:
        photo = np.asarray(Image.open(shared_data / "pristine" / content).convert("RGB"))[100:356, 100:356]
        for number in DISTORTIONS:
            for level in LEVELS:
                made = synthesize(photo, content, number, level, seed=0)
                qualities[number - 1, level - 1] += quality(photo, made) / len(CONTENTS)
    return qualities, read(shared_data / "labels" / "kadid10k.csv").mean


@pytest.mark.parametrize("number", [number for number in DISTORTIONS if number not in EXPLAINED])
def test_levels_are_ordered_as_kadids_raters_ordered_them(severity, number):
    qualities, dmos = (table[number - 1] for table in severity)
    assert stats.spearmanr(qualities, dmos).statistic > 0.999


@pytest.mark.parametrize("number", [5, 25])
def test_levels_that_raters_told_apart_are_in_their_order(severity, number):
    qualities, dmos = (table[number - 1] for table in severity)
    apart = [(a, b) for a, b in permutations(range(5), 2) if dmos[a] > dmos[b] + ALIKE]
    assert [(a + 1, b + 1) for a, b in apart if qualities[a] <= qualities[b]] == []


def test_pixelate_is_worst_at_level_5(severity):
    assert severity[0][20].argmin() == severity[1][20].argmin() == 4


def test_all_125_are_ordered_much_as_kadids_raters_ordered_them(severity):
    qualities, dmos = severity
    assert stats.spearmanr(qualities.ravel(), dmos.ravel()).statistic > 0.82
