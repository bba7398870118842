"""The training loop that the regressor and the domain classifier share: seeded, resumable, and safe to kill.

A run lives in a folder, see `loop.run_folder`. A run that is started again in the same folder goes on where
its last state was written, takes the same batches that an undisturbed run would have taken, and draws the
same random numbers, so that it ends with the same weights.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dgqa_infer.errors import ModelError, UsageError
from dgqa_training.loop.averaging import Average
from dgqa_training.loop.crops import Crops, CropSource
from dgqa_training.loop.loading import batches
from dgqa_training.loop.recipe import Recipe
from dgqa_training.loop.run_folder import Position, RunFolder, State


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands; handed to the observer after every step."""

    epoch: int
    step: int
    steps: int
    loss: float
    crops_per_second: float


@dataclass
class Training:
    """One resumable training run.

    Args:
        network: trained in place; its head is every parameter outside `network.backbone`.
        source: the samples.
        loss: (network's outputs, targets float [n]) → scalar.
        recipe: how.
        folder: where the run lives.
        settings: whatever else must not change between start and resume; stored beside the recipe.
        device: "cpu" or "cuda".
        workers: processes that make crops; 0 makes them here.
        choose: (epoch, network) → indices of the samples that this epoch trains on, asked at its start; None
            takes all. SynDR-IQA's DRCDown is one.
        save_every: seconds between states within an epoch.
        judge: averaged network → figures of it, asked at the end of each epoch and written to the log.
        finished: the log's lines so far → whether that is enough, whatever number of epochs was asked for.
    """

    network: nn.Module
    source: CropSource
    loss: Callable[[dict[str, Tensor], Tensor], Tensor]
    recipe: Recipe
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    workers: int = 0
    choose: Callable[[int, nn.Module], NDArray[np.intp]] | None = None
    save_every: float = 300.0
    judge: Callable[[nn.Module], dict[str, float]] | None = None
    finished: Callable[[list[dict[str, Any]]], bool] = lambda _: False

    def __post_init__(self) -> None:
        if len(self.source) == 0:
            raise UsageError("nothing to train on: the selection of types and levels leaves no sample")
        backbone = self._backbone
        known = {id(parameter) for parameter in backbone.parameters()}
        head = [parameter for parameter in self.network.parameters() if id(parameter) not in known]
        groups: list[dict[str, Any]] = [{"params": head, "lr": self.recipe.lr * self.recipe.head_factor}]
        if self.recipe.tune == "head":
            backbone.requires_grad_(False)
        elif self.recipe.tune == "pointwise":
            keep_depthwise(backbone)
        if tuned := [parameter for parameter in backbone.parameters() if parameter.requires_grad]:
            groups.append({"params": tuned, "lr": self.recipe.lr})
        self.network.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._rates: list[float] = [group["lr"] for group in groups]
        self._optimiser = torch.optim.Adam(groups, weight_decay=self.recipe.weight_decay)
        # Begun with the first epoch: until then whoever trains may still change the network.
        self._average: Average | None = None
        self._own: dict[str, Tensor] | None = None
        self._home = RunFolder(self.folder)
        self._state, self._log = Position(), list[dict[str, Any]]()
        self._chosen: NDArray[np.intp] | None = None
        self._opened = False

    def run(
        self, observe: Callable[[Progress], None] = lambda _: None, seconds: float = math.inf
    ) -> nn.Module:
        """Train to the end, from where the folder's state stands.

        Args:
            observe: called after each step.
            seconds: after which the state is written and training stops, after one step at least; another
                call goes on from there.

        Returns:
            The network in evaluation mode, with the averaged weights where the recipe asks for them; its own
            are kept for another call.

        Raises:
            UsageError: the folder holds a run with other settings.
            ModelError: settings or state are damaged, or the loss is no longer finite.
        """
        self.open()
        if self._own is not None:
            self.network.load_state_dict(self._own)
            self._own = None
        until = time.monotonic() + seconds
        while self._state.epoch < self.recipe.epochs and not self.finished(self.log()):
            self._epoch(observe, until)
            if time.monotonic() >= until:
                break
        if self._average:
            self._own = {name: value.clone() for name, value in self.network.state_dict().items()}
            self._average.copy_to(self.network)
        return self.network.eval()

    def log(self) -> list[dict[str, Any]]:
        """What is known of each epoch that is over: epoch, loss, seconds, and what `judge` found.

        Nothing before the run was opened.
        """
        return list(self._log)

    @property
    def fresh(self) -> bool:
        """Whether not a single step has been taken yet."""
        return self._state == Position()

    @property
    def _backbone(self) -> nn.Module:
        return cast(nn.Module, self.network.backbone)

    def claim(self) -> None:
        """Start the folder, or check that it is this run's; the network stays as it is.

        Raises:
            UsageError: the folder holds a run with other settings.
            ModelError: its settings are damaged, or its state is gone.
        """
        self._home.claim(self.recipe, self.settings)

    def open(self) -> None:
        """Start the folder, or check that it is this run's and load its state. Doing it twice does no harm.

        Raises:
            UsageError: the folder holds a run with other settings.
            ModelError: settings or state are damaged, or the state is gone.
        """
        if self._opened:
            return
        before = self._home.claim(self.recipe, self.settings)
        if (state := self._home.load()) is not None:
            self._load(state)
        if before != self.recipe:
            done = self._state.epoch + bool(self._state.step)
            if min(before.warmth(done), self.recipe.warmth(done)) < 1:
                raise UsageError(
                    f"{self.folder} holds a run of {before.epochs} epochs with a cooldown of "
                    f"{before.cooldown}: after {done} of them it is too late for {self.recipe.epochs} and "
                    f"{self.recipe.cooldown}; use another folder"
                )
            self._home.settle(self.recipe, self.settings)
        self._opened = True

    def _epoch(self, observe: Callable[[Progress], None], until: float) -> None:
        state, batch = self._state, self.recipe.batch
        if self.recipe.ema and self._average is None:
            self._average = Average(self.network, self.recipe.ema)
        generator = np.random.default_rng([self.recipe.seed, state.epoch])
        if self._chosen is None:  # else a state within this epoch remembers
            self._chosen = self._choice()
        order = generator.permutation(self._chosen)
        steps = math.ceil(len(order) / batch)
        self.network.train()
        if self.recipe.tune != "all":
            self._backbone.eval()  # normalisation keeps its statistics
        began = saved = time.monotonic()
        before, first = state.seconds, state.step
        for crops, targets in self._batches(order[state.step * batch :].tolist()):
            warmth = self.recipe.warmth(state.epoch + state.step / steps)
            for group, rate in zip(self._optimiser.param_groups, self._rates, strict=True):
                group["lr"] = rate * warmth
            loss = self._step(crops, targets)
            state.step += 1
            state.loss_sum += loss * len(crops)
            state.loss_count += len(crops)
            now = time.monotonic()
            state.seconds = before + now - began
            speed = (state.step - first) * batch / (now - began)
            observe(Progress(state.epoch, state.step, steps, state.loss_sum / state.loss_count, speed))
            if now - saved > self.save_every:
                self._save()
                saved = now
            if now >= until and state.step < steps:
                self._save()
                return
        self._close_epoch()

    def _choice(self) -> NDArray[np.intp]:
        if self.choose is None:
            return np.arange(len(self.source))
        chosen = self.choose(self._state.epoch, self.network)
        if len(chosen) == 0:
            raise UsageError(f"no sample was chosen for epoch {self._state.epoch}")
        return chosen

    def _close_epoch(self) -> None:
        state = self._state
        line = {
            "epoch": state.epoch,
            "loss": state.loss_sum / max(state.loss_count, 1),
            "seconds": round(state.seconds, 1),
            "crops_per_second": round(state.loss_count / max(state.seconds, 1e-9), 2),
        }
        if self.judge:
            line |= self.judge(self._averaged())
        self._state, self._chosen = Position(epoch=state.epoch + 1), None
        self._log.append(line)
        self._save()

    def _averaged(self) -> nn.Module:
        network = copy.deepcopy(self.network).eval()
        if self._average:
            self._average.copy_to(network)
        return network

    def _batches(self, order: list[int]) -> Iterator[tuple[Tensor, Tensor]]:
        epoch = Crops(self.source, self.recipe.seed, self._state.epoch, self.recipe.flip)
        pinned = self.device != "cpu"
        for crops, targets in batches(
            epoch, self.recipe.batch, self.workers, sampler=order, pin_memory=pinned
        ):
            yield crops.to(self.device, non_blocking=True), targets.to(self.device, torch.float32)

    def _step(self, crops: Tensor, targets: Tensor) -> float:
        # What a step draws, for dropout say, depends on its place alone: a run may be broken off anywhere.
        place = [self.recipe.seed, self._state.epoch, self._state.step]
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0]))
        self._optimiser.zero_grad(set_to_none=True)
        with half_where_it_pays(self.device):
            outputs = self.network(crops)
        loss = self.loss(outputs, targets)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise ModelError(
                f"the loss is {value} in epoch {self._state.epoch}, step {self._state.step}: training "
                f"diverged; {self.folder} keeps the last good state; start anew with a smaller rate"
            )
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        if self._average:
            self._average.update(self.network)
        return value

    def _save(self) -> None:
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for index, moments in self._optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{name}": torch.as_tensor(v) for name, v in moments.items()}
        if self._average:
            tensors |= {f"average.{name}": value for name, value in self._average.tensors.items()}
        if self._chosen is not None:
            tensors["chosen"] = torch.from_numpy(self._chosen)
        self._home.save(State(self._state, tensors, self._log))

    def _load(self, state: State) -> None:
        tensors = state.tensors
        try:
            self.network.load_state_dict(_under("network.", tensors))
            kept = self._optimiser.state_dict()
            for name, value in _under("optimiser.", tensors).items():
                index, moment = name.split(".", 1)
                kept["state"].setdefault(int(index), {})[moment] = value
            self._optimiser.load_state_dict(kept)
            if self.recipe.ema:
                self._average = Average(self.network, self.recipe.ema)
                self._average.load(_under("average.", tensors))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            file = self._home.state_file
            raise ModelError(f"{file} does not fit this run: {error}; remove the folder") from error
        self._state, self._log = state.position, list(state.log)
        if "chosen" in tensors:
            self._chosen = tensors["chosen"].numpy()


def keep_depthwise(backbone: nn.Module) -> None:
    """Take depthwise kernels, and the normalisation behind each, out of the training.

    They are a twentieth of EfficientNet-Lite0's weights, and their gradients the slowest part of a step on a
    CPU; see `benchmarks/domains/training.py`.
    """
    depthwise = False
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            depthwise = module.groups > 1
        if depthwise and isinstance(module, nn.Conv2d | nn.BatchNorm2d):
            module.requires_grad_(False)


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def software() -> dict[str, str]:
    """Versions of what trained, for a checkpoint's record."""
    return {package: version(package) for package in ("dgqa-infer", "torch", "numpy", "pillow", "scipy")}


def half_where_it_pays(device: str) -> torch.autocast:
    """Autocast to bf16 where that is faster: on any CUDA device, and on CPUs with AVX512-BF16 or AMX."""
    pays = device != "cpu" or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return torch.autocast(device.split(":")[0], torch.bfloat16, enabled=pays)
