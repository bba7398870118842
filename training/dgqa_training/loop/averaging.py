"""Exponential moving average of weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Average:
    """Exponential moving average of a network's floating-point tensors.

    Args:
        network: where it begins.
        decay: share of the average that stays at each step, 0–1.

    Attributes:
        tensors: the average, by the names of the network's state dict.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.tensors = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take in the network's weights after a step."""
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                self.tensors[name].lerp_(value, 1 - self.decay)
            else:
                self.tensors[name].copy_(value)

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from an average that was kept; it may lie on another device.

        Raises:
            ValueError: it is of another network.
        """
        for name, value in self.tensors.items():
            if name not in tensors or tensors[name].shape != value.shape:
                raise ValueError(f"it has no average of {name}")
            value.copy_(tensors[name])

    def copy_to(self, network: nn.Module) -> None:
        """Give the network the averaged weights."""
        network.load_state_dict(self.tensors)
