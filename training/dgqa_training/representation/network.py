"""The network that looks at stacks, and what it is told of them.

Blocks up to a stage are frozen, with ImageNet's weights; those behind are trained, their normalisation keeps
its statistics. The frozen network stays at hand: what it reads of undistorted photographs is to be kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from dgqa_training.labels.labels import PRISTINE_LABEL
from dgqa_training.networks.efficientnet_lite import EfficientNetLite
from dgqa_training.networks.heads import QualityNetwork
from dgqa_training.representation.stacks import MILD, ORIGINAL, STRONG, STRONG_VIEW, VIEW


@dataclass(frozen=True, slots=True)
class Objective:
    """What counts how much.

    Attributes:
        order: a better image should stand above a worse one by `margin`.
        view: features of a view should be those of what it is a view of.
        keep: features of undistorted photographs should stay those of the frozen network.
        anchor: quality should fall by as much as KADID's labels do, where there are labels.
        margin: on the label scale, 0–10.
    """

    order: float = 1.0
    view: float = 1.0
    keep: float = 1.0
    anchor: float = 0.5
    margin: float = 0.5

    def __call__(self, outputs: dict[str, Tensor], targets: Tensor) -> Tensor:
        """The loss of a batch of stacks.

        Args:
            outputs: of a `StackNetwork`.
            targets: float [n, 2], labels of mild and strong; NaN where there are none.
        """
        quality, features = outputs["quality"], outputs["features"]
        original, mild, strong = quality[:, ORIGINAL], quality[:, MILD], quality[:, STRONG]
        order = order_loss(original, mild, self.margin) + order_loss(mild, strong, self.margin)
        moved = features[:, [VIEW, STRONG_VIEW]] - features[:, [ORIGINAL, STRONG]]
        kept = features[:, ORIGINAL] - outputs["kept"]
        anchor = anchor_loss(original[:, None] - torch.stack([mild, strong], 1), PRISTINE_LABEL - targets)
        return (
            self.order * order
            + self.view * moved.square().mean()
            + self.keep * kept.square().mean()
            + self.anchor * anchor
        )


def order_loss(better: Tensor, worse: Tensor, margin: float) -> Tensor:
    """Mean of max(0, f(worse) − f(better) + ε): Liu, van de Weijer, Bagdanov, "RankIQA" (ICCV 2017).

    Args:
        better: float [n], quality of what is better.
        worse: float [n], quality of what is worse.
        margin: ε.
    """
    return functional.margin_ranking_loss(better, worse, torch.ones_like(better), margin)


def anchor_loss(falls: Tensor, labels: Tensor) -> Tensor:
    """Mean absolute error of how far quality falls, over the cases that have labels; 0 where none has.

    Args:
        falls: float [n, 2], by which quality is lower than that of the undistorted photograph.
        labels: float [n, 2], by which it should be; NaN where unknown.
    """
    known = ~labels.isnan()
    errors = torch.where(known, falls - labels.nan_to_num(), 0.0).abs()
    return errors.sum() / known.sum().clamp(min=1)


class StackNetwork(nn.Module):
    """A quality network that is called with stacks, and trained behind a stage.

    Args:
        network: whose head reads stages behind `after` alone.
        after: stage of the backbone; it and all before it are frozen.

    Attributes:
        network: as given; trained in place.
        deviation: float [channels], by which features are divided before they are compared.
    """

    deviation: Tensor

    def __init__(self, network: QualityNetwork, after: str) -> None:
        super().__init__()
        self.network = network
        self.after = after
        self.backbone_.freeze(after)
        # Nothing depends on it, and Adam would make steps of rounding errors.
        cast(Tensor, network.linear.bias).requires_grad_(False)
        self.register_buffer("deviation", torch.ones(network.linear.in_channels))
        untrained = self.backbone_.folded().requires_grad_(False)
        untrained.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # In a tuple, so that it is no part of what is trained, averaged and written.
        self._untrained = (untrained,)

    @property
    def backbone(self) -> nn.Module:
        """What learns at the rate of the recipe; the head learns faster."""
        return self.network.backbone

    @property
    def backbone_(self) -> EfficientNetLite:
        """The same, typed."""
        return cast(EfficientNetLite, self.network.backbone)

    def train(self, mode: bool = True) -> StackNetwork:
        """As every module's, but normalisation keeps its statistics."""
        super().train(mode)
        self.backbone.eval()
        return self

    @torch.no_grad()
    def frozen_maps(self, crops: Tensor) -> Tensor:
        """What the frozen blocks make of crops: uint8 [n, h, w, 3] → float [n, channels, h', w']."""
        return self._frozen(crops.device).earlier(self.network.normalised(crops), self.after)

    def forward(self, stacks: Tensor) -> dict[str, Tensor]:
        """Judge stacks.

        Args:
            stacks: uint8 [n, k, h, w, 3]; or what `frozen_maps` made of such, float [n, k, channels, h', w'].

        Returns:
            `quality` float32 [n, k], on the label scale; `features` float32 [n, k, d], pooled, in deviations;
            `kept` float32 [n, d], the frozen network's features of the first crop of each.
        """
        count = stacks.shape[1]
        flat = stacks.flatten(0, 1)
        maps = self.frozen_maps(flat) if stacks.dtype == torch.uint8 else flat.float()
        features = self.network.gather(self.backbone_.later(maps, self.after))
        with torch.no_grad():
            kept = self.network.gather(self._frozen(flat.device).later(maps[::count], self.after))
        with torch.autocast(flat.device.type, enabled=False):
            quality = self.network.linear(features.float()).mean((1, 2, 3))
            pooled = features.float().mean((2, 3)) / self.deviation
            kept = kept.float().mean((2, 3)) / self.deviation
        return {
            "quality": quality.view(-1, count),
            "features": pooled.view(-1, count, pooled.shape[1]),
            "kept": kept,
        }

    def _frozen(self, device: torch.device) -> EfficientNetLite:
        (network,) = self._untrained
        if next(network.parameters()).device != device:
            network.to(device)
        return network
