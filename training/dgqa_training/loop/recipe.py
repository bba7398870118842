"""How a network is trained: rates, batches, and what of it may change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Tune: TypeAlias = Literal["all", "pointwise", "head"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained. The defaults are the authors' (SynDR-IQA's released train_test_IQA).

    Attributes:
        epochs: passes over the samples.
        batch: crops a step.
        lr: Adam's learning rate for the backbone; it stays constant but for the cooldown.
        cooldown: so many epochs at the end over which the rate falls to nothing, in a straight line; the
            authors have none. What is trained before does not depend on when the end comes.
        head_factor: the head's learning rate as a multiple of the backbone's.
        weight_decay: Adam's L2 penalty.
        flip: mirror half of the crops (DGQA's loader does, SynDR-IQA's does not).
        tune: what of the backbone is trained beside the head: "all" of it, as the authors do; "pointwise",
            all but depthwise kernels and what normalises (`keep_depthwise`), which is faster on a CPU; or
            nothing: "head".
        ema: decay of the moving average of the weights that becomes the result; 0 keeps the last weights.
        seed: of order, crops and mirroring.
    """

    epochs: int = 24
    batch: int = 32
    lr: float = 2e-5
    cooldown: int = 0
    head_factor: float = 10.0
    weight_decay: float = 5e-4
    flip: bool = True
    tune: Tune = "all"
    ema: float = 0.0
    seed: int = 123

    def warmth(self, done: float) -> float:
        """Share of the learning rate that is left after so many epochs, 0–1."""
        return min(1.0, (self.epochs - done) / self.cooldown) if self.cooldown else 1.0
