from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_training.classifier.examples import UNDISTORTED, examples, logits_of, number_of
from dgqa_training.synthesis.nuisances import IDENTITIES

SMALL = Preprocessing(id="test-short64-grid5-32", short_side=64, crop=32, grid=5)


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Ten photographs, so that each type has each level twice."""
    folder = tmp_path_factory.mktemp("pristine")
    found = [folder / f"{number}.png" for number in range(10)]
    for number, path in enumerate(found):
        small = np.random.default_rng(number).integers(0, 256, (8, 9, 3), dtype=np.uint8)
        Image.fromarray(small).resize((80, 70), Image.Resampling.BICUBIC).save(path)
    return found


def test_each_type_has_every_level_equally_often_and_nothing_is_distorted_in_name_only(
    contents: list[Path],
) -> None:
    found = list(examples(contents, SMALL))
    counts = Counter((each.type, each.level) for each in found)

    assert counts.pop((0, 0)) == 10 * UNDISTORTED
    assert set(counts) == {(kind, level) for kind in range(1, 26) for level in range(1, 6)} - IDENTITIES
    assert set(counts.values()) == {2}
    assert len(found) == number_of(10) - 2 * len(IDENTITIES)
    assert all(min(each.pixels.shape[:2]) >= SMALL.crop for each in found)


def test_examples_are_the_same_each_time_and_others_with_another_seed(contents: list[Path]) -> None:
    one, two, other = (list(examples(contents[:1], SMALL, seed=seed)) for seed in (0, 0, 1))

    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(one, two, strict=True))
    assert not all(np.array_equal(a.pixels, b.pixels) for a, b in zip(one, other, strict=True))


def test_logits_are_the_means_of_an_examples_crops_with_what_is_known_of_it(contents: list[Path]) -> None:
    def brightness(crops: np.ndarray) -> np.ndarray:
        assert crops.shape[1:] == (32, 32, 3)
        return np.repeat(crops.mean(axis=(1, 2, 3))[:, None], 26, axis=1)

    seen: list[int] = []
    found = logits_of(examples(contents[:2], SMALL), SMALL, brightness, batch=7, advance=seen.append)
    expected = list(examples(contents[:2], SMALL))

    assert sum(seen) == len(found.logits) == len(expected)
    assert found.classes.tolist() == [each.type for each in expected]
    assert found.levels.tolist() == [each.level for each in expected]
    assert found.contents.tolist() == [each.content for each in expected]
    # A darker view of the same content has lower "logits".
    dark = next(k for k, each in enumerate(expected) if each.type == 17)
    assert found.logits[dark, 0] < found.logits[0, 0]
