from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.errors import UsageError
from dgqa_training.distillation.material import KEPT_BACK, Sources, views
from dgqa_training.distillation.training import CHECKPOINT, DistillationConfig, average, distil, level
from dgqa_training.loop.recipe import Recipe
from dgqa_training.networks import checkpoints
from dgqa_training.networks.heads import Head, QualityNetwork, pretrained_backbone

SMALL = Preprocessing(id="test", short_side=96, crop=64, grid=1)
RECIPE = Recipe(
    epochs=2, cooldown=1, batch=16, lr=3e-4, weight_decay=0.0, flip=False, ema=0.5, head_factor=1.0
)
CONFIG = DistillationConfig(recipe=RECIPE, preprocessing=SMALL)


def network() -> QualityNetwork:
    """With a head that nobody fitted, which says something between 0 and 10."""
    torch.manual_seed(3)
    found = QualityNetwork(pretrained_backbone("efficientnet_lite0"), Head(("blocks6", "blocks7", "head")))
    with torch.no_grad():
        found.linear.weight.mul_(0.3)
        assert found.linear.bias is not None
        found.linear.bias.fill_(5)
    return found


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Sources:
    """Parts of the examples' photographs: one more of each kind than are needed."""
    folder = tmp_path_factory.mktemp("photographs")
    files: dict[str, list[Path]] = {"chelsea": [], "coffee": []}
    for name, found in files.items():
        whole = Image.open(repository / "examples" / "photos" / f"{name}.webp").convert("RGB")
        for number in range(KEPT_BACK + 1):
            left, top = 16 * number, 8 * number
            found.append(folder / f"{name}-{number}.png")
            whole.crop((left, top, left + 100, top + 110)).save(found[-1])
    return Sources(files["chelsea"], files["coffee"], rounds=2, synthetic=40)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, sources: Sources) -> Path:
    folder = tmp_path_factory.mktemp("run")
    distil(network(), sources, CONFIG, folder)
    return folder


def test_what_is_said_of_unseen_crops_depends_less_on_how_they_are_turned(run: Path) -> None:
    figures = checkpoints.load(run / CHECKPOINT).training["distillation"]["figures"]
    for kind in ("photographs", "distorted"):
        assert figures["after"][kind]["crops"] > 0
        assert figures["after"][kind]["over_turns"] < 0.9 * figures["before"][kind]["over_turns"]


def test_the_head_and_the_earlier_blocks_stay_as_they_are(run: Path) -> None:
    before, after = network().state_dict(), checkpoints.load(run / CHECKPOINT).tensors
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed
    # EfficientNet-Lite0's first four stages are its blocks 0 to 7.
    assert {name.split(".")[1] for name in changed} <= {"_blocks", "_conv_head", "_bn1"}
    assert min(int(name.split(".")[2]) for name in changed if "_blocks" in name) == 8
    assert not any("running" in name for name in changed)


def test_a_run_that_is_over_gives_the_same_network_again(run: Path, sources: Sources) -> None:
    first = checkpoints.load(run / CHECKPOINT)
    again = distil(network(), sources, CONFIG, run)
    assert all(torch.equal(value, again.tensors[name]) for name, value in first.tensors.items())
    assert again.training["backbone"] == first.training["backbone"]


def test_a_folder_of_another_head_or_of_other_photographs_is_refused(run: Path, sources: Sources) -> None:
    other = network()
    torch.nn.init.zeros_(other.linear.weight)
    with pytest.raises(UsageError, match="another head"):
        distil(other, sources, CONFIG, run)
    fewer = replace(sources, rounds=1)
    with pytest.raises(UsageError, match="another rounds"):
        distil(network(), fewer, CONFIG, run)


def test_too_few_photographs_to_keep_one_back_are_refused(sources: Sources) -> None:
    with pytest.raises(UsageError, match="too few"):
        replace(sources, photographs=sources.photographs[:KEPT_BACK])


def test_a_photograph_is_judged_or_trained_on_and_never_both(sources: Sources) -> None:
    told, judged = sources.split()
    assert sorted([*told, *judged]) == list(range(sources.count))
    each = len(sources.photographs)
    ordinary = [set((part[part < 2 * each] % each).tolist()) for part in (told, judged)]
    assert ordinary[1] == {0, KEPT_BACK}
    assert not ordinary[0] & ordinary[1]


def test_what_is_aimed_at_is_the_mean_of_what_the_turns_pool_to() -> None:
    cells = np.random.default_rng(0).uniform(-1, 11, (8, 7, 7)).astype(np.float32)
    held = np.clip(cells.astype(np.float64), 0, 10)
    expected = np.log(np.mean(np.exp(0.8 * held))) / 0.8  # the pooling's formula, without its constants
    mean = average(cells, 0.8)
    assert float(level(torch.from_numpy(mean)[None], 0.8)[0]) == pytest.approx(expected, abs=1e-5)


def test_the_last_view_is_the_crop_in_grey(repository: Path) -> None:
    crop = np.asarray(Image.open(repository / "examples" / "photos" / "coffee.webp").convert("RGB"))[:64, :64]
    found = views(crop)
    assert found.shape == (9, 64, 64, 3)
    assert np.ptp(found[-1].astype(int), axis=2).max() == 0
    # ITU-R 601, as Pillow converts to L.
    assert np.abs(found[-1][..., 0] - crop.astype(float) @ [0.299, 0.587, 0.114]).max() <= 1
