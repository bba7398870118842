"""Train a representation: order degradations, ignore views, keep what is known of photographs.

No opinion of a real photograph is read, neither to train nor to stop: training ends when its time is over, or
when the order of contents that were kept back has not become better for some epochs.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from dgqa_infer.bundle.preprocessing import STANDARD
from dgqa_infer.errors import UsageError
from dgqa_training.loop.loop import Progress, Training, software
from dgqa_training.loop.recipe import Recipe
from dgqa_training.loop.run_folder import digest_of_names
from dgqa_training.networks import checkpoints, efficientnet_lite
from dgqa_training.networks.heads import Head, QualityNetwork, pretrained_backbone
from dgqa_training.regressor.training import STAGES
from dgqa_training.representation.held_out import HeldOut, Where
from dgqa_training.representation.network import Objective, StackNetwork
from dgqa_training.representation.pack import Photographs
from dgqa_training.representation.preparation import fit_start, remembered, speed_of_making
from dgqa_training.representation.stacks import SIZE, Stacks

CHECKPOINT: Final = "representation.safetensors"
"""Name of the result in the run's folder: a checkpoint of a quality network."""

_BEST = "best.safetensors"


@dataclass(frozen=True, slots=True)
class RepresentationConfig:
    """How a representation is trained.

    Attributes:
        backbone: one of EfficientNet-Lite's.
        after: stage up to which it is frozen: "blocks4" or "blocks5", say.
        recipe: its `epochs` are the most there can be; `tune` must be "all" and `flip` off: `after` says
            what is trained, and stacks are mirrored by their views.
        objective: what counts how much.
        rounds: stacks of each photograph in an epoch.
        kept_back: share of the photographs that is never trained on.
        judged: so many stacks of those, at most, are looked at after each epoch.
        patience: epochs without a better order after which training ends.
        probed: images that the head is first fitted to.
        remember: keep what the frozen blocks make of the stacks, for a CPU; every epoch sees the same crops.
        seed: of all choices.
    """

    backbone: str = "efficientnet_lite0"
    after: str = "blocks5"
    recipe: Recipe = field(
        default_factory=lambda: Recipe(
            epochs=1000, batch=32, lr=1e-4, weight_decay=0.0, flip=False, ema=0.998, head_factor=1.0
        )
    )
    objective: Objective = field(default_factory=Objective)
    rounds: int = 24
    kept_back: float = 0.125
    judged: int = 512
    patience: int = 4
    probed: int = 2_000
    remember: bool = False
    seed: int = 123

    def __post_init__(self) -> None:
        if self.recipe.tune != "all" or self.recipe.flip:
            raise UsageError(
                f"a representation is tuned behind {self.after}, and its views mirror: the recipe's tune "
                f"must be 'all' and its flip False, not {self.recipe.tune!r} and {self.recipe.flip}"
            )
        if self.backbone not in efficientnet_lite.VARIANTS:
            raise UsageError(f"{self.backbone} cannot be frozen up to a stage: take EfficientNet-Lite's")
        behind = efficientnet_lite.STAGES[efficientnet_lite.STAGES.index(self.after) + 1 :]
        if not set(STAGES[self.backbone]) <= set(behind):
            raise UsageError(
                f"the head reads {', '.join(STAGES[self.backbone])}; freeze less than {self.after}"
            )

    def record(self) -> dict[str, Any]:
        """For settings and checkpoints; JSON-able."""
        return dict(json.loads(json.dumps(asdict(self))))


