from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgqa_infer import ModelError, UsageError
from dgqa_training.adaptation import moments
from dgqa_training.adaptation.moments import LinearHead, Moments
from dgqa_training.labels.labels import kadid_mean
from dgqa_training.regressor.linear_probe import RidgeSums

WIDTH = 12


def table(contents: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of `contents` photographs, pristine and at every type and level, in units of their own."""
    generator = np.random.default_rng(seed)
    cases = [(0, 0), *product(range(1, 26), range(1, 6))] * contents
    types, levels = np.array(cases).T
    shift = generator.normal(size=(26, WIDTH))[types] * levels[:, None]
    features = generator.normal(size=(len(cases), WIDTH)) + shift
    return features * np.logspace(-2, 2, WIDTH) + 5, types, levels


def taken(features: np.ndarray, types: np.ndarray, levels: np.ndarray, components: int = WIDTH) -> Moments:
    return Moments.of(features, types, levels, {"backbone": "none"}, components=components)


@settings(max_examples=20, deadline=None)
@given(st.sets(st.integers(1, 25), min_size=1, max_size=25), st.integers(0, 3))
def test_a_head_from_moments_is_the_ridge_regression_on_the_images_of_those_types(types, seed):
    """With all components kept. The second opinion is ridge regression on those images' features themselves,
    standardised as the whole set is."""
    features, of, levels = table(seed=seed)
    head = taken(features, of, levels).solve(tuple(types), ridge=0.5)

    chosen = np.isin(of, [0, *types])
    standard = (features[chosen] - features.mean(0)) / features.std(0)
    labels = np.where(of == 0, 10.0, kadid_mean()[of - 1, levels - 1])[chosen]
    centred = standard - standard.mean(0)
    penalised = centred.T @ centred / len(labels) + 0.5 * np.eye(WIDTH)
    weights = np.linalg.solve(penalised, centred.T @ (labels - labels.mean()) / len(labels))
    expected = centred @ weights + labels.mean()
    np.testing.assert_allclose(features[chosen] @ head.weights + head.bias, expected, atol=1e-3)


def test_with_all_types_it_is_the_probe_of_the_whole_set():
    features, types, levels = table()
    labels = np.where(types == 0, 10.0, kadid_mean()[types - 1, levels - 1])
    sums = RidgeSums(WIDTH)
    sums.add(features, labels)
    weights, bias = sums.solve(2.0)
    head = taken(features, types, levels).solve(range(1, 26), ridge=2.0)
    np.testing.assert_allclose(
        features @ head.weights + head.bias, features @ weights + bias, rtol=1e-3, atol=1e-3
    )


def test_a_head_is_consistent_as_if_differences_were_samples_with_the_target_0():
    """The second opinion is least squares on images, penalty and differences stacked as rows."""
    features, of, levels = table()
    generator = np.random.default_rng(1)
    differences = generator.normal(size=(7, 3, WIDTH)).astype(np.float32) * np.logspace(-2, 2, WIDTH)
    moments = Moments.of(features, of, levels, {}, differences, WIDTH)
    head = moments.solve(range(1, 26), ridge=0.5)

    labels = np.where(of == 0, 10.0, kadid_mean()[of - 1, levels - 1])
    standard = (features - features.mean(0)) / features.std(0)
    changes = (differences / features.std(0)).reshape(-1, WIDTH)
    rows = np.concatenate(
        [standard / len(labels) ** 0.5, changes / len(differences) ** 0.5, 0.5**0.5 * np.eye(WIDTH)]
    )
    targets = np.zeros(len(rows))
    targets[: len(labels)] = (labels - labels.mean()) / len(labels) ** 0.5
    weights = np.linalg.lstsq(rows, targets, rcond=None)[0]
    np.testing.assert_allclose(head.weights * features.std(0), weights, atol=1e-6)
    again = Moments.from_bytes(moments.to_bytes()).solve(range(1, 26), ridge=0.5)
    np.testing.assert_allclose(again.weights, head.weights, rtol=0.02, atol=1e-3)


def test_a_file_of_moments_gives_the_same_head_but_for_rounding():
    features, types, levels = table()
    moments = taken(features, types, levels)
    read = Moments.from_bytes(moments.to_bytes())
    assert read.record == {"backbone": "none"}
    for chosen in ((1, 3, 10, 17, 18, 25), (5,)):
        raw = [
            features @ head.weights + head.bias for head in (m.solve(chosen, 1.0) for m in (moments, read))
        ]
        np.testing.assert_allclose(raw[0], raw[1], atol=0.05)


def test_fewer_components_keep_what_varies_most():
    generator = np.random.default_rng(0)
    _, types, levels = table()
    one = generator.normal(size=(len(types), 1)) * [3.0, -2.0] + 0.01 * generator.normal(size=(len(types), 2))
    moments = taken(one, types, levels, components=1)
    assert moments.basis.shape == (2, 1)
    components = (one - moments.mean) @ moments.basis
    assert abs(np.corrcoef(components[:, 0], one[:, 0])[0, 1]) > 0.999


def test_a_set_that_lacks_a_level_is_refused():
    features, types, levels = table()
    there = (types != 7) | (levels != 4)
    with pytest.raises(UsageError, match="no image of type 7 at level 4"):
        taken(features[there], types[there], levels[there])
    with pytest.raises(UsageError, match="no image of pristine photographs"):
        taken(features[types > 0], types[types > 0], levels[types > 0])


@pytest.mark.parametrize("types", [(), (0,), (26,), (3, 26)])
def test_types_that_do_not_exist_are_refused(types):
    with pytest.raises(UsageError, match="not some of 1 to 25"):
        taken(*table()).solve(types, 1.0)


@pytest.mark.parametrize("data", [b"", b"not a zip file", b"PK\x03\x04" + bytes(40)])
def test_anything_else_is_no_file_of_moments(data):
    with pytest.raises(ModelError, match="no moments") as told:
        Moments.from_bytes(data)
    # NumPy would say how to trust the file's pickles.
    assert "pickle" not in str(told.value)


def test_a_backbone_without_moments_is_told_how_to_get_some():
    with pytest.raises(ModelError, match="train moments"):
        Moments.built_in("resnet50")
    with pytest.raises(ModelError, match=r"0123456789abcdef.*train moments --model"):
        Moments.built_in("efficientnet_lite0", "0123456789abcdef")


def test_no_other_file_is_read_whatever_a_card_calls_its_backbone():
    built_in = Path(moments.__file__).parent.parent / "built_in" / "efficientnet_lite0"
    assert built_in.with_suffix(".npz").is_file()
    for name in ("../built_in/efficientnet_lite0", str(built_in)):
        with pytest.raises(ModelError, match="come with the package"):
            Moments.built_in(name)


def test_a_head_says_what_it_predicts():
    head = LinearHead(np.array([1.0, -2.0]), 3.0)
    assert np.array([[1.0, 1.0]]) @ head.weights + head.bias == pytest.approx([2.0])


def test_stand_ins_spread_as_what_the_head_says_of_the_images_themselves():
    """The images' features are normal within a type and level here, which is what stand-ins assume."""
    features, types, levels = table(contents=60)
    moments = taken(features, types, levels)
    head = moments.solve((3, 7), ridge=0.5)
    raw, labels = moments.stand_ins(head, (3, 7))
    rows = np.isin(types, (3, 7)) | (types == 0)
    said, of, at = features[rows] @ head.weights + head.bias, types[rows], levels[rows]
    opinion = np.where(of == 0, 10.0, kadid_mean()[of - 1, at - 1])
    assert set(labels) == set(opinion)
    for label in set(labels):
        there, here = said[opinion == label], raw[labels == label]
        assert here.mean() == pytest.approx(there.mean(), abs=1e-6)
        # One deviation for all levels of a type: a twentieth of its own 60 images would not tell better.
        assert here.std() == pytest.approx(there.std(), rel=0.35)
    shares = (0.1, 0.5, 0.9)
    np.testing.assert_allclose(np.quantile(raw, shares), np.quantile(said, shares), atol=0.25)
