"""The mean of all cells is the raw quality; the rest is where they are drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgqa_infer import Scorer
from dgqa_infer.bundle.card import Calibration
from dgqa_infer.bundle.preprocessing import STANDARD, Preprocessing
from dgqa_infer.images.crops import crops, places
from dgqa_infer.outputs.map_picture import COLOURS, OPACITY, colours, overlay, tint
from dgqa_infer.quality_map import QualityMap

SMALL = Preprocessing(id="small", short_side=64, crop=32, grid=5)
WHOLE = (0.0, 0.0, 1.0, 1.0)
TENTHS = Calibration((0.0, 10.0), (0.0, 100.0))


def quality_map(*crops_: tuple[Any, tuple[float, float, float, float]]) -> QualityMap:
    cells = np.array([cells for cells, _ in crops_], np.float32)
    return QualityMap(cells, tuple(place for _, place in crops_))


def test_of_real_photographs_the_mean_of_the_map_is_the_raw_quality(repository: Path) -> None:
    photos = sorted((repository / "examples" / "photos").iterdir())[::4]
    with Scorer(device="cpu", threads=1, maps=True, batch_size=2) as scorer:
        found = list(scorer.score_many(photos))
    assert len(found) >= 3
    for score in found:
        quality = score.quality_map  # type: ignore[union-attr]
        assert quality is not None
        assert quality.cells.shape[0] == 5
        # float32 has 24 bits: what is left is rounding in the graph's own mean, on a scale of 10.
        assert quality.raw == pytest.approx(score.raw, abs=10 * 2**-22)  # type: ignore[union-attr]
        assert np.ptp(quality.cells) > 0.5


def test_a_map_is_there_when_asked_for_and_says_what_was_seen_where(tiny_bundle: Path) -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:32, :32] = 255
    with Scorer(tiny_bundle, device="cpu", maps=True) as scorer:
        score = scorer.score(pixels)
    with Scorer(tiny_bundle, device="cpu") as scorer:
        assert scorer.score(pixels).quality_map is None
    # Raw quality is grey / 25.5; crops of 32: the first is white, the centre's first quarter is.
    assert score.quality_map is not None
    assert score.quality_map.cells.mean((1, 2)) == pytest.approx([10, 0, 0, 0, 2.5], abs=1e-5)
    assert score.quality_map.cells[4] == pytest.approx(np.array([[10, 0], [0, 0]]), abs=1e-5)
    seen = score.quality_map.over(64, 64)
    assert seen[8, 8] == pytest.approx(10, abs=1e-5)
    assert seen[60, 60] == pytest.approx(0, abs=1e-5)
    assert "quality_map" not in score.row()


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([1, 5, 9]))
def test_places_are_where_the_crops_were_cut(height: int, width: int, grid: int) -> None:
    preprocessing = Preprocessing(id="any", short_side=300, crop=24, grid=grid)
    # Every pixel tells where it lies; nothing is shrunk, since no short side is above 300.
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.arange(width)[None] % 256
    pixels[..., 1] = np.arange(height)[:, None] % 256
    pixels[..., 2] = np.arange(width)[None] // 256 + 2 * (np.arange(height)[:, None] // 256)
    cut, warnings = crops(pixels, preprocessing)
    for crop, (left, top, right, bottom) in zip(cut, places(height, width, preprocessing), strict=True):
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1
        if not warnings:
            inside = pixels[round(top * height) : round(bottom * height), round(left * width) :][:, :24]
            assert (crop == inside).all()


def test_places_do_not_depend_on_how_far_a_photograph_is_shrunk() -> None:
    for one, two in zip(places(512, 768, STANDARD), places(2048, 3072, STANDARD), strict=True):
        assert one == pytest.approx(two)


def test_where_no_crop_lies_nothing_is_known() -> None:
    found = quality_map(([[4.0]], (0, 0, 0.25, 1)), ([[6.0]], (0.75, 0, 1, 1)))
    seen = found.over(4, 8)
    assert (seen[:, :2] == 4).all()
    assert (seen[:, 6:] == 6).all()
    assert np.isnan(seen[:, 2:6]).all()
    assert found.raw == 5


def test_where_crops_overlap_the_one_with_the_place_in_its_middle_counts_most() -> None:
    found = quality_map(([[0.0]], (0, 0, 0.6, 1)), ([[10.0]], (0.4, 0, 1, 1)))
    row = found.over(1, 100)[0]
    assert row[0] == 0
    assert row[99] == 10
    assert row[49] == pytest.approx(5, abs=0.5)
    # From one to the other without a step that could be taken for something in the photograph.
    assert (np.diff(row) >= 0).all()
    assert np.diff(row).max() < 1


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-5, 15, width=32), min_size=4, max_size=4),
    st.integers(1, 40),
    st.integers(1, 40),
)
def test_what_is_drawn_stays_within_what_was_said(cells: list[float], height: int, width: int) -> None:
    found = quality_map((np.reshape(cells, (2, 2)), WHOLE), (np.reshape(cells[::-1], (2, 2)), WHOLE))
    seen = found.over(height, width)
    assert seen.shape == (height, width)
    assert seen.min() >= min(cells) - 1e-4
    assert seen.max() <= max(cells) + 1e-4


def test_colours_run_from_one_end_of_the_scale_to_the_other() -> None:
    values = np.array([-3, 0, 5, 10, 30, np.nan], np.float32)
    found = [tuple(colour) for colour in colours(values, 0, 10).tolist()]
    assert found[:5] == [COLOURS[0], COLOURS[0], COLOURS[2], COLOURS[4], COLOURS[4]]


def test_a_cell_has_the_colour_of_its_score() -> None:
    found = quality_map(([[0.5]], WHOLE))
    scale = Calibration((0.0, 0.5, 10.0), (0.0, 75.0, 100.0))
    assert (np.asarray(tint(found, 2, 2, scale))[..., :3] == COLOURS[3]).all()


def test_a_tint_is_translucent_and_darkens_what_nobody_looked_at() -> None:
    found = quality_map(([[10.0]], (0, 0, 0.5, 1)))
    picture = np.asarray(tint(found, 4, 8, TENTHS))
    assert (picture[:, :4] == [*COLOURS[-1], round(255 * OPACITY)]).all()
    assert (picture[:, 4:, :3] == 0).all()
    assert (picture[:, 4:, 3] > 0).all()


@pytest.mark.parametrize("size", [(768, 512), (3, 700), (700, 1)])
def test_an_overlay_has_a_legend_whatever_the_size(size: tuple[int, int]) -> None:
    width, height = size
    photograph = np.full((height, width, 3), 128, np.uint8)
    picture = overlay(photograph, quality_map(([[2.0]], WHOLE)), TENTHS)
    assert picture.size == (max(width, 360), height + 64)
    bar = [picture.getpixel((x, height + 32)) for x in (17, picture.width - 18)]
    for found, end in zip(bar, (COLOURS[0], COLOURS[-1]), strict=True):
        assert found == pytest.approx(end, abs=3)


def test_the_mark_in_the_legend_stands_at_the_score() -> None:
    photograph = np.full((40, 432, 3), 128, np.uint8)
    for raw in (2.0, 8.0):
        picture = overlay(photograph, quality_map(([[raw]], WHOLE)), TENTHS)
        # The mark's tip points into the bar, from 16 pixels on to 16 before the end.
        row = np.asarray(picture.convert("RGB"))[40 + 27].astype(int)
        marked = np.flatnonzero((row > 225).all(axis=1))
        assert marked.mean() == pytest.approx(16 + raw / 10 * 399, abs=2)


def test_small_photographs_that_are_enlarged_have_places_too() -> None:
    assert places(10, 20, SMALL) == (
        (0, 0, 0.5, 1),
        (0.5, 0, 1, 1),
        (0, 0, 0.5, 1),
        (0.5, 0, 1, 1),
        (0.25, 0, 0.75, 1),
    )
