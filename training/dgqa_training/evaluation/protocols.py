"""The two ways in which a figure comes about, the papers' and ours, and a table that never mixes them.

The papers average five random crops and report the epoch that was best on the target itself, so the target's
labels choose the model. Ours judges a fixed grid of crops with the last epoch; the labels only evaluate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgqa_infer.errors import UsageError
from dgqa_infer.images.arrays import Pixels
from dgqa_training.evaluation.correlation import spearman
from dgqa_training.evaluation.metrics import Evaluation, evaluate


@dataclass(frozen=True, slots=True)
class Protocol:
    """How figures are obtained.

    Attributes:
        name: "ours" or "papers".
        crops: which crops of a photograph are judged.
        epoch: which epoch of a training is reported.
        chosen_on_target: whether labels of the target chose anything.
    """

    name: str
    crops: str
    epoch: str
    chosen_on_target: bool

    def __str__(self) -> str:
        return f"{self.name}: {self.crops}, {self.epoch}"


OURS = Protocol("ours", "fixed grid of crops", "no epoch chosen on the target", chosen_on_target=False)
PAPERS = Protocol("papers", "5 random crops", "best epoch on the target", chosen_on_target=True)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One line of a table.

    Attributes:
        trained: what the model was trained on, or the model.
        target: the set that it was evaluated on.
        protocol: how.
        evaluation: the figures.
    """

    trained: str
    target: str
    protocol: Protocol
    evaluation: Evaluation


def table(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Lines of one table, ready to print or for JSON.

    Raises:
        UsageError: they come from different protocols, and so cannot be compared.
    """
    protocols = {outcome.protocol for outcome in outcomes}
    if len(protocols) > 1:
        names = " and ".join(sorted(protocol.name for protocol in protocols))
        raise UsageError(f"figures of the protocols {names} do not belong in one table")
    return [
        {
            "trained on": outcome.trained,
            "target": outcome.target,
            "images": outcome.evaluation.images,
            "SRCC": str(outcome.evaluation.srcc),
            "PLCC": str(outcome.evaluation.plcc),
            "KRCC": str(outcome.evaluation.krcc),
            "PLCC mapped": str(outcome.evaluation.plcc_mapped),
            "RMSE": str(outcome.evaluation.rmse),
        }
        for outcome in outcomes
    ]


def random_crops(image: Pixels, generator: np.random.Generator, count: int = 5, side: int = 224) -> Pixels:
    """The papers' view of a photograph: crops anywhere, without any resizing.

    Args:
        image: uint8 [height, width, 3].
        generator: draws the places.
        count: number of crops.
        side: of a crop, in pixels.

    Returns:
        uint8 [count, side, side, 3].

    Raises:
        UsageError: the photograph is smaller than a crop.
    """
    height, width = image.shape[:2]
    if min(height, width) < side:
        raise UsageError(f"the papers' crops of {side} pixels do not fit a photograph of {width} × {height}")
    tops = generator.integers(height - side + 1, size=count)
    lefts = generator.integers(width - side + 1, size=count)
    return np.stack(
        [image[top : top + side, left : left + side] for top, left in zip(tops, lefts, strict=True)]
    )


def best_epoch(
    epochs: Sequence[NDArray[np.float64]], scores: NDArray[np.float64], higher_is_better: bool
) -> tuple[int, Evaluation]:
    """The papers' figures: those of the epoch whose SRCC on the target is highest.

    Args:
        epochs: predictions after each epoch, [n] each.
        scores: opinions, [n].
        higher_is_better: direction of the opinions.

    Returns:
        The epoch's index, and all figures at that epoch: PLCC is not maximised apart.
    """
    opinions = scores if higher_is_better else -scores
    ones = np.ones((1, len(scores)))
    best = int(np.nanargmax([spearman(predictions, opinions, ones)[0] for predictions in epochs]))
    return best, evaluate(epochs[best], scores, higher_is_better=higher_is_better)
