"""A domain head that reads how features vary over a crop, not only their mean.

Noise, blur and compression show in how strongly early features vary from place to place; the mean over a crop
hides that. So the head reads the mean and the standard deviation of the stages of a backbone that stays as it
is, and a small network with one hidden layer tells the 26 classes from them. It trains in a minute on
features that are taken once; so a trained classifier is made indifferent to how files are saved without being
trained anew: the features are taken of views (`dgqa_training.synthesis.nuisances`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from dgqa_infer.domains.classes import CLASSES

LIMIT = 8.0
"""Standardised statistics are limited to ±8: a photograph of another kind must not decide by one feature."""


@dataclass(frozen=True, slots=True)
class StatisticsRecipe:
    """How a head is trained.

    Attributes:
        hidden: units of the hidden layer.
        epochs: passes over the crops.
        batch: crops a step.
        lr: highest rate of AdamW; it rises over a seventh of the steps and falls to nothing (one cycle).
        weight_decay: of AdamW.
        dropout: share of hidden units left out in each step.
        smoothing: of labels.
        seed: of weights and order.
    """

    hidden: int = 512
    epochs: int = 8
    batch: int = 512
    lr: float = 1e-3
    weight_decay: float = 1e-2
    dropout: float = 0.4
    smoothing: float = 0.02
    seed: int = 123

    def record(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class StatisticsHead:
    """logits = outer · relu(inner · clip((x − mean) / deviation) + inner_bias) + outer_bias.

    Attributes:
        mean, deviation: float32 [d], of the statistics.
        inner, inner_bias: float32 [h, d] and [h].
        outer, outer_bias: float32 [26, h] and [26].
    """

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    inner: NDArray[np.float32]
    inner_bias: NDArray[np.float32]
    outer: NDArray[np.float32]
    outer_bias: NDArray[np.float32]

    def logits(self, statistics: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Statistics, float [n, d] → logits, float32 [n, 26]."""
        standard = np.clip((statistics.astype(np.float32) - self.mean) / self.deviation, -LIMIT, LIMIT)
        hidden = np.maximum(standard @ self.inner.T + self.inner_bias, 0)
        return np.asarray(hidden @ self.outer.T + self.outer_bias, np.float32)


def fit(
    statistics: NDArray[np.float16],
    classes: NDArray[np.int64],
    recipe: StatisticsRecipe,
    observe: Callable[[int, float], None] = lambda *_: None,
) -> StatisticsHead:
    """Train a head.

    Args:
        statistics: float16 [n, d], of crops.
        classes: int [n], 0–25.
        recipe: how.
        observe: called after each epoch with its number and mean loss.
    """
    torch.manual_seed(recipe.seed)
    some = statistics[:: max(1, len(statistics) // 10_000)].astype(np.float32)
    mean, deviation = some.mean(0), some.std(0) + np.float32(1e-3)
    inner, outer = nn.Linear(statistics.shape[1], recipe.hidden), nn.Linear(recipe.hidden, len(CLASSES))
    network = nn.Sequential(inner, nn.ReLU(), nn.Dropout(recipe.dropout), outer)
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    batch = min(recipe.batch, len(statistics))
    steps = recipe.epochs * (len(statistics) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.lr, total_steps=steps + 1, pct_start=1 / 7
    )
    generator = np.random.default_rng(recipe.seed)
    for epoch in range(recipe.epochs):
        order = generator.permutation(len(statistics))
        losses = []
        for start in range(0, len(order) - batch + 1, batch):
            rows = order[start : start + batch]
            standard = (statistics[rows].astype(np.float32) - mean) / deviation
            seen = torch.from_numpy(np.clip(standard, -LIMIT, LIMIT))
            loss = functional.cross_entropy(
                network(seen), torch.from_numpy(classes[rows]), label_smoothing=recipe.smoothing
            )
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        observe(epoch, float(np.mean(losses)))
    layers = [layer.detach().numpy() for layer in (inner.weight, inner.bias, outer.weight, outer.bias)]
    return StatisticsHead(mean, deviation, *layers)
