import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.sparse.csgraph import connected_components
from skimage import data
from torch import nn

from dgqa_infer import UsageError
from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_training.loop.crop_sources import ImageCrops
from dgqa_training.networks.heads import Head, QualityNetwork, build_backbone
from dgqa_training.regressor.training import RegressorConfig, samples_of
from dgqa_training.reshaping.training_set import Joined, Thinning, add_contents

SMALL = Preprocessing(id="test-short64-grid1-64", short_side=64, crop=64, grid=1)


class _Greys:
    """A sample for each grey; all of its crops are alike."""

    def __init__(self, greys, targets):
        self.greys, self.targets = greys, targets

    def __len__(self):
        return len(self.greys)

    def target(self, index):
        return self.targets[index]

    def crop(self, index, generator):
        return np.full((8, 8, 3), self.greys[index], np.uint8)

    def centre(self, index):
        return np.full((8, 8, 3), self.greys[index], np.uint8)


class _Angles(nn.Module):
    """Greys as directions: grey g looks towards g degrees."""

    def features(self, crops):
        angle = torch.deg2rad(crops.float().mean((1, 2, 3)))
        return torch.stack([angle.cos(), angle.sin()], 1)[..., None, None]


def test_joined_samples_keep_their_order():
    joined = Joined(_Greys([1, 2], [0.1, 0.2]), _Greys([3], [0.3]))
    assert len(joined) == 3
    assert [joined.target(index) for index in range(3)] == [0.1, 0.2, 0.3]
    assert [int(joined.crop(index, np.random.default_rng())[0, 0, 0]) for index in range(3)] == [1, 2, 3]
    assert [int(joined.centre(index)[0, 0, 0]) for index in range(3)] == [1, 2, 3]


def test_half_of_a_large_cluster_is_left_and_added_samples_stay():
    """Sixty samples look one way, of one label; thirty another way; five were added by DDCUp.

    The clusters are SciPy's connected components of the graph that the paper describes."""
    greys = [10] * 60 + [100] * 30 + [10] * 5
    labels = [5.0] * 60 + [5.0] * 15 + [9.0] * 15 + [5.0] * 5
    directions = np.exp(1j * np.deg2rad(greys[:90]))
    alike = (directions[:, None] * directions.conj()).real > 0.9
    close = np.abs(np.subtract.outer(labels[:90], labels[:90])) < 1
    count, cluster = connected_components(alike & close)
    assert count == 3

    thinning = Thinning(_Greys(greys, labels), originals=90, seed=0)
    kept = thinning(0, _Angles())
    assert kept.tolist() == sorted(set(kept.tolist()))
    assert set(range(90, 95)) <= set(kept.tolist())
    left = [sum(cluster[index] == number for index in kept if index < 90) for number in range(3)]
    assert left == [30, 15, 15]  # half of sixty; clusters of up to twenty stay whole


def test_every_epoch_thins_anew_and_the_same_way_when_repeated():
    thinning = Thinning(_Greys([10] * 60, [5.0] * 60), originals=60, seed=3)
    first, again, other = thinning(0, _Angles()), thinning(0, _Angles()), thinning(1, _Angles())
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.fixture(scope="module")
def kadid(tmp_path_factory) -> Path:
    """Two references with all types and levels in KADID's layout; the images are small greys."""
    root = tmp_path_factory.mktemp("kadid")
    (root / "images").mkdir()
    rows = []
    for number, name in enumerate(("chelsea", "coffee"), 1):
        reference = f"I{number:02}.png"
        Image.fromarray(getattr(data, name)()[100:180, 100:180]).save(root / "images" / reference)
        for kind in range(1, 26):
            for level in range(1, 6):
                image = f"I{number:02}_{kind:02}_{level:02}.png"
                Image.new("RGB", (64, 64), (kind, level, number)).save(root / "images" / image)
                rows.append((image, reference, 4.5 - 0.5 * level + 0.01 * kind + 0.002 * number, 0.5))
    with (root / "dmos.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("dist_img", "ref_img", "dmos", "var"), *rows])
    return root


@pytest.fixture(scope="module")
def candidates(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("candidates")
    for name in ("astronaut", "rocket", "chelsea"):
        Image.fromarray(getattr(data, name)()[100:180, 100:180]).save(folder / f"{name}.png")
    return folder


def test_new_contents_come_with_labels_between_those_of_the_set(kadid, candidates):
    torch.manual_seed(0)
    network = QualityNetwork(build_backbone("efficientnet_lite0"), Head(("stem", "blocks1")))
    images = ImageCrops([kadid / "images" / "I01_01_01.png"], [4.0], SMALL)
    joined, facts = add_contents(images, kadid, candidates, network, SMALL, (1, 25))
    assert facts["candidates"] == 3
    assert facts["added_images"] == facts["added_contents"] * 2 * 3  # two types, levels 1, 3 and 5
    assert len(joined) == 1 + facts["added_images"]
    assert joined.target(0) == 4.0
    assert all(0 <= joined.target(index) <= 10 for index in range(len(joined)))


def test_contents_are_added_to_a_labelled_set_alone(candidates):
    with pytest.raises(UsageError, match="contents can be added only to a labelled set"):
        samples_of(candidates, RegressorConfig(), add=candidates)


def test_a_folder_without_candidates_is_refused(kadid, tmp_path):
    images = ImageCrops([kadid / "images" / "I01_01_01.png"], [4.0], SMALL)
    with pytest.raises(UsageError, match="no photographs that could be added"):
        add_contents(images, kadid, tmp_path, nn.Identity(), SMALL, (1,))