@dataclass(frozen=True, slots=True)
class Representation:
    """What came of a run.

    Attributes:
        checkpoint: also written to the run's folder.
        before: figures of what was kept back before training, see `held_out.HeldOut.figures`.
        after: those of the result.
        epochs: the log's lines.
        speed: stacks a second that were trained on, and that one process and all processes make.
    """

    checkpoint: checkpoints.Checkpoint
    before: dict[str, float]
    after: dict[str, float]
    epochs: list[dict[str, Any]]
    speed: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Everything but the weights, JSON-able."""
        figures = {"before": self.before, "after": self.after}
        return {"figures": figures, "epochs": self.epochs, "speed": self.speed, **self.checkpoint.training}


def train(
    photographs: Photographs,
    config: RepresentationConfig,
    folder: Path,
    *,
    minutes: float,
    where: Where,
    observe: Callable[[Progress], None] = lambda _: None,
    report: Callable[[str], None] = lambda _: None,
) -> Representation:
    """Train a representation; called again with the same settings it goes on where it was.

    Args:
        photographs: pristine and authentic ones.
        config: how.
        folder: of the run; ends up with `CHECKPOINT`.
        minutes: of training in this call; what comes before and after takes some more.
        where: it is done.
        observe: called after each step.
        report: called with a line about what is being done.

    Raises:
        UsageError: too few photographs, or the folder holds another run.
        ModelError: weights are missing, a state is damaged, or the loss diverged.
    """
    torch.manual_seed(config.seed)
    trained, kept = photographs.split(config.kept_back)
    stacks = Stacks(trained, STANDARD, rounds=config.rounds, seed=config.seed)
    report(f"{len(stacks):,} stacks of {SIZE} crops an epoch; making those that are kept back")
    held_out = _held_out(kept, config, where)
    network = StackNetwork(_quality_network(config), config.after)
    judge = _Judge(held_out, folder, report)
    training = Training(
        network, stacks, config.objective, config.recipe, folder, _settings(config, photographs, trained),
        **where, judge=judge, finished=functools.partial(enough, patience=config.patience), save_every=60.0,
    )  # fmt: skip
    training.claim()  # before anything is read from the folder, or left in it
    report("fitting the head that training starts from")
    fit_start(network, trained, folder, most=config.probed, seed=config.seed, where=where)
    before = held_out.figures(network)
    report(f"kept back, before training: {before}")
    training.open()
    speed = speed_of_making(stacks, config.seed, where["workers"])
    report(f"making: {speed['made_per_process']:.1f} stacks/s a process, {speed['made']:.1f} in all")
    if config.remember:
        training.source = remembered(stacks, network, folder, seed=config.seed, where=where)
    counted = _Counted(observe)
    training.run(counted, 60 * minutes)
    after = judge.best_of(network)
    checkpoint = _checkpoint(network, config, photographs, kept, {"before": before, "after": after})
    checkpoints.save(folder / CHECKPOINT, checkpoint)
    return Representation(checkpoint, before, after, training.log(), {**speed, "trained": counted.speed})


def _quality_network(config: RepresentationConfig) -> QualityNetwork:
    return QualityNetwork(pretrained_backbone(config.backbone), Head(STAGES[config.backbone]))


def _held_out(kept: Photographs, config: RepresentationConfig, where: Where) -> HeldOut:
    rounds = -(-config.judged // len(kept.pristine + kept.authentic))
    stacks = Stacks(kept, STANDARD, rounds=rounds, seed=config.seed + 1)
    return HeldOut(stacks, most=config.judged, seed=config.seed, where=where)


def _settings(config: RepresentationConfig, all_: Photographs, trained: Photographs) -> dict[str, Any]:
    """What makes a run another run, the recipe apart: the training looks at that itself.

    What is judged is part of it: the best epoch so far is known by an order of just these stacks.
    """
    record = config.record()
    del record["recipe"], record["patience"]
    names = [digest_of_names(paths) for paths in (all_.pristine, all_.authentic)]
    return {**record, "contents": [len(trained.pristine), len(trained.authentic)], "names_digest": names}


class _Judge:
    """Looks at what was kept back after each epoch, and keeps the network that ordered it best."""

    def __init__(self, held_out: HeldOut, folder: Path, report: Callable[[str], None]) -> None:
        self._held_out, self._file, self._report = held_out, folder / _BEST, report

    def __call__(self, network: nn.Module) -> dict[str, float]:
        figures = self._held_out.figures(network)
        if figures["order"] > self._best()["order"]:
            record = {"figures": json.dumps(figures)}
            checkpoints.write_tensors(self._file, network.state_dict(), record)
        self._report(f"kept back: {figures}")
        return figures

    def best_of(self, network: nn.Module) -> dict[str, float]:
        """Give a network the weights of the epoch that ordered best, unless it orders better itself.

        Returns:
            Figures of what it is then.
        """
        figures, best = self._held_out.figures(network), self._best()
        if best["order"] <= figures["order"]:
            return figures
        network.load_state_dict(checkpoints.read_tensors(self._file)[0])
        return best

    def _best(self) -> dict[str, float]:
        if not self._file.exists():
            return {"order": -1.0}
        return dict(json.loads(checkpoints.read_tensors(self._file)[1]["figures"]))


def enough(log: list[dict[str, Any]], patience: int) -> bool:
    """Whether the order of what was kept back has not become better for so many epochs."""
    orders = [line["order"] for line in log]
    return len(orders) > patience and max(orders[-patience:]) <= max(orders[:-patience])


class _Counted:
    """Remembers how many stacks a second were trained on."""

    def __init__(self, observe: Callable[[Progress], None]) -> None:
        self._observe = observe
        self.speed = 0.0

    def __call__(self, progress: Progress) -> None:
        self.speed = round(progress.crops_per_second, 2)
        self._observe(progress)


def _checkpoint(
    network: StackNetwork,
    config: RepresentationConfig,
    photographs: Photographs,
    kept: Photographs,
    figures: dict[str, dict[str, float]],
) -> checkpoints.Checkpoint:
    record = {
        **config.record(),
        "photographs": {"pristine": len(photographs.pristine), "authentic": len(photographs.authentic)},
        "held_out": [path.name for path in (*kept.pristine, *kept.authentic)],
        "figures": figures,
    }
    return checkpoints.Checkpoint(
        task="quality",
        backbone=config.backbone,
        head=network.network.head,
        preprocessing=STANDARD,
        tensors=network.network.cpu().state_dict(),
        training={"representation": record, "software": software()},
    )
