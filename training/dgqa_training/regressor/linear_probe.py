"""The linear probe: a head fitted in closed form on the features of a frozen backbone.

Tuning a pretrained network end to end from a random head spoils what its features know of content before the
head has learnt anything (Kumar et al., "Fine-Tuning can Distort Pretrained Features", ICLR 2022); probing
first avoids that, and on its own it is the baseline that tuning has to beat.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from dgqa_training.loop.crops import CropSource
from dgqa_training.networks.heads import QualityNetwork
from dgqa_training.regressor.features import looking, pooled


@dataclass(slots=True)
class RidgeSums:
    """Sufficient statistics of a ridge regression, so that features need not be kept.

    Attributes:
        channels: of a feature vector.
    """

    channels: int
    count: int = 0
    sum_x: NDArray[np.float64] = field(init=False)
    sum_xx: NDArray[np.float64] = field(init=False)
    sum_xy: NDArray[np.float64] = field(init=False)
    sum_y: float = 0.0
    photographs: int = 0
    sum_dd: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.sum_x = np.zeros(self.channels)
        self.sum_xx = np.zeros((self.channels, self.channels))
        self.sum_xy = np.zeros(self.channels)
        self.sum_dd = np.zeros((self.channels, self.channels))

    def add_differences(self, changes: NDArray[np.float64]) -> None:
        """Take in how a photograph's views differ from it, float64 [views, channels]; their target is 0."""
        self.photographs += 1
        self.sum_dd += changes.T @ changes

    def add(self, features: NDArray[np.float64], targets: NDArray[np.float64]) -> None:
        """Take in samples: features [n, channels], targets [n]."""
        self.count += len(features)
        self.sum_x += features.sum(0)
        self.sum_xx += features.T @ features
        self.sum_xy += features.T @ targets
        self.sum_y += float(targets.sum())

    def solve(self, ridge: float) -> tuple[NDArray[np.float64], float]:
        """Weights [channels] and bias of the ridge regression on standardised features.

        Args:
            ridge: penalty on the squared weights of standardised features, relative to the number of samples.
        """
        mean = self.sum_x / self.count
        covariance = self.sum_xx / self.count - np.outer(mean, mean)
        deviation = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
        mean_y = self.sum_y / self.count
        covariance += self.sum_dd / max(self.photographs, 1)
        correlation = covariance / np.outer(deviation, deviation)
        relation = (self.sum_xy / self.count - mean * mean_y) / deviation
        weights = np.linalg.solve(correlation + ridge * np.eye(self.channels), relation) / deviation
        return weights, float(mean_y - mean @ weights)


@torch.no_grad()
def fit_probe(
    network: QualityNetwork,
    source: CropSource,
    *,
    ridge: float,
    seed: int,
    batch: int = 32,
    device: str = "cpu",
    workers: int = 0,
    observe: Callable[[int], None] = lambda _: None,
) -> None:
    """Set the network's linear head to the ridge regression of the targets on its features.

    Args:
        network: its head must be linear; only `network.linear` changes.
        source: samples; one crop of each is used.
        ridge: see `RidgeSums.solve`.
        seed: of the crops.
        batch: crops at a time.
        device: "cpu" or "cuda".
        workers: processes that make crops; 0 makes them here.
        observe: called after each batch with its number of samples.
    """
    sums = RidgeSums(network.linear.in_channels)
    look = looking(network, device)
    for features, targets in pooled(look, source, seed=seed, batch=batch, workers=workers):
        sums.add(features.astype(np.float64), targets)
        observe(len(targets))
    set_head(network, *sums.solve(ridge))


@torch.no_grad()
def set_head(network: QualityNetwork, weights: NDArray[np.float64], bias: float) -> None:
    """Give the network a linear head: weights float64 [channels], bias on the label scale."""
    network.linear.weight.copy_(torch.from_numpy(weights).view_as(network.linear.weight))
    assert network.linear.bias is not None
    network.linear.bias.fill_(bias)
