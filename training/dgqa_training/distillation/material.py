"""What is distilled from: crops in nine views, what frozen blocks make of them, and what the network says.

All of it is made once and kept in the run's folder, so that a CPU spends its time on what is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, TypedDict, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.errors import UsageError
from dgqa_infer.images.arrays import Pixels
from dgqa_training.distillation.turns import TURNS, turned, turned_map, upright
from dgqa_training.distortions import DISTORTIONS, LEVELS
from dgqa_training.loop.crop_sources import ImageCrops, Synthetic, SyntheticCrops
from dgqa_training.loop.crops import Crops, CropSource
from dgqa_training.loop.loading import batches
from dgqa_training.loop.loop import half_where_it_pays
from dgqa_training.loop.run_folder import digest_of_names
from dgqa_training.networks.efficientnet_lite import EfficientNetLite
from dgqa_training.networks.heads import QualityNetwork
from dgqa_training.regressor.training import synthetic_samples

VIEWS: Final = TURNS + 1
"""The eight turns of a crop, and itself in grey."""

KEPT_BACK: Final = 10
"""Each tenth photograph and content is kept back."""

_BATCH = 4  # crops


class Where(TypedDict):
    """Where work is done: "cpu" or "cuda", and how many processes make crops; 0 makes them in this one."""

    device: str
    workers: int


@dataclass(frozen=True, slots=True)
class Sources:
    """The crops that are looked at.

    Attributes:
        photographs: ordinary ones, of any quality; no ratings are needed.
        pristine: contents that are distorted with every type and level, and seen through views.
        rounds: random crops of each ordinary photograph.
        synthetic: so many crops of distorted contents, drawn from all.
        seed: of the draw and the crops.

    Raises:
        UsageError: there are too few photographs or contents to keep some back.
    """

    photographs: Sequence[Path]
    pristine: Sequence[Path]
    rounds: int = 3
    synthetic: int = 3500
    seed: int = 123

    def __post_init__(self) -> None:
        fewest = min(len(self.photographs), len(self.pristine))
        if fewest <= KEPT_BACK:
            raise UsageError(
                f"{fewest} photographs or contents are too few: more than {KEPT_BACK} are needed"
            )

    @property
    def count(self) -> int:
        """Number of crops."""
        return self.rounds * len(self.photographs) + len(self._drawn())

    @property
    def is_distorted(self) -> NDArray[np.bool_]:
        """Which crops are of distorted contents, bool [n]."""
        return np.arange(self.count) >= self.rounds * len(self.photographs)

    def split(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Crops that are trained on, and those of each tenth photograph and content, which are judged."""
        cases = len(self._samples()) // len(self.pristine)
        ordinary = np.tile(np.arange(len(self.photographs)), self.rounds)
        kept = np.concatenate([ordinary, self._drawn() // cases]) % KEPT_BACK == 0
        return np.flatnonzero(~kept), np.flatnonzero(kept)

    def crops(self, preprocessing: Preprocessing, workers: int) -> Iterator[Pixels]:
        """All crops, uint8 [n, side, side, 3] at a time: each round of the ordinary ones, then the others.

        Raises:
            UsageError: a photograph is smaller than a crop.
        """
        ordinary = ImageCrops(self.photographs, [0.0] * len(self.photographs), preprocessing)
        samples = self._samples()
        distorted = SyntheticCrops([samples[index] for index in self._drawn()], preprocessing, views=True)
        rounds: list[tuple[CropSource, int]] = [(ordinary, number) for number in range(self.rounds)]
        for source, epoch in (*rounds, (distorted, 0)):
            for found, _ in batches(Crops(source, self.seed, epoch, flip=False), _BATCH, workers):
                yield found.numpy()

    def record(self) -> dict[str, Any]:
        """For settings and cards; JSON-able."""
        return {
            "photographs": len(self.photographs),
            "contents": len(self.pristine),
            "names_digest": digest_of_names([*self.photographs, *self.pristine]),
            "rounds": self.rounds,
            "synthetic": self.synthetic,
            "seed": self.seed,
        }

    def _samples(self) -> list[Synthetic]:
        return synthetic_samples(self.pristine, tuple(DISTORTIONS), LEVELS)

    def _drawn(self) -> NDArray[np.intp]:
        return np.random.default_rng(self.seed).permutation(len(self._samples()))[: self.synthetic]


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What was made of the crops of `Sources`, in their order.

    Attributes:
        maps: float16 [n, 9, channels, h', w'], what the frozen blocks make of each view.
        cells: float32 [n, 9, h, h], what the untrained network says of each, on the label scale.
    """

    maps: NDArray[np.float16]
    cells: NDArray[np.float32]

    def targets(self, average: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> NDArray[np.float32]:
        """What should be said of each view: the average over the crop's turns, turned as the view is.

        Args:
            average: of cells [8, h, h] that lie upon each other, [h, h].

        Returns:
            float32 [n, 9, h, h].
        """
        return np.stack([_targets(average(upright(cells[:TURNS]))) for cells in self.cells])


def views(crop: Pixels) -> Pixels:
    """A crop's nine views, uint8 [9, side, side, 3]: its eight turns, then itself in grey."""
    grey = np.asarray(Image.fromarray(crop).convert("L").convert("RGB"))
    return np.concatenate([turned(crop), grey[None]])


def _targets(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([turned_map(cells), cells[None]])


def keep(
    network: QualityNetwork,
    after: str,
    sources: Sources,
    preprocessing: Preprocessing,
    folder: Path,
    *,
    device: str = "cpu",
    workers: int = 0,
    observe: Callable[[int], None] = lambda _: None,
) -> Material:
    """Make the material, or find it made.

    Args:
        network: untrained; its backbone must be an EfficientNet-Lite.
        after: stage of the backbone that is kept.
        sources: of the crops.
        preprocessing: short side of photographs, and side of a crop.
        folder: of the run, which has checked that it is of these sources and settings.
        device: "cpu" or "cuda".
        workers: processes that make crops; 0 makes them here.
        observe: called with the number of crops that were looked at.
    """
    files = [folder / "maps.npy", folder / "cells.npy"]
    if not all(file.exists() for file in files):
        looking = _looking(network, after, device)
        _make(looking, sources, preprocessing, files, workers, observe)
    maps, cells = (np.load(file, mmap_mode="r") for file in files)
    return Material(maps, np.asarray(cells))


_Look: TypeAlias = Callable[[Pixels], tuple[NDArray[np.float16], NDArray[np.float32]]]


def _looking(network: QualityNetwork, after: str, device: str) -> _Look:
    """What makes maps and cells of crops."""
    backbone = cast(EfficientNetLite, network.backbone).folded().to(device)
    backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    network = network.to(device).eval()

    @torch.no_grad()
    def look(crops: Pixels) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
        with half_where_it_pays(device):
            maps = backbone.earlier(network.normalised(torch.from_numpy(crops).to(device)), after)
            features = network.gather(backbone.later(maps, after))
        cells = network.linear(features.float()).squeeze(1)
        return maps.half().cpu().numpy(), cells.cpu().numpy()

    return look


def _make(
    look: _Look,
    sources: Sources,
    preprocessing: Preprocessing,
    files: Sequence[Path],
    workers: int,
    observe: Callable[[int], None],
) -> None:
    """Write both files under other names, which become theirs when they are whole."""
    kept: list[np.memmap[Any, Any]] = []
    parts, done = [file.with_suffix(".part") for file in files], 0
    for crops in sources.crops(preprocessing, workers):
        found: tuple[NDArray[Any], ...] = look(np.concatenate([views(crop) for crop in crops]))
        if not kept:
            kept = [
                np.lib.format.open_memmap(part, "w+", values.dtype, (sources.count, VIEWS, *values.shape[1:]))
                for part, values in zip(parts, found, strict=True)
            ]
        for array, values in zip(kept, found, strict=True):
            array[done : done + len(crops)] = values.reshape(len(crops), VIEWS, *values.shape[1:])
        done += len(crops)
        observe(len(crops))
    for array, part, file in zip(kept, parts, files, strict=True):
        array.flush()
        part.rename(file)
