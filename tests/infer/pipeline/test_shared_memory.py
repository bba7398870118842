"""Previews: pictures that come home from the processes that decode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dgqa_infer import Scorer
from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.pipeline.pipeline import Pipeline
from dgqa_infer.pipeline.shared_memory import SharedCrops, shrink_to_preview, views

SMALL = Preprocessing(id="small", short_side=64, crop=32, grid=5)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 100))
def test_a_preview_fits_and_keeps_its_shape(height: int, width: int, side: int) -> None:
    found = shrink_to_preview(np.zeros((height, width, 3), np.uint8), side)
    assert max(found.shape[:2]) == min(side, max(height, width))
    assert min(found.shape[:2]) == max(1, round(min(height, width) * min(1, side / max(height, width))))


def test_what_one_process_writes_the_other_reads() -> None:
    shared = SharedCrops(SMALL, preview=50)
    crops, preview = views(shared.descriptor, SMALL, 50)
    crops[1:] = 7
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    preview[: picture.size] = picture.ravel()
    assert (shared.crops[1:] == 7).all()
    assert (shared.crops[0] == 0).all()
    assert (shared.preview(30, 20) == picture).all()
    shared.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_each_outcome_has_its_own_photograph(
    tiny_bundle: Path, tmp_path: Path, workers: int, make_photo: Any
) -> None:
    for number in range(7):
        make_photo(tmp_path / f"{number}.png", grey=30 * number + 5, size=(90 + number, 40))
    (tmp_path / "bad.png").touch()
    found = sorted(map(str, tmp_path.iterdir()))
    with (
        Scorer(tiny_bundle, device="cpu", batch_size=3) as scorer,
        Pipeline(scorer, workers=workers, preview=45) as pipeline,
    ):
        outcomes = list(pipeline.run(found))
    assert outcomes[-1].preview is None
    for number, outcome in enumerate(outcomes[:7]):
        assert outcome.preview is not None
        assert outcome.preview.shape == (round(40 * 45 / (90 + number)), 45, 3)
        assert (outcome.preview == 30 * number + 5).all()


def test_nobody_pays_for_previews_that_were_not_asked_for(tiny_bundle: Path, tmp_path: Path) -> None:
    Image.new("RGB", (50, 40)).save(tmp_path / "a.png")
    with Scorer(tiny_bundle, device="cpu") as scorer, Pipeline(scorer, workers=1) as pipeline:
        (outcome,) = pipeline.run([str(tmp_path / "a.png")])
    assert outcome.preview is None
