from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.images.decode import decode
from dgqa_training.networks.heads import Head, QualityNetwork, pretrained_backbone
from dgqa_training.regressor.consistency import WEIGHTS, differences, views
from dgqa_training.regressor.features import looking

SMALL = Preprocessing(id="test", short_side=96, crop=64, grid=1)


def test_views_are_three_turns_the_mirror_and_grey(repository: Path) -> None:
    crop = decode(repository / "examples" / "photos" / "chelsea.webp").pixels[:64, :64]
    found = views(crop)
    assert found.shape == (1 + len(WEIGHTS), 64, 64, 3)
    np.testing.assert_array_equal(found[0], crop)
    # Turning left moves the upper right corner to the upper left one.
    np.testing.assert_array_equal(found[1][0, 0], crop[0, -1])
    np.testing.assert_array_equal(found[2], crop[::-1, ::-1])
    np.testing.assert_array_equal(found[3][0, 0], crop[-1, 0])
    np.testing.assert_array_equal(found[4], crop[:, ::-1])
    # ITU-R 601, as Pillow converts to L.
    luma = crop.astype(float) @ [0.299, 0.587, 0.114]
    assert np.abs(found[5] - luma[..., None]).max() <= 1


def test_differences_are_those_of_the_network_s_features_and_small_photographs_are_left_out(
    repository: Path, tmp_path: Path
) -> None:
    look = looking(QualityNetwork(pretrained_backbone("efficientnet_lite0"), Head(("blocks3",))))
    photographs = [repository / "examples" / "photos" / name for name in ("chelsea.webp", "coffee.webp")]
    seen: list[int] = []
    found = differences(look, photographs, SMALL, seed=1, observe=seen.append)
    assert found.shape == (2, len(WEIGHTS), 40)
    assert seen == [1, 1]
    np.testing.assert_allclose(found, differences(look, photographs, SMALL, seed=1), atol=1e-6)
    assert not np.allclose(found[0], found[1])
    large = Preprocessing(id="large", short_side=2048, crop=2048, grid=1)
    assert differences(look, photographs, large).shape == (0, len(WEIGHTS), 0)


def test_a_folded_backbone_has_the_same_maps() -> None:
    backbone = pretrained_backbone("efficientnet_lite0").eval()
    crops = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3, 64, 64)).astype(np.float32))
    with torch.no_grad():
        plain, folded = backbone.stages(crops), backbone.folded().stages(crops)
    for name, stage in plain.items():
        torch.testing.assert_close(folded[name], stage, atol=1e-3, rtol=1e-3)
