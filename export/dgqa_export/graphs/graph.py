"""A network becomes a self-contained ONNX graph: crops in, scores out, normalisation inside."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import onnx
import torch
from torch import nn

from dgqa_export.graphs.contract import DOMAIN_OUTPUTS, INPUT, QUALITY_OUTPUTS, check
from dgqa_infer.errors import ModelError

OPSET = 20
"""Known to ONNX Runtime 1.24 and later, TensorRT 10.13 and later, and OpenVINO; PyTorch's own default."""


def export_quality(
    network: nn.Module, side: int = 224, metadata: Mapping[str, str] | None = None, *, opset: int = OPSET
) -> bytes:
    """Write a quality network as one ONNX file.

    Args:
        network: takes uint8 [batch, side, side, 3] and returns a dict with `quality` [batch] and
            `quality_map` [batch, h, w]; it is put into evaluation mode for the export and left as it was.
        side: height and width of a crop, in pixels; fixed in the graph. The batch is free.
        metadata: what the graph says of itself, such as the card's essentials.
        opset: version of ONNX's operators.

    Returns:
        The serialized model, the same bytes for the same network: no external data, no custom operators, no
        path of this machine.

    Raises:
        ModelError: PyTorch cannot export the network, or the result breaks `dgqa_export.graphs.contract`.
    """
    return _export(network, QUALITY_OUTPUTS, side, metadata or {}, opset)


def export_domains(
    network: nn.Module, side: int = 224, metadata: Mapping[str, str] | None = None, *, opset: int = OPSET
) -> bytes:
    """As `export_quality`, for a domain classifier, whose dict holds `domain_logits` [batch, classes]."""
    return _export(network, DOMAIN_OUTPUTS, side, metadata or {}, opset)


class _Ordered(nn.Module):
    """The network with its outputs in the order of the graph's."""

    def __init__(self, network: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.network = network
        self.names = names

    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, ...]:
        outputs = self.network(crops)
        if not set(self.names) <= set(outputs):
            raise ModelError(f"it returns {sorted(outputs)}, not {sorted(self.names)}")
        return tuple(outputs[name] for name in self.names)


def _export(
    network: nn.Module, names: tuple[str, ...], side: int, metadata: Mapping[str, str], opset: int
) -> bytes:
    parameter = next(network.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    # Two crops: torch.export takes a dimension of one for a constant.
    example = torch.zeros(2, side, side, 3, dtype=torch.uint8, device=device)
    was_training = network.training
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                _Ordered(network.eval(), names),
                (example,),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                input_names=[INPUT],
                output_names=list(names),
                opset_version=opset,
                external_data=False,
                verbose=False,
            )
    except (torch.onnx.OnnxExporterError, ModelError, ValueError) as error:
        raise ModelError(f"PyTorch cannot write this network as ONNX: {_reason(error)}") from error
    finally:
        network.train(was_training)
    if program is None:
        raise ModelError("PyTorch returned no ONNX graph for this network")
    graph = _clean(program.model_proto, metadata)
    if (written := check(graph).opset) != opset:
        raise ModelError(f"PyTorch cannot write this network in opset {opset}: it wrote opset {written}")
    return graph


def _clean(model: onnx.ModelProto, metadata: Mapping[str, str]) -> bytes:
    """Drop the exporter's notes, whose stack traces name files of this machine, and say what the graph is."""
    noted = [model.graph, *model.graph.node, *model.graph.input, *model.graph.output]
    for part in (*noted, *model.graph.value_info, *model.graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for number, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{number}"
    model.graph.name = "dgqa"
    model.producer_name = "dgqa-infer"
    model.ClearField("producer_version")
    model.ClearField("metadata_props")
    onnx.helper.set_model_props(model, dict(sorted(metadata.items())))
    return bytes(model.SerializeToString(deterministic=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's own deprecations and traces; its failures arrive as exceptions."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _reason(error: BaseException) -> str:
    """The innermost cause, in one line: the exporter wraps it in advice on how to report bugs."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
