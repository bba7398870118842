from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from dgqa_infer.bundle.bundle import Domains, write_bundle
from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.domains.classes import CLASSES, WORDS, require_kadid, words
from dgqa_infer.errors import ModelError
from dgqa_infer.images.crops import crops, random_crops
from dgqa_infer.scorer import Scorer

SMALL = Preprocessing(id="test", short_side=64, crop=32, grid=5)


def test_the_classes_are_pristine_and_kadids_types_in_the_training_packages_order_and_words() -> None:
    from dgqa_training.distortions import DISTORTIONS

    assert ("pristine", *(kind.slug for kind in DISTORTIONS.values())) == CLASSES
    assert list(WORDS.values())[1:] == [kind.plain for kind in DISTORTIONS.values()]


def test_words_are_distinct_and_can_stand_in_a_list() -> None:
    assert len(set(WORDS.values())) == 26
    assert not any("," in each or ";" in each for each in WORDS.values())


def test_a_name_is_understood_in_either_spelling_and_others_keep_theirs() -> None:
    assert words("lens-blur") == words("lens_blur") == "out of focus"
    assert words("moire_pattern") == "moire pattern"


@pytest.mark.parametrize(
    ("classes", "complaint"),
    [
        ((CLASSES[0], CLASSES[2], CLASSES[1], *CLASSES[3:]), "class 1 .* 'lens-blur', not 'gaussian-blur'"),
        (CLASSES[:-1], "25 classes, not KADID's 26"),
    ],
)
def test_a_classifier_with_another_class_order_is_refused(classes: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(ModelError, match=complaint):
        require_kadid(Domains(classes, 1.0), "some-model")


def test_a_bundle_without_a_classifier_is_refused() -> None:
    with pytest.raises(ModelError, match="some-model has no domain classifier"):
        require_kadid(None, "some-model")


def test_underscores_in_a_cards_classes_are_as_good_as_hyphens() -> None:
    require_kadid(Domains(tuple(name.replace("-", "_") for name in CLASSES), 1.0), "some-model")


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 2**32))
def test_random_crops_are_squares_of_the_photograph_itself(height: int, width: int, seed: int) -> None:
    # Each pixel tells where it is.
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    image = np.dstack([rows, columns, rows])
    cut, warnings = random_crops(image, SMALL, np.random.default_rng(seed))

    assert cut.shape == (5, 32, 32, 3)
    assert warnings == (() if min(height, width) >= 32 else ("upscaled",))
    if not warnings:
        for each in cut:
            top, left = each[0, 0, 0], each[0, 0, 1]
            np.testing.assert_array_equal(each, image[top : top + 32, left : left + 32])


def test_random_crops_reach_every_edge_and_do_not_shrink() -> None:
    rows, columns = np.mgrid[:34, :200].astype(np.uint8)
    image = np.dstack([rows, columns, rows])
    generator = np.random.default_rng(0)
    corners = np.concatenate([random_crops(image, SMALL, generator)[0][:, 0, 0] for _ in range(400)])

    assert set(corners[:, 0]) == {0, 1, 2}
    assert (corners[:, 1].min(), corners[:, 1].max()) == (0, 168)


def test_a_photograph_of_one_crop_is_the_same_at_random_and_on_the_grid() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)

    at_random, _ = random_crops(image, SMALL, np.random.default_rng(1))
    np.testing.assert_array_equal(at_random, crops(image, SMALL)[0])


@pytest.fixture
def explain(tmp_path: Path, models: Any) -> Callable[..., Any]:
    """Distortions that a scorer finds in an even colour; the logits are red, green and blue in tenths."""

    def found(red: int, green: int, blue: int, temperature: float = 1.0) -> Any:
        domains = Domains(("pristine", "motion-blur", "jpeg"), temperature)
        bundle = models.write(tmp_path / f"t{temperature}", domains=domains)
        with Scorer(bundle, device="cpu", explain=True) as scorer:
            score = scorer.score(np.full((64, 64, 3), (red, green, blue), np.uint8))
        return [(each.name, round(each.probability, 4)) for each in score.distortions or ()]

    return found


def test_distortions_are_named_in_a_photographers_words_with_probabilities(explain: Any) -> None:
    # softmax(10, 12, 11) = 0.0900, 0.6652, 0.2447
    assert explain(100, 120, 110) == [("motion blur", 0.6652), ("blocks from JPEG compression", 0.2447)]


def test_probabilities_are_calibrated_by_the_cards_temperature(explain: Any) -> None:
    # softmax(5, 6, 5.5) = 0.1863, 0.5065, 0.3072
    assert explain(100, 120, 110, temperature=2.0) == [
        ("motion blur", 0.5065),
        ("blocks from JPEG compression", 0.3072),
    ]


def test_nothing_is_found_when_pristine_is_likeliest(explain: Any) -> None:
    assert explain(121, 120, 110) == []


def test_the_likeliest_type_is_told_even_if_none_is_likely(explain: Any) -> None:
    # softmax(0, 0.1, 0) at a temperature of 10: nothing stands out, but pristine has not won.
    assert explain(0, 10, 0, temperature=10.0)[0][0] == "motion blur"


def test_a_classifier_without_an_answer_is_no_photograph_without_distortions(
    tmp_path: Path, models: Any
) -> None:
    domains = models.domain_graph()
    scale = next(each for each in domains.graph.initializer if each.name == "scale")
    scale.CopyFrom(numpy_helper.from_array(np.array(0, np.float32), "scale"))  # black becomes 0 / 0
    graphs = {"model.onnx": models.quality_graph(), "domains.onnx": domains}
    bundle = write_bundle(
        tmp_path / "b", {name: each.SerializeToString() for name, each in graphs.items()}, models.card()
    )
    with Scorer(bundle, device="cpu", explain=True) as scorer:
        (result,) = scorer.score_many([np.zeros((64, 64, 3), np.uint8)])

    assert result.row()["error"]["code"] == "not_finite"


def test_the_documentation_calls_every_type_what_rows_call_it(repository: Path) -> None:
    text = (repository / "docs" / "domains.md").read_text(encoding="utf-8")

    for number, (slug, plain) in enumerate(WORDS.items()):
        assert number == 0 or f"| {number} {slug} | {plain} |" in text
