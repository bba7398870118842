"""A network in training on the images of a set, under either protocol."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset

from dgqa_infer.bundle.preprocessing import STANDARD, Preprocessing
from dgqa_infer.images.crops import crops, shrink
from dgqa_infer.images.decode import decode
from dgqa_training.datasets import Sample
from dgqa_training.evaluation.protocols import PAPERS, Protocol, random_crops
from dgqa_training.loop.loading import batches


class _Stacks(Dataset[Tensor]):
    """The crops of each image, uint8 [crops, side, side, 3]."""

    def __init__(
        self, samples: Sequence[Sample], protocol: Protocol, preprocessing: Preprocessing, seed: int
    ) -> None:
        self._samples, self._protocol = samples, protocol
        self._preprocessing, self._seed = preprocessing, seed

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Tensor:
        pixels = decode(self._samples[index].path).pixels
        if self._protocol == PAPERS:
            # Sets of at most 512 pixels a side are cropped as they are, BID after shrinking it to that.
            generator = np.random.default_rng([self._seed, index])
            pixels = shrink(pixels, self._preprocessing)
            return torch.from_numpy(random_crops(pixels, generator, side=self._preprocessing.crop))
        return torch.from_numpy(crops(pixels, self._preprocessing)[0])


def predict(
    network: nn.Module,
    samples: Sequence[Sample],
    protocol: Protocol,
    *,
    preprocessing: Preprocessing = STANDARD,
    device: str = "cpu",
    workers: int = 0,
    seed: int = 0,
    batch: int = 16,
) -> NDArray[np.float64]:
    """Quality of each image by a network, the mean over its crops.

    Args:
        network: returns `quality` for crops uint8 [n, h, w, 3], on the device; is left in the mode it was in.
        samples: the images.
        protocol: which crops.
        preprocessing: short side, crop and grid.
        device: "cpu" or "cuda".
        workers: processes that decode; 0 decodes here.
        seed: of the papers' crops; an image's crops depend on it and on the image's place alone.
        batch: images at once.

    Returns:
        float64 [n], higher is better.

    Raises:
        ImageError: an image cannot be read; a public set's figures with one missing would not be the set's.
    """
    training = network.training
    network.eval()
    images = _Stacks(samples, protocol, preprocessing, seed)
    means = []
    try:
        with torch.inference_mode():
            for stacks in batches(images, batch, workers):
                quality = network(stacks.flatten(0, 1).to(device))["quality"].float()
                means.append(quality.view(stacks.shape[:2]).mean(1).cpu().numpy())
    finally:
        network.train(training)
    return np.concatenate(means).astype(np.float64)
