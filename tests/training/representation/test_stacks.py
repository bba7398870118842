import numpy as np
import pytest
from PIL import Image

from dgqa_infer import UsageError
from dgqa_infer.bundle.preprocessing import STANDARD
from dgqa_training.representation.pack import Photographs
from dgqa_training.representation.stacks import (
    MILD,
    ORIGINAL,
    STRONG,
    STRONG_VIEW,
    VIEW,
    Stacks,
    harmless,
)
from dgqa_training.synthesis.nuisances import COLOUR_TYPES, Nuisances


@pytest.fixture
def stacks(photographs) -> Stacks:
    return Stacks(photographs, STANDARD, rounds=8, seed=3)


def pixels(image: np.ndarray) -> bytes:
    """The colours of an image, wherever they are."""
    return np.sort(image.reshape(-1, 3).astype(np.int64) @ [1 << 16, 1 << 8, 1]).tobytes()


def test_a_view_shows_the_same_photograph_and_leaves_its_label_as_it_is(stacks):
    unchanged = 0
    for index in range(0, len(stacks), 3):
        labels = []
        for seed in range(3):
            stack = stacks.crop(index, np.random.default_rng(seed))
            labels.append(stacks.target(index).tolist())
            for place, again in ((ORIGINAL, VIEW), (STRONG, STRONG_VIEW)):
                # A crop fits once into these photographs, so a view that is only turned or mirrored has the
                # same pixels in another order.
                unchanged += pixels(stack[place]) == pixels(stack[again])
        np.testing.assert_array_equal(labels[0], labels[1])
        np.testing.assert_array_equal(labels[1], labels[2])
    assert unchanged > len(stacks) / 3  # half are not saved again, two thirds of those keep their colours


def test_views_are_mirrored_turned_grey_or_saved_as_good_jpegs_and_nothing_else():
    generator = np.random.default_rng(0)
    drawn = [harmless(generator) for _ in range(400)]
    still = Nuisances()
    for view in drawn:
        assert (view.resized, view.gamma, view.gains) == (still.resized, still.gamma, still.gains)
        assert view.encoded in (None, "jpeg")
        assert 75 <= view.quality <= 95
    assert {view.turns for view in drawn} == {0, 1, 2, 3}
    assert {view.mirrored for view in drawn} == {view.grey for view in drawn} == {False, True}
    assert not any(harmless(generator, grey=False).grey for _ in range(100))


def test_a_fault_that_lies_in_the_colours_is_not_hidden_by_a_grey_view(photographs):
    stacks = Stacks(photographs, STANDARD, rounds=30, seed=5)
    coloured = [at for at, each in enumerate(stacks.compositions) if each.types & COLOUR_TYPES]
    assert len(coloured) > 20
    for index in coloured[:40]:
        again = stacks.crop(index, np.random.default_rng(index))[STRONG_VIEW].astype(int)
        strong = stacks.crop(index, np.random.default_rng(index))[STRONG].astype(int)
        if np.ptp(strong, axis=2).mean() > 5:
            assert np.ptp(again, axis=2).mean() > 2


def test_the_order_of_a_stack_is_the_photograph_then_mild_then_strong(photographs):
    stacks = Stacks(photographs, STANDARD, rounds=8, seed=3)
    for index in range(0, len(stacks), 5):
        stack = stacks.crop(index, np.random.default_rng(index)).astype(float)
        assert np.abs(stack[MILD] - stack[ORIGINAL]).mean() > 0
        assert np.abs(stack[STRONG] - stack[MILD]).mean() > 0
    whole = np.asarray(Image.open(photographs.pristine[0]).convert("RGB"))
    np.testing.assert_array_equal(stacks.crop(0, np.random.default_rng(0))[ORIGINAL], whole)


def test_labels_are_those_of_single_distortions_of_pristine_photographs(stacks):
    for index, composition in enumerate(stacks.compositions):
        known = bool(stacks.pristine[index]) and not composition.on_top
        assert np.isnan(stacks.target(index)).any() != known
        if known:
            assert stacks.target(index) == pytest.approx(composition.labels())


def test_the_same_generator_makes_the_same_stack(stacks):
    for index in range(0, len(stacks), 7):
        first, second = (stacks.crop(index, np.random.default_rng(9)) for _ in range(2))
        np.testing.assert_array_equal(first, second)


def test_a_photograph_that_is_too_small_is_named(tmp_path):
    Image.new("RGB", (300, 200)).save(tmp_path / "small.png")
    stacks = Stacks(Photographs((tmp_path / "small.png",), ()), STANDARD, rounds=1, seed=0)
    with pytest.raises(UsageError, match=r"small\.png: 300×200"):
        stacks.crop(0, np.random.default_rng(0))
