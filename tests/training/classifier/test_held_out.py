from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.errors import ModelError, UsageError
from dgqa_infer.images.crops import crops
from dgqa_training.classifier.held_out import CASES, HeldOut, classifier_of, held_out_contents, judge
from dgqa_training.distortions import DISTORTIONS, LEVELS, distort, to_bytes
from dgqa_training.loop.loop import half_where_it_pays
from dgqa_training.networks.checkpoints import Checkpoint
from dgqa_training.networks.heads import DomainNetwork, Head, build_backbone
from dgqa_training.synthesis.nuisances import IDENTITIES

SMALL = Preprocessing(id="test-short64-grid5-32", short_side=64, crop=32, grid=5)


def photograph(seed: int) -> NDArray[np.uint8]:
    """Detail at every scale, over the whole range."""
    generator = np.random.default_rng(seed)
    layers = [
        np.asarray(
            Image.fromarray(generator.integers(0, 256, (side, side, 3), dtype=np.uint8)).resize(
                (64, 64), Image.Resampling.BICUBIC
            ),
            float,
        )
        for side in (4, 16, 64)
    ]
    mixed = np.average(layers, axis=0, weights=(3, 2, 1))
    return ((mixed - mixed.min()) / (mixed.max() - mixed.min()) * 255).round().astype(np.uint8)


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    torch.manual_seed(0)
    head = Head(("blocks1", "blocks7"))
    network = DomainNetwork(build_backbone("efficientnet_lite0"), head)
    return Checkpoint(
        "domains", "efficientnet_lite0", head, SMALL, network.state_dict(), {"held_out": ["a.png"]}
    )


def test_logits_are_means_over_the_grid_of_each_image_in_turn(checkpoint: Checkpoint, tmp_path: Path) -> None:
    Image.fromarray(photograph(0)).save(tmp_path / "a.png")
    seen: list[int] = []
    found = judge(
        classifier_of(checkpoint, "cpu"),
        SMALL,
        [tmp_path / "a.png"],
        seed=5,
        batch=60,
        views=False,
        advance=seen.append,
    )

    assert seen == [60, 60, 6]
    assert found.logits.shape == (126, 26)
    assert list(zip(found.classes.tolist(), found.levels.tolist(), strict=True)) == [
        (0, 0),
        *((kind, level) for kind in range(1, 26) for level in range(1, 6)),
    ]
    network = checkpoint.network()
    for case in (0, 20):
        kind, level = CASES[case]
        image = photograph(0)
        if kind:
            image = to_bytes(distort(image, kind, level, np.random.default_rng([5, 0, kind, level])))
        with torch.no_grad(), half_where_it_pays("cpu"):
            expected = network(torch.from_numpy(crops(image, SMALL)[0]))["domain_logits"].mean(0)
        np.testing.assert_allclose(found.logits[case], expected, rtol=1e-2, atol=1e-5)


def test_identities_leave_an_image_as_it_is_and_nothing_else_does() -> None:
    image = photograph(1)
    same = {
        (kind, level)
        for kind in DISTORTIONS
        for level in LEVELS
        if np.abs(to_bytes(distort(image, kind, level, np.random.default_rng(0))).astype(int) - image).max()
        <= 1
    }

    assert same == IDENTITIES


def test_a_checkpoint_of_another_task_is_refused(checkpoint: Checkpoint) -> None:
    with pytest.raises(ModelError, match="quality, not a domain classifier"):
        classifier_of(replace(checkpoint, task="quality"), "cpu")


def test_held_out_photographs_are_those_of_the_training_record(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"lacks 1 of the held-out photographs, such as a\.png"):
        held_out_contents(checkpoint, tmp_path)
    (tmp_path / "a.png").touch()
    (tmp_path / "b.png").touch()
    assert held_out_contents(checkpoint, tmp_path) == [tmp_path / "a.png"]
    with pytest.raises(UsageError, match="names no held-out photographs"):
        held_out_contents(replace(checkpoint, training={}), tmp_path)


def test_logits_survive_on_disk(tmp_path: Path) -> None:
    numbers = np.arange(52.0).reshape(2, 26)
    HeldOut(numbers, np.array([0, 3]), np.array([0, 1]), np.array([0, 0])).save(tmp_path / "h.npz")
    read = HeldOut.load(tmp_path / "h.npz")

    np.testing.assert_array_equal(read.logits, numbers)
    assert read.identities.tolist() == [False, True]
    (tmp_path / "other.npz").write_bytes(b"no archive")
    for wrong in ("other.npz", "missing.npz"):
        with pytest.raises(ModelError, match="no record of held-out logits"):
            HeldOut.load(tmp_path / wrong)


def test_images_are_looked_at_as_users_have_them_unless_asked_otherwise(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    Image.fromarray(photograph(0)).save(tmp_path / "a.png")
    (seen, again), plain = (
        [
            judge(classifier_of(checkpoint, "cpu"), SMALL, [tmp_path / "a.png"], batch=63, views=views)
            for _ in range(2 if views else 1)
        ]
        for views in (True, False)
    )
    np.testing.assert_array_equal(seen.logits, again.logits)
    assert (np.abs(seen.logits - plain[0].logits).max(axis=1) > 1e-6).mean() > 0.9
