"""Networks become graphs that say the same and keep the contract."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from dgqa_export.graphs.contract import check
from dgqa_export.graphs.graph import export_domains, export_quality
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.errors import ModelError
from dgqa_infer.images.arrays import Pixels

SIDE = 64


class Grey(nn.Module):
    """Returns under the names that it is given; the map is the grey picture in tenths."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = names

    def forward(self, crops: Tensor) -> dict[str, Tensor]:
        grey = crops.to(torch.float32).mean(3) / 25.5
        outputs = {"quality_map": grey, "quality": grey.mean((1, 2)), "domain_logits": grey.mean(2)}
        return {name: outputs[name] for name in self.names}


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_graph_agrees_with_torch_on_photographs_in_any_batch(
    small_network: nn.Module, small_graph: bytes, sample_crops: list[Pixels], batch: int
) -> None:
    crops = np.concatenate(sample_crops)[:21]
    with OnnxRuntimeBackend(small_graph) as backend:
        found = [backend.infer(crops[start : start + batch]) for start in range(0, len(crops), batch)]
    with torch.no_grad():
        right = small_network(torch.from_numpy(crops))
    for name in ("quality", "quality_map"):
        together = np.concatenate([each[name] for each in found])
        assert np.abs(together - right[name].numpy()).max() < 1e-5


def test_map_averages_to_the_quality(small_graph: bytes, sample_crops: list[Pixels]) -> None:
    with OnnxRuntimeBackend(small_graph) as backend:
        found = backend.infer(sample_crops[0])
    assert found["quality_map"].shape == (5, 4, 4)
    np.testing.assert_allclose(found["quality_map"].mean((1, 2)), found["quality"], atol=1e-5)


def test_normalisations_fold_into_the_convolutions(small_graph: bytes) -> None:
    operators = [node.op_type for node in onnx.load_model_from_string(small_graph).graph.node]
    assert operators[0] == "Cast"
    assert "BatchNormalization" not in operators
    assert "Pad" not in operators


def test_graph_carries_the_metadata_and_nothing_of_this_machine(small_graph: bytes, repository: Path) -> None:
    model = onnx.load_model_from_string(small_graph)
    assert {entry.key: entry.value for entry in model.metadata_props} == {"name": "small"}
    assert str(repository).encode() not in small_graph
    assert b".py" not in small_graph


def test_outputs_stand_in_the_contracts_order_whatever_the_networks() -> None:
    graph = export_quality(Grey("quality_map", "quality"), SIDE)
    assert check(graph).outputs == ("quality", "quality_map")


def test_a_network_in_training_is_exported_for_evaluation_and_left_in_training(
    small_network: nn.Module, small_graph: bytes
) -> None:
    network = copy.deepcopy(small_network).train()
    assert export_quality(network, SIDE, {"name": "small"}) == small_graph
    assert network.training


def test_a_domain_classifier_is_exported_with_its_logits() -> None:
    facts = check(export_domains(Grey("domain_logits"), SIDE))
    assert facts.outputs == ("domain_logits",)
    assert facts.side == SIDE


def test_the_opset_is_the_one_that_was_asked_for() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert check(export_quality(Grey("quality_map", "quality"), SIDE, opset=21)).opset == 21
    assert caught == []


def test_an_opset_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(ModelError, match="opset 9"):
        export_quality(Grey("quality_map", "quality"), SIDE, opset=9)


def test_a_network_with_other_outputs_is_refused_by_their_names() -> None:
    with pytest.raises(ModelError, match=r"\['domain_logits'\], not \['quality', 'quality_map'\]"):
        export_quality(Grey("domain_logits"), SIDE)


def test_a_network_that_reads_its_crops_without_casting_them_first_is_refused() -> None:
    class Transposing(nn.Module):
        def forward(self, crops: Tensor) -> dict[str, Tensor]:
            grey = crops.permute(0, 3, 1, 2).to(torch.float32).mean(1)
            return {"quality": grey.mean((1, 2)), "quality_map": grey}

    with pytest.raises(ModelError, match="must go into one Cast"):
        export_quality(Transposing(), SIDE)
