"""One image in memory."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from dgqa_training.distortions import distort, to_bytes
from dgqa_training.synthesis import generator_for, synthesize
from dgqa_training.synthesis.image import chosen_type

PHOTO = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)


def test_an_image_is_the_distortion_of_its_own_generator():
    expected = to_bytes(distort(PHOTO, 11, 3, generator_for(4, "a.png", 11, 3)))
    made = synthesize(PHOTO, "a.png", 11, 3, seed=4)
    np.testing.assert_array_equal(made, expected)
    assert made.dtype == np.uint8


def test_the_generator_depends_on_seed_name_type_and_level_and_on_nothing_else():
    keys = [(seed, "a.png", 1, 1) for seed in (0, 1, -1, 2**80)] + [(0, "b.png", 1, 1)]
    keys += [(0, "a.png", kind, level) for kind, level in ((2, 1), (1, 2), (11, 1), (1, 11))]
    draws = [generator_for(*key).integers(2**62) for key in keys]
    assert len(set(draws)) == len(keys)
    assert draws == [generator_for(*key).integers(2**62) for key in keys]


def test_the_generator_is_the_same_in_another_process():
    # Python salts `hash` in every process; this must not show.
    script = "from dgqa_training.synthesis import generator_for as g; print(g(3, 'ä', 5, 2).integers(2**62))"
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout
    assert int(output) == generator_for(3, "ä", 5, 2).integers(2**62)


def test_the_generator_stays_what_it_was():
    # A change here makes every set another: it is one for a new major version.
    assert generator_for(0, "I01.png", 1, 1).integers(2**31) == 788275704


def test_names_that_are_no_text_are_names():
    generator_for(0, "\udcff.png", 1, 1)


def test_chosen_types_are_uniform_and_fixed():
    types = (2, 5, 9, 17)
    chosen = [chosen_type(1, f"{i}.png", types) for i in range(2000)]
    counts = np.array([chosen.count(number) for number in types])
    assert counts.sum() == 2000
    assert np.abs(counts - 500).max() < 90
    assert chosen == [chosen_type(1, f"{i}.png", types) for i in range(2000)]


def test_small_photographs_are_refused_where_a_type_needs_room():
    with pytest.raises(Exception, match="at least 48×48"):
        synthesize(PHOTO[:40], "a.png", 20, 1, seed=0)
