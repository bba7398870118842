import math

import numpy as np
import pytest

from dgqa_infer.images.decode import decode
from dgqa_training.labels.full_reference import quality
from dgqa_training.representation.compositions import MENDING, Composition, degraded, draw, steps
from dgqa_training.synthesis.nuisances import IDENTITIES


def test_levels_of_a_type_are_paired_only_where_raters_are_sure_and_in_one_direction():
    # KADID-10k's mean DMOS of type 1, on 0-10: 9.2, 8.6, 4.9, 2.2, 0.8. Level 1 does nothing.
    assert steps(1) == ((2, 3), (2, 4), (2, 5), (3, 4), (3, 5), (4, 5))
    # Type 5 is at 8.2, 3.9, 2.3, 2.2, 2.2: levels 3 to 5 look alike.
    assert steps(5) == ((1, 2), (1, 3), (1, 4), (1, 5), (2, 3), (2, 4), (2, 5))
    # Contrast is raised at levels 1 to 3, most at 1, and lowered at 4 and 5.
    assert set(steps(25)) == {(3, 2), (3, 1), (2, 1), (4, 5)}
    # The mean is shifted up at levels 1 and 2, not at all at 3, down at 4 and 5.
    assert set(steps(18)) == {(2, 1), (4, 5)}


@pytest.mark.parametrize("pristine", [True, False])
def test_compositions_have_one_to_three_distortions_of_different_groups(pristine):
    generator = np.random.default_rng(0)
    drawn = [draw(generator, pristine=pristine) for _ in range(600)]
    sizes = np.bincount([len(each.types) for each in drawn], minlength=4)
    assert (sizes[1:] > 150).all()  # a third each
    assert sizes.sum() == sizes[1:].sum()
    assert all(len(each.types) == 1 + len(each.on_top) for each in drawn)
    assert not any(set(each.on_top) & IDENTITIES for each in drawn)
    mended = {kind for each in drawn for kind in each.types} & MENDING
    assert mended == (MENDING if pristine else set())


@pytest.mark.parametrize("kind", [1, 3, 10, 11, 14, 20, 21, 23])
@pytest.mark.parametrize("on_top", [(), ((17, 4),), ((13, 1),)])
def test_strong_is_farther_from_the_photograph_than_mild(folder, kind, on_top):
    image = decode(folder / "pristine" / "coffee.webp").pixels
    mild, strong = degraded(image, Composition(kind, steps(kind)[0][0], 5, on_top), 1)
    assert 1 > quality(image, mild) > quality(image, strong)


def test_mild_and_strong_differ_in_strength_alone():
    grey = np.full((64, 64, 3), 128, np.uint8)
    mild, strong = (image - 128.0 for image in degraded(grey, Composition(11, 1, 5), 7))
    # White noise of variances 0.001 and 0.01, from the same draws.
    assert np.corrcoef(mild.ravel(), strong.ravel())[0, 1] > 0.99
    assert strong.std() / mild.std() == pytest.approx(math.sqrt(10), rel=0.02)


def test_only_single_distortions_have_labels():
    assert Composition(1, 3, 5).labels() == pytest.approx((4.9, 0.8), abs=0.05)
    assert all(math.isnan(label) for label in Composition(1, 3, 5, ((13, 1),)).labels())
