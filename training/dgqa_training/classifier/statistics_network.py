"""A classifier's trunk and its statistics head, trained together on views.

A head alone cannot make a trunk tell what the trunk has not learnt to see. So the blocks behind a stage are
trained too, on crops seen through views that are no fault; normalisation keeps its statistics.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from dgqa_training.classifier.statistics_head import LIMIT, StatisticsHead
from dgqa_training.loop.crops import CropSource
from dgqa_training.loop.loop import Progress, Training
from dgqa_training.loop.recipe import Recipe
from dgqa_training.networks.efficientnet_lite import EfficientNetLite

_LEAST_VARIANCE = 1e-6  # the square root of nothing has no gradient


@dataclass(frozen=True, slots=True)
class TrunkConfig:
    """How a trunk is trained.

    Attributes:
        recipe: of the training; the head learns at the same rate.
        after: stage up to which the backbone stays as it is.
        crop: side of a training crop, in pixels; scoring's are larger, and the trunk does not mind.
        rounds: crops that are kept of each image, of which training crops are cut.
        dropout: share of the head's hidden units left out in each step.
        smoothing: of labels.
        pristine: by which the logit of "pristine" is raised in the end. One image in five that are trained
            on is pristine; most photographs that users have are.
    """

    recipe: Recipe = field(
        default_factory=lambda: Recipe(
            epochs=9,
            batch=64,
            lr=1.5e-4,
            cooldown=9,
            head_factor=1.0,
            weight_decay=0.0,
            tune="pointwise",
            ema=0.998,
        )
    )
    after: str = "blocks2"
    crop: int = 160
    rounds: int = 2
    dropout: float = 0.4
    smoothing: float = 0.02
    pristine: float = 1.1

    def record(self) -> dict[str, Any]:
        """For settings and cards; JSON-able."""
        return dict(json.loads(json.dumps(asdict(self))))


class StatisticsNetwork(nn.Module):
    """Crops → logits of the 26 domains, by the mean and the deviation of a backbone's stages.

    Args:
        backbone: whose stages are read, all but the last.
        head: where training starts.
        dropout: see `TrunkConfig`.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, backbone: EfficientNetLite, head: StatisticsHead, dropout: float = 0.0) -> None:
        super().__init__()
        self.backbone: nn.Module = backbone
        self.inner = _linear(head.inner, head.inner_bias)
        self.outer = _linear(head.outer, head.outer_bias)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("mean", torch.tensor(head.mean))
        self.register_buffer("deviation", torch.tensor(head.deviation))

    def statistics(self, crops: Tensor) -> Tensor:
        """What the head reads: uint8 [n, h, w, 3] → float32 [n, d]; see `graphs.statistics_head`."""
        backbone = cast(EfficientNetLite, self.backbone)
        mean, scale = (
            crops.new_tensor(each, dtype=torch.float32) for each in (backbone.mean, backbone.scale)
        )
        normalised = ((crops.float() - mean) / scale).permute(0, 3, 1, 2)
        parts: list[Tensor] = []
        for stage in list(backbone.stages(normalised).values())[:-1]:
            variance, level = torch.var_mean(stage.float(), (2, 3), correction=0)
            parts += [level, variance.clamp(min=_LEAST_VARIANCE).sqrt()]
        return torch.cat(parts, 1)

    def forward(self, crops: Tensor) -> dict[str, Tensor]:
        """Tell which synthetic domain crops resemble.

        Args:
            crops: uint8 [n, h, w, 3], RGB 0–255; h and w multiples of 32.

        Returns:
            `domain_logits` float32 [n, 26]; class 0 is pristine, 1–25 are KADID's types.
        """
        statistics = self.statistics(crops)
        with torch.autocast(crops.device.type, enabled=False):
            standard = ((statistics - self.mean) / self.deviation).clamp(-LIMIT, LIMIT)
            hidden = self.dropout(functional.relu(self.inner(standard)))
            return {"domain_logits": self.outer(hidden)}

    def head(self) -> StatisticsHead:
        """The head as it is now."""
        tensors = (
            self.mean,
            self.deviation,
            self.inner.weight,
            self.inner.bias,
            self.outer.weight,
            self.outer.bias,
        )
        return StatisticsHead(*(tensor.detach().cpu().numpy().copy() for tensor in tensors))


def train_trunk(
    network: StatisticsNetwork,
    source: CropSource,
    config: TrunkConfig,
    folder: Path,
    settings: dict[str, Any],
    *,
    device: str = "cpu",
    workers: int = 0,
    observe: Callable[[Progress], None] = lambda _: None,
) -> None:
    """Train a network in place; started again in the same folder it goes on where it was.

    Args:
        network: starts as it is.
        source: of crops of side `config.crop`, labelled with their classes.
        config: how.
        folder: of the run.
        settings: what else makes a run another run; JSON-able.
        device: "cpu" or "cuda".
        workers: processes that cut crops; 0 cuts them here.
        observe: called after each step with the progress.

    Raises:
        UsageError: the folder holds another run.
        ModelError: a state is damaged, or the loss diverged.
    """
    torch.manual_seed(config.recipe.seed)
    cast(EfficientNetLite, network.backbone).freeze(config.after)

    def loss(outputs: dict[str, Tensor], targets: Tensor) -> Tensor:
        return functional.cross_entropy(
            outputs["domain_logits"], targets.long(), label_smoothing=config.smoothing
        )

    record = {name: value for name, value in config.record().items() if name != "recipe"}
    training = Training(
        network, source, loss, config.recipe, folder, {**record, **settings}, device=device, workers=workers
    )
    training.run(observe)
    network.cpu()


def _linear(weights: Any, bias: Any) -> nn.Linear:
    layer = nn.Linear(weights.shape[1], weights.shape[0])
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weights))
        layer.bias.copy_(torch.from_numpy(bias))
    return layer
