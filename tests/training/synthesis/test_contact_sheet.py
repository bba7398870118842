"""The page of all images of a content."""

from __future__ import annotations

import numpy as np

from dgqa_training.distortions import DISTORTIONS, LEVELS
from dgqa_training.synthesis.contact_sheet import contact_sheet

REFERENCE = np.full((90, 120, 3), (10, 200, 30), np.uint8)


def shade(kind, level):
    return np.full((90, 120, 3), (kind * 10, level * 50, 0), np.uint8)


def test_a_page_has_26_rows_of_five_levels_for_all_types():
    asked = []

    def record(kind, level):
        asked.append((kind, level))
        return shade(kind, level)

    sheet = contact_sheet("a.png", REFERENCE, tuple(DISTORTIONS), LEVELS, record)
    assert asked == [(kind, level) for kind in range(1, 26) for level in range(1, 6)]
    colours = {tuple(colour) for colour in sheet[::7, ::7].reshape(-1, 3).tolist()}
    assert {(kind * 10, level * 50, 0) for kind, level in asked} <= colours
    # The first row repeats the pristine photograph under each level.
    row = sheet[40]
    starts = np.flatnonzero(np.diff((row == (10, 200, 30)).all(axis=1).astype(int)) == 1)
    assert len(starts) == 10  # whole and middle


def test_a_page_can_be_of_a_few_types_and_levels():
    sheet = contact_sheet("a.png", REFERENCE, (15,), (2, 3), shade)
    assert sheet.shape[0] < 300
    assert sheet.dtype == np.uint8


def test_pictures_are_shrunk_to_their_cells_but_not_enlarged():
    large, small = (np.zeros(shape, np.uint8) for shape in ((100, 1000, 3), (8, 9, 3)))
    wide = contact_sheet("large", large, (1,), (1,), lambda *_: large)
    narrow = contact_sheet("small", small, (1,), (1,), lambda *_: small)
    assert wide.shape[1] - narrow.shape[1] == 2 * (128 - 9)


def test_the_middle_is_shown_pixel_by_pixel():
    pattern = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    sheet = contact_sheet("a", pattern, (1,), (1,), lambda *_: pattern)
    middle = pattern[86:214, 136:264]
    assert np.array_equal(sheet[18:146, -132:-4], middle)


def test_long_titles_are_wrapped_and_any_name_can_be_drawn():
    contact_sheet("x" * 200 + " \udcff ä 写真.png", REFERENCE, (12,), LEVELS, shade)
