import pytest
import torch

from dgqa_export.bundles import card_for, graph_of
from dgqa_infer import ModelError, UsageError
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_training.loop.recipe import Recipe
from dgqa_training.networks import checkpoints
from dgqa_training.networks.heads import Head, build_backbone, quality_network
from dgqa_training.networks.hyper import HyperNetwork
from dgqa_training.regressor.training import RegressorConfig, samples_of, train

PLUGIN = "dgqa_training.networks.hyper:HyperNetwork"
SMALL = Preprocessing(id="test-short64-grid1-64", short_side=64, crop=64, grid=1)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A plug-in, trained for a step or two on a photograph."""
    from PIL import Image
    from skimage import data

    pristine = tmp_path_factory.mktemp("pristine")
    Image.fromarray(data.coffee()[100:180, 100:180]).save(pristine / "coffee.png")
    config = RegressorConfig(
        types=(1, 7),
        network=PLUGIN,
        ridge=0,
        recipe=Recipe(epochs=1, batch=6),
        preprocessing=SMALL,
    )
    folder = tmp_path_factory.mktemp("run")
    samples, facts = samples_of(pristine, config)
    train(samples, config, folder, facts)
    return folder


def test_a_plugged_in_network_is_trained_and_read_again(run):
    checkpoint = checkpoints.load(run / "regressor.safetensors")
    assert checkpoint.head.network == PLUGIN
    assert isinstance(checkpoint.network(PLUGIN), HyperNetwork)


def test_a_plugged_in_network_becomes_a_graph_that_says_the_same(run):
    """PyTorch is the second opinion."""
    checkpoint = checkpoints.load(run / "regressor.safetensors")
    crops = torch.randint(
        0, 256, (3, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    with torch.no_grad():
        expected = checkpoint.network(PLUGIN)(crops)
    graph = graph_of(checkpoint, card_for(checkpoint, "hyper"), plugin=PLUGIN)
    with OnnxRuntimeBackend(graph, threads=1) as backend:
        found = backend.infer(crops.numpy())
    for name in ("quality", "quality_map"):
        torch.testing.assert_close(torch.from_numpy(found[name]), expected[name], rtol=1e-3, atol=1e-4)


def test_content_decides_how_distortions_are_weighed():
    """Of two pictures with the same local features, those of the last stage make the difference."""
    torch.manual_seed(0)
    network = HyperNetwork(build_backbone("efficientnet_lite0"), Head(("blocks1", "head"))).eval()
    local, content = torch.rand(1, 16, 2, 2), torch.rand(2, 1280, 2, 2)
    network.features = lambda crops: torch.cat([local.expand(2, -1, -1, -1), content], 1)  # type: ignore[method-assign]
    with torch.no_grad():
        network.linear.weight[:, 16:] = 0
        one, other = network(torch.zeros(2, 64, 64, 3, dtype=torch.uint8))["quality"]
    assert abs(one - other) > 1e-3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.to:Find", "can be imported"),
        ("dgqa_training.networks.hyper:Nothing", "can be imported"),
        ("hyper", "can be imported"),
        ("torch.nn:Identity", "is no QualityModel"),
    ],
)
def test_what_is_no_network_is_refused_by_name(name, message):
    with pytest.raises(ModelError, match=message):
        quality_network(build_backbone("efficientnet_lite0"), Head(("head",), name), name)


def test_a_probe_fits_linear_heads_alone():
    with pytest.raises(UsageError, match="set its ridge to 0"):
        RegressorConfig(network=PLUGIN)
