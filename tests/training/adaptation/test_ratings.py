import numpy as np
import pytest
from scipy.stats import linregress

from dgqa_infer import UsageError
from dgqa_training.adaptation.moments import LinearHead
from dgqa_training.adaptation.ratings import calibration, finetune, srcc


def photographs(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features of photographs, and what people think: the first two count, a head knows only of the first."""
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(count, 6))
    return features, features[:, 0] + 2 * features[:, 1] + 0.1 * generator.normal(size=count)


HEAD = LinearHead(np.array([1.0, 0, 0, 0, 0, 0]), 5.0)


def test_a_scale_is_the_regression_line_of_ratings_on_raw_scores():
    """SciPy's regression is the second opinion."""
    generator = np.random.default_rng(1)
    raw = generator.uniform(2, 8, 30)
    ratings = np.clip(0.4 * raw + 1 + generator.normal(0, 0.2, 30), 1, 5)
    found = calibration(raw, ratings, (1, 5))
    line = linregress(raw, 25 * (ratings - 1))
    for value in (3.0, 5.0, 7.0):
        assert found(value) == pytest.approx(line.slope * value + line.intercept)
    assert (found(-100), found(100)) == (0, 100)


def test_ratings_that_run_against_the_model_fit_no_scale():
    raw = np.linspace(0, 10, 20)
    with pytest.raises(UsageError, match="run against the model"):
        calibration(raw, 5 - raw / 3, (0, 5))


@pytest.mark.parametrize(
    ("count", "ratings", "bounds", "message"),
    [
        (5, np.arange(5.0), (0, 4), "too few"),
        (20, np.full(20, 3.0), (1, 5), "equal"),
        (20, np.arange(20.0), (1, 5), "do not lie on a scale"),
        (20, np.arange(20.0), (19, 0), "do not lie on a scale"),
    ],
)
def test_ratings_that_say_nothing_are_refused(count, ratings, bounds, message):
    with pytest.raises(UsageError, match=message):
        calibration(np.arange(count, dtype=float), ratings, bounds)


def test_ratings_bend_a_ranking_towards_what_they_know_better():
    features, opinions = photographs(60)
    finetuned = finetune(HEAD, features, np.eye(6), opinions)
    assert finetuned.helped
    others, theirs = photographs(500, seed=9)
    assert srcc(others @ HEAD.weights, theirs) < 0.6
    assert srcc(others @ finetuned.head.weights + finetuned.head.bias, theirs) > 0.9
    # What was said of unseen ratings holds for others.
    assert finetuned.after == pytest.approx(srcc(others @ finetuned.head.weights, theirs), abs=0.1)


def test_ratings_that_know_nothing_leave_the_head_alone():
    features, _ = photographs(30)
    finetuned = finetune(HEAD, features, np.eye(6), features[:, 0] * 3 + 1)
    assert finetuned.before == pytest.approx(1)
    assert not finetuned.helped
    assert finetuned.head is HEAD


def test_ratings_leave_alone_what_agrees_as_well_by_other_means_than_the_head():
    features, opinions = photographs(60)
    finetuned = finetune(HEAD, features, np.eye(6), opinions, before=1.0)
    assert not finetuned.helped
    assert finetuned.head is HEAD


def test_predictions_of_unseen_ratings_are_those_of_refitted_heads():
    """Leaving each rating out in turn and solving the ridge regression anew, as the closed form claims to."""
    features, opinions = photographs(20)
    finetuned = finetune(HEAD, features, np.eye(6), opinions)
    raw = features @ HEAD.weights + HEAD.bias
    targets = raw.mean() + raw.std() * (opinions - opinions.mean()) / opinions.std()
    reached = []
    for ridge in 10.0 ** np.arange(-1, 4.1, 0.5):
        unseen = np.empty(20)
        for index in range(20):
            rest = np.arange(20) != index
            centre, offset = features[rest].mean(0), (targets - raw)[rest].mean()
            design = features[rest] - centre
            penalised = design.T @ design + ridge * 20 * np.eye(6)
            change = np.linalg.solve(penalised, design.T @ ((targets - raw)[rest] - offset))
            unseen[index] = raw[index] + (features[index] - centre) @ change + offset
        reached.append(srcc(unseen, opinions))
    assert finetuned.after == pytest.approx(max(reached), abs=0.05)


@pytest.mark.parametrize("ratings", [np.arange(5.0), np.full(20, 2.0)])
def test_too_little_to_bend_by_is_refused(ratings):
    with pytest.raises(UsageError, match="cannot finetune"):
        finetune(HEAD, np.zeros((len(ratings), 6)), np.eye(6), ratings)
