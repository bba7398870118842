"""SynDR-IQA on a set that is being trained on: DDCUp joins contents to it, DRCDown thins it epoch by epoch.

`reshaping.algorithms` holds the two algorithms; here they meet images and networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional
from torch.utils.data import Dataset

from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.errors import UsageError
from dgqa_infer.images.crops import shrink
from dgqa_infer.images.decode import decode
from dgqa_infer.inputs.finder import photographs_in
from dgqa_training import datasets
from dgqa_training.loop.crop_sources import Synthetic, SyntheticCrops, centre_crop
from dgqa_training.loop.crops import CropSource
from dgqa_training.loop.loading import batches
from dgqa_training.loop.loop import half_where_it_pays
from dgqa_training.loop.run_folder import digest_of_names
from dgqa_training.reshaping.algorithms import label_cube, pseudo_samples, thin_clusters

_BATCH = 32


class CentreSource(CropSource, Protocol):
    """Samples whose centre can be looked at, too."""

    def centre(self, index: int) -> NDArray[np.uint8]:
        """The centre crop of a sample, uint8 [side, side, 3]; the same whenever it is asked for."""
        ...


class Joined:
    """Samples of two sources, one after the other.

    Args:
        first: its samples keep their places.
        second: its samples follow.
    """

    def __init__(self, first: CentreSource, second: CentreSource) -> None:
        self.first, self.second = first, second

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def _find(self, index: int) -> tuple[CentreSource, int]:
        here = index < len(self.first)
        return (self.first, index) if here else (self.second, index - len(self.first))

    def target(self, index: int) -> float:
        """What the network should say of sample `index`."""
        source, place = self._find(index)
        return float(source.target(place))

    def crop(self, index: int, generator: np.random.Generator) -> NDArray[np.uint8]:
        """One random crop of sample `index`, uint8 [side, side, 3]."""
        source, place = self._find(index)
        return source.crop(place, generator)

    def centre(self, index: int) -> NDArray[np.uint8]:
        """The centre crop of sample `index`, uint8 [side, side, 3]."""
        source, place = self._find(index)
        return source.centre(place)


def add_contents(
    source: CentreSource,
    labelled: Path,
    candidates: Path,
    network: nn.Module,
    preprocessing: Preprocessing,
    types: Sequence[int],
    device: str = "cpu",
) -> tuple[CentreSource, dict[str, Any]]:
    """DDCUp: join new contents to a set, with labels that its own contents lend them.

    Args:
        source: samples of the set.
        labelled: folder of the set, in KADID-10k's layout with all types and levels.
        candidates: folder of pristine photographs that may be added.
        network: whose features say how alike contents are; with ImageNet weights, before any training.
        preprocessing: short side and crop.
        types: the selected types; of these, levels 1, 3 and 5 are added.
        device: "cpu" or "cuda".

    Returns:
        All samples, and the facts for the record.

    Raises:
        UsageError: the set lacks scores, or there are no candidates.
    """
    files = photographs_in(candidates)
    if not files:
        raise UsageError(f"{candidates} holds no photographs that could be added")
    samples = datasets.load("kadid10k", labelled).samples
    names, labels = label_cube(samples)
    folder = {sample.reference.name: sample.reference for sample in samples if sample.reference}
    reference_features, candidate_features = (
        centre_features(network, [_centre(path, preprocessing) for path in paths], device)
        for paths in ([folder[name] for name in names], files)
    )
    choice, added = pseudo_samples(reference_features, candidate_features, labels, types)
    facts = {
        "candidates": len(files),
        "candidates_digest": digest_of_names(files),
        "added_contents": len(choice.kept),
        "added_images": len(added),
    }
    if not added:
        return source, facts
    extra = [Synthetic(files[new.content], new.domain, new.level, new.label) for new in added]
    return Joined(source, SyntheticCrops(extra, preprocessing)), facts


@dataclass(frozen=True, slots=True)
class Thinning:
    """DRCDown: half of every large cluster of look-alikes, chosen anew at the start of each epoch.

    To be given to `loop.loop.Training` as `choose`.

    Attributes:
        source: all samples.
        originals: that many, from the first, may be thinned; those that DDCUp added stay.
        seed: of the choice.
        device: "cpu" or "cuda".
        workers: processes that make crops.
    """

    source: CentreSource
    originals: int
    seed: int
    device: str = "cpu"
    workers: int = 0

    def __call__(self, epoch: int, network: nn.Module) -> NDArray[np.intp]:
        """Indices of the samples of an epoch, ascending."""
        labels = np.array([self.source.target(index) for index in range(self.originals)])
        centres = _Centres(self.source, self.originals)
        stacks = batches(centres, _BATCH, self.workers)
        features = np.concatenate([_features(network, crops, self.device) for crops in stacks])
        kept = thin_clusters(features, labels, np.random.default_rng([self.seed, epoch]))
        return np.concatenate([kept, np.arange(self.originals, len(self.source))])


class _Centres(Dataset[torch.Tensor]):
    def __init__(self, source: CentreSource, count: int) -> None:
        self.source, self.count = source, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(self.source.centre(index).copy())


def centre_features(
    network: nn.Module, centres: Sequence[NDArray[np.uint8]], device: str = "cpu"
) -> NDArray[np.float32]:
    """What a network's head reads of crops, float32 [n, d]: the mean over each crop.

    Args:
        network: has `features`, as `networks.heads.QualityNetwork` does; it is put into evaluation mode.
        centres: uint8 [side, side, 3] each.
        device: "cpu" or "cuda".
    """
    network.to(device)
    parts = [torch.from_numpy(np.stack(centres[i : i + _BATCH])) for i in range(0, len(centres), _BATCH)]
    return np.concatenate([_features(network, part, device) for part in parts])


@torch.no_grad()
def _features(network: nn.Module, crops: torch.Tensor, device: str) -> NDArray[np.float32]:
    network.eval()
    with half_where_it_pays(device):
        maps = network.features(crops.to(device))  # type: ignore[operator]
    pooled: NDArray[np.float32] = functional.adaptive_avg_pool2d(maps.float(), 1).flatten(1).cpu().numpy()
    return pooled


def _centre(path: Path, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    return centre_crop(shrink(decode(path).pixels, preprocessing), preprocessing.crop)
