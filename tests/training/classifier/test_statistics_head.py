from __future__ import annotations

import numpy as np

from dgqa_training.classifier.statistics_head import LIMIT, StatisticsHead, StatisticsRecipe, fit

QUICK = StatisticsRecipe(hidden=32, epochs=20, batch=64, lr=1e-2, dropout=0.1)


def clusters(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Statistics of 26 classes around centres of their own, and the classes."""
    centres = np.random.default_rng(0).normal(size=(26, 10)) * 3
    generator = np.random.default_rng(seed)
    classes = generator.integers(26, size=count)
    return (centres[classes] + generator.normal(size=(count, 10))).astype(np.float16), classes


def test_a_head_tells_classes_that_lie_apart() -> None:
    statistics, classes = clusters(2000, 1)
    losses: list[float] = []
    head = fit(statistics, classes, QUICK, lambda _, loss: losses.append(loss))
    unseen, expected = clusters(500, 2)
    assert (head.logits(unseen).argmax(1) == expected).mean() > 0.9
    assert len(losses) == QUICK.epochs
    assert losses[-1] < losses[0] / 2


def test_the_same_seed_gives_the_same_head() -> None:
    statistics, classes = clusters(300, 1)
    one, other = (fit(statistics, classes, QUICK) for _ in range(2))
    np.testing.assert_array_equal(one.inner, other.inner)


def test_no_single_statistic_can_decide_alone() -> None:
    """Beyond the limit a statistic counts no more: hand-made weights that add up two of them."""
    head = StatisticsHead(
        np.zeros(2, np.float32),
        np.ones(2, np.float32),
        np.ones((1, 2), np.float32),
        np.zeros(1, np.float32),
        np.eye(26, 1, dtype=np.float32),
        np.zeros(26, np.float32),
    )
    assert head.logits(np.array([[1.0, 2.0]]))[0, 0] == 3
    assert head.logits(np.array([[1e4, 0.0]]))[0, 0] == LIMIT
