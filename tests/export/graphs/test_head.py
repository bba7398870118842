import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from skimage import data

from dgqa_export.graphs.graph import export_quality
from dgqa_export.graphs.head import FeatureReader, replace_head, size, with_features
from dgqa_export.graphs.packing import unpack
from dgqa_export.graphs.pooling import without_pooling
from dgqa_infer import ModelError
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.images.crops import crops
from dgqa_training.networks.heads import Head, QualityNetwork, pretrained_backbone


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load("dgqa-lite0")


@pytest.fixture(scope="module")
def stack(bundle: Bundle) -> np.ndarray:
    image = Image.fromarray(data.coffee()).resize((300, 200))
    return crops(np.asarray(image), bundle.card.preprocessing)[0][:2]


@pytest.mark.parametrize("packed", [True, False])
def test_another_head_says_what_it_should_of_the_same_features(bundle, stack, packed):
    """Worked out by hand from the features that the graph itself gives out."""
    graph = without_pooling(bundle.graph_bytes("model.onnx"))
    graph = graph if packed else unpack(graph)
    weights = np.random.default_rng(0).normal(size=size(graph)) / 50
    features = FeatureReader(graph, threads=1)(stack)
    with OnnxRuntimeBackend(replace_head(graph, weights, 3.5), threads=1) as backend:
        outputs = backend.infer(stack)
    # Packed weights are rounded to float16.
    assert outputs["quality"].mean() == pytest.approx(features @ weights + 3.5, abs=1e-2 if packed else 1e-4)
    np.testing.assert_allclose(outputs["quality_map"].mean((1, 2)), outputs["quality"], rtol=1e-5)


def test_a_packed_graph_stays_packed(bundle):
    graph = bundle.graph_bytes("model.onnx")
    replaced = replace_head(graph, np.zeros(size(graph)), 0.0)
    assert abs(len(replaced) - len(graph)) < 1000


def test_features_do_not_change_what_the_graph_says(bundle, stack):
    graph = bundle.graph_bytes("model.onnx")
    with (
        OnnxRuntimeBackend(graph, threads=1) as plain,
        OnnxRuntimeBackend(with_features(graph), threads=1) as more,
    ):
        said, also = plain.infer(stack), more.infer(stack)
    assert set(also) > set(said)
    np.testing.assert_allclose(also["quality"], said["quality"], rtol=1e-6)


def test_weights_for_other_features_are_refused(bundle):
    with pytest.raises(ModelError, match="reads 1792 features; weights for 3 do not fit"):
        replace_head(bundle.graph_bytes("model.onnx"), np.zeros(3), 0.0)


def test_a_graph_without_a_linear_head_is_refused(bundle):
    model = onnx.load_model_from_string(unpack(bundle.graph_bytes("model.onnx")))
    last = max(place for place, node in enumerate(model.graph.node) if node.op_type == "Conv")
    del model.graph.node[last].input[2]
    with pytest.raises(ModelError, match="no linear head"):
        size(model.SerializeToString())


def test_features_of_each_crop_are_those_of_the_network_that_was_exported(stack):
    network = QualityNetwork(
        pretrained_backbone("efficientnet_lite0"), Head(("blocks6", "blocks7", "head"))
    ).eval()
    torch.nn.init.ones_(network.linear.bias)
    found = FeatureReader(export_quality(network), threads=1).of_crops(stack)
    with torch.no_grad():
        expected = network.features(torch.from_numpy(stack)).mean((2, 3)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
