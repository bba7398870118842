"""The training loop that the regressor and the domain classifier share: seeded, resumable, and safe to kill.

A run lives in a folder: `settings.json` (what was asked for), `log.jsonl` (one line an epoch) and
`state.safetensors` (network, optimiser and position; written whole or not at all). A run that is started
again in the same folder goes on where its last state was written, and takes the same batches that an
undisturbed run would have taken.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset

from dgqa_infer.errors import ModelError, UsageError
from dgqa_training.loop.averaging import Average
from dgqa_training.loop.loading import batches
from dgqa_training.networks.checkpoints import read_tensors, write_tensors


class CropSource(Protocol):
    """Training samples: crops that are cut anew each time, and what each should be given."""

    def __len__(self) -> int: ...

    def crop(self, index: int, generator: np.random.Generator) -> NDArray[Any]:
        """One random crop of sample `index`, uint8 [h, w, 3]; all randomness comes from the generator.

        It may be a stack of crops, or anything else that the network takes.
        """
        ...

    def target(self, index: int) -> Any:
        """What the network should say of sample `index`: a quality on 0–10, or a class number; or several."""
        ...


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


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands; handed to the observer after every step."""

    epoch: int
    step: int
    steps: int
    loss: float
    crops_per_second: float


@dataclass(slots=True)
class _State:
    """What a state file holds besides tensors."""

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    seconds: float = 0.0


class Crops(Dataset[tuple[Tensor, Any]]):
    """One epoch's crops, each drawn from a generator of its own, so that order and workers do not matter.

    Args:
        source: the samples.
        seed: of all randomness.
        epoch: every epoch sees other crops.
        flip: mirror half of them.
    """

    def __init__(self, source: CropSource, seed: int, epoch: int, flip: bool) -> None:
        self.source, self.seed, self.epoch, self.flip = source, seed, epoch, flip

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[Tensor, Any]:
        generator = np.random.default_rng([self.seed, self.epoch, index])
        crop = self.source.crop(index, generator)
        if self.flip and generator.random() < 0.5:
            crop = crop[:, ::-1]
        return torch.from_numpy(crop.copy()), self.source.target(index)


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
        self._average = Average(self.network, self.recipe.ema) if self.recipe.ema else None
        self._state = _State()
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
            The network in evaluation mode, with the averaged weights where the recipe asks for them.

        Raises:
            UsageError: the folder holds a run with other settings.
            ModelError: the state is damaged, or the loss is no longer finite.
        """
        self.open()
        until = time.monotonic() + seconds
        while self._state.epoch < self.recipe.epochs and not self.finished(self.log()):
            self._epoch(observe, until)
            if time.monotonic() >= until:
                break
        if self._average:
            self._average.copy_to(self.network)
        return self.network.eval()

    def log(self) -> list[dict[str, Any]]:
        """What was written at the end of each epoch: epoch, loss, seconds, and what `judge` found."""
        file = self.folder / "log.jsonl"
        return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []

    @property
    def fresh(self) -> bool:
        """Whether not a single step has been taken yet."""
        return self._state == _State()

    @property
    def _backbone(self) -> nn.Module:
        return cast(nn.Module, self.network.backbone)

    def open(self) -> None:
        """Start the folder, or check that it is this run's and load its state. Doing it twice does no harm.

        Raises:
            UsageError: the folder holds a run with other settings.
            ModelError: the state is damaged or gone.
        """
        if self._opened:
            return
        self._opened = True
        self.folder.mkdir(parents=True, exist_ok=True)
        asked = json.loads(json.dumps({"recipe": asdict(self.recipe), **self.settings}))
        file = self.folder / "settings.json"
        if not file.exists():
            file.write_text(json.dumps(asked, indent=2) + "\n", encoding="utf-8")
        kept = json.loads(file.read_text(encoding="utf-8"))
        try:
            before = Recipe(**kept["recipe"])
        except TypeError as error:
            raise UsageError(f"{self.folder} holds a run of another version: {error}") from error
        # How long a run goes on may change until its rate begins to fall; anything else makes it another run.
        kept["recipe"] = asdict(replace(before, epochs=self.recipe.epochs, cooldown=self.recipe.cooldown))
        for name in sorted({*kept, *asked}):
            if kept.get(name) != asked.get(name):
                raise UsageError(
                    f"{self.folder} holds a run with another {name}: {kept.get(name)} there, "
                    f"{asked.get(name)} now; use another folder, or the same settings to resume"
                )
        if (self.folder / "state.safetensors").exists():
            self._load()
        elif (self.folder / "log.jsonl").exists():
            raise ModelError(f"{self.folder} has a log but its state.safetensors is gone; remove the folder")
        if before != self.recipe:
            done = self._state.epoch + bool(self._state.step)
            if min(before.warmth(done), self.recipe.warmth(done)) < 1:
                raise UsageError(
                    f"{self.folder} holds a run of {before.epochs} epochs with a cooldown of "
                    f"{before.cooldown}: after {done} of them it is too late for {self.recipe.epochs} and "
                    f"{self.recipe.cooldown}; use another folder"
                )
            file.write_text(json.dumps(asked, indent=2) + "\n", encoding="utf-8")

    def _epoch(self, observe: Callable[[Progress], None], until: float) -> None:
        state, batch = self._state, self.recipe.batch
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
        self._state, self._chosen = _State(epoch=state.epoch + 1), None
        self._save()
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

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
        write_tensors(self.folder / "state.safetensors", tensors, {"state": json.dumps(asdict(self._state))})

    def _load(self) -> None:
        file = self.folder / "state.safetensors"
        tensors, metadata = read_tensors(file)
        try:
            self._state = _State(**json.loads(metadata["state"]))
            self.network.load_state_dict(_under("network.", tensors))
            kept = self._optimiser.state_dict()
            for name, value in _under("optimiser.", tensors).items():
                index, moment = name.split(".", 1)
                kept["state"].setdefault(int(index), {})[moment] = value
            self._optimiser.load_state_dict(kept)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ModelError(f"{file} does not fit this run: {error}; remove the folder") from error
        if self._average:
            self._average.tensors = _under("average.", tensors)
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


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def software() -> dict[str, str]:
    """Versions of what trained, for a checkpoint's record."""
    return {package: version(package) for package in ("dgqa-infer", "torch", "numpy", "pillow", "scipy")}


def half_where_it_pays(device: str) -> torch.autocast:
    """Autocast to bf16 where that is faster: on any CUDA device, and on CPUs with AVX512-BF16 or AMX."""
    pays = device != "cpu" or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return torch.autocast(device.split(":")[0], torch.bfloat16, enabled=pays)
