"""Figures of contents that were kept back: are degradations ordered, and views left where they were?"""

from __future__ import annotations

from collections import defaultdict
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Subset

from dgqa_training.loop.crops import Crops
from dgqa_training.loop.loading import batches
from dgqa_training.loop.loop import half_where_it_pays
from dgqa_training.representation.stacks import MILD, ORIGINAL, STRONG, STRONG_VIEW, VIEW, Stacks

_BATCH = 16


class Where(TypedDict):
    """Where work is done: "cpu" or "cuda", and how many processes make crops; 0 makes them in this one."""

    device: str
    workers: int


class HeldOut:
    """Stacks that are never trained on, made once.

    Args:
        stacks: of photographs that were kept back.
        most: so many of them at most, spread over all.
        seed: of the crops.
        where: it is done.
    """

    def __init__(self, stacks: Stacks, *, most: int, seed: int, where: Where) -> None:
        chosen = np.unique(np.linspace(0, len(stacks) - 1, min(most, len(stacks))).round().astype(int))
        crops = Subset(Crops(stacks, seed, epoch=0, flip=False), chosen.tolist())
        self._device = where["device"]
        self._batches: list[Tensor] = [found for found, _ in batches(crops, _BATCH, where["workers"])]
        kinds = ["pristine" if stacks.pristine[index] else "authentic" for index in chosen]
        sizes = [f"{1 + len(stacks.compositions[index].on_top)}" for index in chosen]
        self._groups = [f"order_{kind}" for kind in kinds], [f"order_of_{size}" for size in sizes]

    def __len__(self) -> int:
        return sum(map(len, self._batches))

    @torch.no_grad()
    def figures(self, network: nn.Module) -> dict[str, float]:
        """How a network does.

        Args:
            network: takes stacks, gives their `quality`.

        Returns:
            `order`: share of pairs (photograph, mild), (mild, strong) and (photograph, strong) that are
            ranked rightly, also by kind of photograph (`order_pristine` …) and by the number of distortions
            (`order_of_1` …). `view_change` and `view_change_distorted`: mean absolute change of quality from
            a photograph, or a strongly distorted one, to its view, in standard deviations of the
            photographs'.
        """
        network.eval()
        found = []
        for stacks in self._batches:
            with half_where_it_pays(self._device):
                found.append(network(stacks.to(self._device))["quality"].double().cpu())
        quality = torch.cat(found).numpy()
        original, mild, strong = quality[:, ORIGINAL], quality[:, MILD], quality[:, STRONG]
        right = np.stack([original > mild, mild > strong, original > strong], 1).mean(1)
        spread = max(float(original.std()), 1e-9)
        shares = defaultdict(list, order=right.tolist())
        for groups in self._groups:
            for group, share in zip(groups, right.tolist(), strict=True):
                shares[group].append(share)
        changes = {
            "view_change": np.abs(quality[:, VIEW] - original).mean() / spread,
            "view_change_distorted": np.abs(quality[:, STRONG_VIEW] - strong).mean() / spread,
        }
        means = {name: float(np.mean(values)) for name, values in sorted(shares.items())}
        return {name: round(float(value), 5) for name, value in {**means, **changes}.items()}
