from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dgqa_infer.images.decode import decode
from dgqa_training.distillation.turns import TURNS, turned, turned_map, upright

MAPS = st.integers(1, 5).flatmap(
    lambda side: arrays(np.float32, (side, side), elements=st.floats(0, 10, width=32))
)


def test_the_turns_of_a_photograph_are_its_quarter_turns_and_the_mirror_s(repository: Path) -> None:
    crop = decode(repository / "examples" / "photos" / "chelsea.webp").pixels[:64, :64]
    found = {each.tobytes() for each in turned(crop)}
    quarters = [np.rot90(each, k).tobytes() for each in (crop, crop[:, ::-1]) for k in range(4)]
    assert len(found) == TURNS
    assert found == set(quarters)
    np.testing.assert_array_equal(turned(crop)[0], crop)


def test_a_map_is_turned_as_the_crop_is_of_which_it_is(repository: Path) -> None:
    crop = decode(repository / "examples" / "photos" / "chelsea.webp").pixels[:64, :64]

    def cells(pixels: np.ndarray) -> np.ndarray:
        return pixels.astype(np.int64).reshape(4, 16, 4, 16, 3).sum((1, 3, 4))

    expected = np.stack([cells(each) for each in turned(crop)])
    np.testing.assert_array_equal(turned_map(cells(crop)), expected)


@given(MAPS)
def test_turned_back_every_map_is_the_first(cells: np.ndarray) -> None:
    np.testing.assert_array_equal(upright(turned_map(cells)), np.stack([cells] * TURNS))
