"""Features of a synthetic set under a frozen backbone, taken once: then any selection trains in a moment.

A linear head on a frozen network sees an image only through its features. With those of all 25 types at hand,
comparing selections of domains, or adapting to new photographs, needs no image any more.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, cast
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from dgqa_infer.atomic import whole_file
from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.errors import ModelError, UsageError
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.inputs.finder import photographs_in
from dgqa_training import datasets
from dgqa_training.distortions import DISTORTIONS, LEVELS
from dgqa_training.loop.crop_sources import PRISTINE, ImageCrops, Synthetic, SyntheticCrops
from dgqa_training.loop.crops import Crops, CropSource
from dgqa_training.loop.loading import batches
from dgqa_training.loop.loop import half_where_it_pays
from dgqa_training.networks.efficientnet_lite import EfficientNetLite
from dgqa_training.networks.heads import QualityNetwork

Look = Callable[[Pixels], NDArray[np.floating[Any]]]
"""Crops uint8 [n, side, side, 3] → their features, float [n, d], each the mean over its crop."""


class Case(NamedTuple):
    """One image of a synthetic set: which content, and what was done to it.

    Attributes:
        content: file name of the pristine photograph.
        type: 1–25, or `PRISTINE`.
        level: 1–5; 0 for a pristine one.
    """

    content: str
    type: int
    level: int


@dataclass(frozen=True, slots=True, eq=False)
class FeatureTable:
    """Features of every image of a set.

    Attributes:
        features: float16 [n, d]: the mean over a crop of what the head reads.
        contents: int [n], which photograph each image was made of, 0 … in order of names.
        types: int [n], 0–25.
        levels: int [n], 0–5.
        differences: float16 [photographs, views, d], between views of unlabelled photographs and themselves,
            see `consistency.differences`; None where none were looked at.
        record: backbone, stages, preprocessing, seed and number of contents; JSON-able.
    """

    features: NDArray[np.float16]
    contents: NDArray[np.int64]
    types: NDArray[np.int64]
    levels: NDArray[np.int64]
    record: Mapping[str, Any] = field(default_factory=dict)
    differences: NDArray[np.float16] | None = None

    def with_differences(self, differences: NDArray[np.floating[Any]]) -> FeatureTable:
        """The same with differences between views, float [photographs, views, d]."""
        return replace(self, differences=differences.astype(np.float16))

    def save(self, file: Path, *, overwrite: bool) -> None:
        """Write it as an .npz file.

        Raises:
            OutputError: it cannot be written, or is there and is not to be replaced.
        """
        arrays: dict[str, Any] = {
            "features": self.features,
            "contents": self.contents,
            "types": self.types,
            "levels": self.levels,
            "record": np.array(json.dumps(self.record)),
        }
        if self.differences is not None:
            arrays["differences"] = self.differences
        with whole_file(file, overwrite=overwrite) as stream:
            np.savez(stream, **arrays)

    @classmethod
    def load(cls, file: Path) -> FeatureTable:
        """Read what `save` wrote.

        Raises:
            ModelError: there is no such file, or it is another.
        """
        try:
            with np.load(file) as found:
                return cls(
                    found["features"],
                    found["contents"],
                    found["types"],
                    found["levels"],
                    json.loads(str(found["record"])),
                    found.get("differences"),
                )
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise ModelError(f"{file} is no table of features: {error}") from error


PRISTINE_VIEWS = len(LEVELS)
"""Views of each photograph that is not distorted: as many as a type has images of it."""


def cases(source: Path, preprocessing: Preprocessing) -> tuple[list[Case], CropSource]:
    """All images that a folder offers, and crops of them.

    Args:
        source: pristine photographs, which are distorted in memory with every type and level and seen
            through views, `PRISTINE_VIEWS` of each pristine one; or a set in KADID-10k's layout, whose images
            are read from disk as they are.
        preprocessing: short side, and side of a crop.

    Raises:
        UsageError: the folder holds neither.
    """
    if (source / "dmos.csv").is_file():
        images = [s for s in datasets.load("kadid10k", source).samples if s.reference]
        files = {
            Case(s.reference.name, s.domain or 0, s.level or 0): s.path for s in images if s.reference
        } | {Case(s.reference.name, PRISTINE, 0): s.reference for s in images if s.reference}
        found = sorted(files)
        return found, ImageCrops(
            [files[case] for case in found], [case.type for case in found], preprocessing
        )
    references = photographs_in(source)
    if not references:
        raise UsageError(f"{source} holds neither photographs nor a set with a dmos.csv")
    steps = [(PRISTINE, 0)] * PRISTINE_VIEWS
    steps += [(kind, level) for kind in DISTORTIONS for level in LEVELS]
    samples = [Synthetic(path, kind, level, float(kind)) for path in references for kind, level in steps]
    found = [Case(sample.reference.name, sample.type, sample.level) for sample in samples]
    return found, SyntheticCrops(samples, preprocessing, views=True)


def extract(
    look: Look,
    source: Path,
    preprocessing: Preprocessing,
    record: Mapping[str, Any],
    *,
    seed: int = 123,
    workers: int = 0,
    observe: Callable[[int], None] = lambda _: None,
) -> FeatureTable:
    """Features of one random crop of every image of a set.

    Args:
        look: takes the features.
        source: see `cases`.
        preprocessing: see `cases`.
        record: what network it looks with; kept beside the features.
        seed: of the crops, and of the distortions where images are made in memory.
        workers: processes that make crops; 0 makes them here.
        observe: called after each batch with its number of images.

    Raises:
        UsageError: the folder holds no such set.
    """
    images, crops = cases(source, preprocessing)
    rows = []
    for features, _ in pooled(look, crops, seed=seed, workers=workers):
        rows.append(features.astype(np.float16))
        observe(len(features))
    names, contents = np.unique([case.content for case in images], return_inverse=True)
    facts = {"preprocessing": preprocessing.id, "seed": seed, "contents": len(names)}
    return FeatureTable(
        np.concatenate(rows),
        contents.astype(np.int64),
        np.array([case.type for case in images], np.int64),
        np.array([case.level for case in images], np.int64),
        {**record, **facts},
    )


def pooled(
    look: Look, source: CropSource, *, seed: int, batch: int = 32, workers: int = 0
) -> Iterator[tuple[NDArray[np.floating[Any]], NDArray[np.float64]]]:
    """Features of one random crop of each sample in turn, with their targets, batch by batch.

    Yields:
        float [batch, d] and float64 [batch].
    """
    for crops, targets in batches(Crops(source, seed, epoch=0, flip=False), batch, workers):
        yield look(crops.numpy()), targets.double().numpy()


def looking(network: QualityNetwork, device: str = "cpu") -> Look:
    """What a network's head reads of crops: it is linear, so it commutes with the mean over a crop.

    Args:
        network: whose features are taken.
        device: "cpu" or "cuda".
    """
    network = _for_looking(network, device)

    @torch.no_grad()
    def look(crops: Pixels) -> NDArray[np.float32]:
        with half_where_it_pays(device):
            features = network.features(torch.from_numpy(crops).to(device)).float()
        found: NDArray[np.float32] = functional.adaptive_avg_pool2d(features, 1).flatten(1).cpu().numpy()
        return found

    return look


def _for_looking(network: QualityNetwork, device: str) -> QualityNetwork:
    """A network that only looks: on its device, its batch normalisations folded where that is known how."""
    network.eval()
    if isinstance(network.backbone, EfficientNetLite):
        network = copy.deepcopy(network)
        network.backbone = cast(EfficientNetLite, network.backbone).folded()
    network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network
