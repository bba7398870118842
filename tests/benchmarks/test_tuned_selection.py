"""What tuned networks are trained on, so that sets of types differ in nothing but their types."""

from __future__ import annotations

import importlib
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from dgqa_training.regressor.training import synthetic_samples

BUDGET = 81 * 6 * 5
"""Six types at five levels of 81 contents, as many as KADID-10k has; DGQA's authors select six types."""


@pytest.fixture
def program(repository: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(repository)
    return importlib.import_module("benchmarks.domains.tuned_selection")


SAMPLES = synthetic_samples(
    [Path(f"{number:03}.png") for number in range(100)], range(1, 26), (1, 2, 3, 4, 5)
)


@pytest.mark.parametrize("types", [tuple(range(1, 26)), (1, 3, 10, 17, 18, 25), (2, 9)])
def test_every_set_of_types_has_the_same_contents_and_no_more_images(
    program: ModuleType, types: tuple[int, ...]
) -> None:
    places = program.chosen(SAMPLES, types, np.random.default_rng(5))
    kinds = Counter(SAMPLES[place].type for place in places)
    assert places == sorted(set(places))
    assert kinds.pop(0) == 81
    assert set(kinds) == set(types)
    assert sum(kinds.values()) == min(BUDGET, 81 * 5 * len(types))
    everything = program.chosen(SAMPLES, range(1, 26), np.random.default_rng(5))
    contents = [{SAMPLES[place].reference for place in each} for each in (places, everything)]
    assert contents[0] == contents[1]


def test_other_seeds_draw_other_contents(program: ModuleType) -> None:
    one, other = (program.chosen(SAMPLES, (1,), np.random.default_rng(seed)) for seed in (0, 1))
    assert one != other


def test_only_what_was_chosen_is_seen(program: ModuleType) -> None:
    class Places:
        """A source whose samples are their places."""

        def target(self, index: int) -> float:
            return float(index)

        crop = centre = lambda self, index, *_: index

    source = program.Chosen(Places(), [4, 7])
    assert len(source) == 2
    assert [source.target(0), source.target(1)] == [4.0, 7.0]
    assert [source.crop(1, np.random.default_rng(0)), source.centre(0)] == [7, 4]
