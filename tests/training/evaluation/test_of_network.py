"""Networks whose quality can be computed by hand, on photographs made here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.errors import ImageError
from dgqa_infer.images.crops import crops
from dgqa_training.datasets import Sample
from dgqa_training.evaluation.of_network import predict
from dgqa_training.evaluation.protocols import OURS, PAPERS, Protocol

SMALL = Preprocessing(id="test-short64-grid5-32", short_side=64, crop=32, grid=5)


class Brightness(nn.Module):
    """Quality = mean of the crop; in training mode it would be something else."""

    def forward(self, batch: Tensor) -> dict[str, Tensor]:
        assert batch.dtype == torch.uint8
        assert batch.shape[1:] == (32, 32, 3)
        quality = batch.float().mean((1, 2, 3))
        return {"quality": quality + 1000 * self.training}


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    generator = np.random.default_rng(0)
    made = []
    for index, (height, width) in enumerate([(64, 64), (80, 200), (50, 40), (64, 90), (300, 100)]):
        pixels = generator.integers(256, size=(height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
        made.append(Sample(tmp_path / f"{index}.png", float(index)))
    return made


def pixels(sample: Sample) -> np.ndarray:
    return np.asarray(Image.open(sample.path))


def test_ours_is_the_mean_over_the_fixed_grid(samples: list[Sample]) -> None:
    ours = predict(Brightness(), samples, OURS, preprocessing=SMALL, batch=2)
    wanted = [crops(pixels(sample), SMALL)[0].mean() for sample in samples]
    assert ours == pytest.approx(wanted, abs=1e-3)


def test_the_papers_crops_depend_on_seed_and_image_alone(samples: list[Sample]) -> None:
    first, again, other = (
        predict(Brightness(), samples, PAPERS, preprocessing=SMALL, seed=seed, batch=batch)
        for seed, batch in ((1, 2), (1, 5), (2, 5))
    )
    assert first == pytest.approx(again, abs=1e-4)
    assert first != pytest.approx(other, abs=1e-4)
    grid = predict(Brightness(), samples, OURS, preprocessing=SMALL)
    assert first != pytest.approx(grid, abs=1e-4)


@pytest.mark.parametrize("protocol", [OURS, PAPERS])
def test_a_network_is_evaluated_in_evaluation_mode_and_left_in_its_own(
    samples: list[Sample], protocol: Protocol
) -> None:
    network = Brightness().train()
    assert predict(network, samples, protocol, preprocessing=SMALL).max() < 256
    assert network.training


def test_an_image_that_cannot_be_read_ends_the_evaluation(samples: list[Sample]) -> None:
    samples[2].path.write_bytes(b"")
    network = Brightness().train()
    with pytest.raises(ImageError) as raised:
        predict(network, samples, OURS, preprocessing=SMALL)
    assert raised.value.path == str(samples[2].path)
    assert network.training
