"""Before a representation is trained: a head for the frozen features, and what a CPU need not do twice."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from dgqa_infer.bundle.preprocessing import STANDARD
from dgqa_training.distortions import DISTORTIONS, LEVELS
from dgqa_training.loop.crop_sources import SyntheticCrops
from dgqa_training.loop.crops import Crops
from dgqa_training.loop.loading import batches
from dgqa_training.loop.loop import half_where_it_pays
from dgqa_training.networks import checkpoints
from dgqa_training.regressor.features import looking, pooled
from dgqa_training.regressor.linear_probe import RidgeSums, set_head
from dgqa_training.regressor.training import synthetic_samples
from dgqa_training.representation.held_out import Where
from dgqa_training.representation.network import StackNetwork
from dgqa_training.representation.pack import Photographs
from dgqa_training.representation.stacks import SIZE, Stacks

_START: Final = "start.safetensors"
_MAPS: Final = "maps.float16"
_RIDGE = 10.0
_LEAST_DEVIATION = 1e-3
_BATCH = 16
_TIMED = 16  # stacks


def fit_start(
    network: StackNetwork,
    photographs: Photographs,
    folder: Path,
    *,
    most: int,
    seed: int,
    where: Where,
) -> None:
    """Give the network a head for the frozen features, and the deviations of these; kept in the folder.

    Args:
        network: not trained yet.
        photographs: whose pristine ones are distorted, with every type and level.
        folder: of the run.
        most: so many images, drawn from all.
        seed: of the draw and the crops.
        where: it is done.
    """
    file = folder / _START
    if not file.exists():
        samples = synthetic_samples(photographs.pristine, tuple(DISTORTIONS), LEVELS)
        order = np.random.default_rng(seed).permutation(len(samples))[:most]
        source = SyntheticCrops([samples[index] for index in order], STANDARD, views=True)
        sums, seen = RidgeSums(network.network.linear.in_channels), []
        look = looking(network.network, where["device"])
        for features, targets in pooled(look, source, seed=seed, workers=where["workers"]):
            sums.add(features.astype(np.float64), targets)
            seen.append(features)
        set_head(network.network, *sums.solve(_RIDGE))
        network.deviation.copy_(torch.from_numpy(np.concatenate(seen).std(0)).clamp(min=_LEAST_DEVIATION))
        checkpoints.write_tensors(file, _unfrozen(network), {})
    tensors, _ = checkpoints.read_tensors(file)
    network.load_state_dict(tensors, strict=False)


def _unfrozen(network: StackNetwork) -> dict[str, torch.Tensor]:
    """What differs from the weights that anybody can have: the head and the deviations."""
    state = network.state_dict()
    return {name: state[name] for name in ("network.linear.weight", "network.linear.bias", "deviation")}


class Remembered:
    """A source whose every sample is made once, put through a function, and read from a file from then on.

    With what frozen blocks make of the crops, a CPU spends its time on what is trained alone; the price is
    that every epoch sees the same crops.

    Args:
        source: the samples.
        made: what the function makes of the samples in order, in batches, float [n, …].
        file: raw numbers; removed by whoever made its folder.
        shape: of one remembered sample.
    """

    def __init__(
        self, source: Stacks, made: Iterable[NDArray[Any]], file: Path, shape: tuple[int, ...]
    ) -> None:
        self._source = source
        self._values = np.memmap(file, np.float16, "w+", shape=(len(source), *shape))
        done = 0
        for batch in made:
            self._values[done : done + len(batch)] = batch
            done += len(batch)

    def __len__(self) -> int:
        return len(self._source)

    def target(self, index: int) -> NDArray[np.float32]:
        """As the source's."""
        return self._source.target(index)

    def crop(self, index: int, generator: np.random.Generator) -> NDArray[np.float16]:  # noqa: ARG002
        """What was remembered of sample `index`; the generator is not asked."""
        return np.asarray(self._values[index])


def remembered(
    stacks: Stacks,
    network: StackNetwork,
    folder: Path,
    *,
    seed: int,
    where: Where,
) -> Remembered:
    """What the frozen blocks make of all stacks, kept in the run's folder.

    Args:
        stacks: of which one crop each is taken.
        network: whose frozen blocks look at them.
        folder: of the run.
        seed: of the crops.
        where: it is done.
    """
    device = where["device"]

    def maps() -> Iterator[NDArray[np.float16]]:
        for found, _ in batches(Crops(stacks, seed, epoch=0, flip=False), _BATCH, where["workers"]):
            with half_where_it_pays(device):
                made = network.frozen_maps(found.flatten(0, 1).to(device))
            yield made.reshape(-1, SIZE, *made.shape[1:]).half().cpu().numpy()

    example = network.frozen_maps(
        torch.zeros(1, STANDARD.crop, STANDARD.crop, 3, dtype=torch.uint8).to(device)
    )
    return Remembered(stacks, maps(), folder / _MAPS, (SIZE, *example.shape[1:]))


def speed_of_making(stacks: Stacks, seed: int, workers: int) -> dict[str, float]:
    """How many stacks a second one process makes, and all of them if they have a core each."""
    crops = Crops(stacks, seed, epoch=0, flip=False)
    crops[0]  # what is compiled at the first call is not counted
    indices = np.random.default_rng(seed).integers(0, len(stacks), _TIMED)
    began = time.monotonic()
    for index in indices.tolist():
        crops[index]
    one = len(indices) / max(time.monotonic() - began, 1e-9)
    return {"made_per_process": round(one, 2), "made": round(one * max(workers, 1), 2)}
