"""Crops made once and cut anew: what is cut is part of what was made, and nothing is made twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dgqa_infer import UsageError
from dgqa_training.loop.crops import Crops
from dgqa_training.loop.kept_crops import KeptCrops, keep_crops

KEPT, SIDE = 12, 5


class Numbered:
    """Crops whose pixels say which sample they are of, and where in it; the rest is chance."""

    def __init__(self) -> None:
        self.made = 0

    def __len__(self) -> int:
        return 3

    def target(self, index: int) -> float:
        return 10.0 * index

    def crop(self, index: int, generator: np.random.Generator) -> NDArray[np.uint8]:
        self.made += 1
        crop = np.zeros((KEPT, KEPT, 3), np.uint8)
        crop[..., 0] = index
        crop[..., 1] = np.arange(KEPT * KEPT).reshape(KEPT, KEPT)
        crop[..., 2] = generator.integers(256)
        return crop


@pytest.fixture
def source() -> Numbered:
    return Numbered()


def keep(source: Numbered, folder: Path, rounds: int = 2, **changes: Any) -> KeptCrops:
    ways: dict[str, Any] = {"names": "abc", "kept": KEPT, "side": SIDE, "rounds": rounds, "seed": 7}
    return keep_crops(source, folder, **{**ways, **changes})


def test_a_crop_is_a_square_of_what_was_made_of_its_sample(source: Numbered, tmp_path: Path) -> None:
    kept = keep(source, tmp_path)
    assert [kept.target(index) for index in range(len(kept))] == [0.0, 10.0, 20.0]
    for index in range(len(kept)):
        made = {int(Crops(source, 7, epoch, flip=False)[index][0][0, 0, 2]) for epoch in range(2)}
        seen, places = set(), set()
        for seed in range(40):
            crop = kept.crop(index, np.random.default_rng(seed))
            assert crop.shape == (SIDE, SIDE, 3)
            assert (crop[..., 0] == index).all()
            first = int(crop[0, 0, 1])
            rows = first + np.arange(SIDE)[:, None] * KEPT + np.arange(SIDE)
            assert np.array_equal(crop[..., 1], rows)
            seen.add(int(crop[0, 0, 2]))
            places.add(first)
        assert seen == made, "of every round, and of nothing else"
        assert len(places) > 10


def test_the_generator_alone_decides(source: Numbered, tmp_path: Path) -> None:
    kept = keep(source, tmp_path)
    one, other = (kept.crop(1, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(one, other)


def test_the_centre_is_the_middle_of_the_first_round(source: Numbered, tmp_path: Path) -> None:
    centre = keep(source, tmp_path).centre(2)
    made = np.asarray(Crops(source, 7, 0, flip=False)[2][0])
    assert np.array_equal(centre, made[3:8, 3:8])


def test_rounds_that_are_whole_are_not_made_again(source: Numbered, tmp_path: Path) -> None:
    keep(source, tmp_path, rounds=1)
    assert source.made == 3
    keep(source, tmp_path, rounds=1)
    assert source.made == 3
    (tmp_path / "crops-1.part").write_bytes(b"half of a round")
    keep(source, tmp_path, rounds=2)
    assert source.made == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "crops-0.npy",
        "crops-1.npy",
        "crops.json",
    ]


@pytest.mark.parametrize("change", [{"names": "abd"}, {"seed": 8}])
def test_crops_of_other_samples_are_refused(source: Numbered, tmp_path: Path, change: dict[str, Any]) -> None:
    keep(source, tmp_path)
    with pytest.raises(UsageError, match="crops of other photographs"):
        keep(source, tmp_path, **change)
    assert len(keep(source, tmp_path)) == 3
