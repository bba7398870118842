import pytest
import torch

from dgqa_infer import ModelError
from dgqa_training.networks.heads import (
    DomainNetwork,
    Head,
    QualityNetwork,
    build_backbone,
    pretrained_backbone,
)


@pytest.mark.parametrize(
    ("backbone", "stages"),
    [("efficientnet_lite0", ("blocks1", "blocks5", "head")), ("resnet50", ("layer4",))],
)
def test_the_mean_of_the_quality_map_is_the_quality(backbone, stages):
    torch.manual_seed(0)
    network = QualityNetwork(build_backbone(backbone), Head(stages)).eval()
    crops = torch.randint(0, 256, (2, 96, 64, 3), dtype=torch.uint8)
    with torch.no_grad():
        outputs = network(crops)
    assert outputs["quality_map"].shape == (2, 3, 2)
    assert outputs["quality"].dtype == torch.float32
    torch.testing.assert_close(outputs["quality_map"].mean((1, 2)), outputs["quality"])


def test_the_domain_network_tells_26_domains():
    network = DomainNetwork(build_backbone("efficientnet_lite0"), Head(("stem", "head"))).eval()
    with torch.no_grad():
        logits = network(torch.zeros(3, 64, 64, 3, dtype=torch.uint8))["domain_logits"]
    assert logits.shape == (3, 26)


def test_normalises_as_the_weights_expect():
    """The weight packages expect (x − 127) / 128: to the first convolution a crop of 127 is all zeros."""
    network = QualityNetwork(build_backbone("efficientnet_lite0"), Head(("head",))).eval()
    seen = []
    network.backbone._conv_stem.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        network(torch.full((1, 32, 32, 3), 127, dtype=torch.uint8))
        network(torch.full((1, 32, 32, 3), 255, dtype=torch.uint8))
    # The stem pads to SAME before it convolves, so its own input is what it was given.
    assert seen[0].abs().max() == 0
    assert seen[1].max() == 1


def test_refuses_a_stage_that_the_backbone_has_not():
    with pytest.raises(ModelError, match="layer9"):
        QualityNetwork(build_backbone("resnet50"), Head(("layer9",)))


def test_refuses_an_unknown_backbone_with_the_known_ones():
    with pytest.raises(ModelError, match=r"vgg16.*efficientnet_lite0.*resnet50"):
        build_backbone("vgg16")


def test_says_that_resnet50_needs_a_file_of_weights():
    with pytest.raises(ModelError, match="needs the file"):
        pretrained_backbone("resnet50")
