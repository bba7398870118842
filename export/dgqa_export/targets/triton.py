"""A model repository for NVIDIA's Triton Inference Server: the graph, or the engine, and its `config.pbtxt`.

Triton batches requests, a photograph's crops are one request. It does not decode or crop: clients do, as
the model's own parameters say (`preprocessing`, `calibration`), so that they need nothing but the server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from dgqa_export.bundles import essentials
from dgqa_export.graphs.contract import INPUT, parse
from dgqa_infer.atomic import write_folder
from dgqa_infer.backends.tensorrt.engine_key import BatchProfile
from dgqa_infer.bundle.bundle import QUALITY_GRAPH, Bundle
from dgqa_infer.errors import OutputError

QUEUE_DELAY = 2000
"""How long a request may wait for others to share a batch with, in µs."""

_PLATFORMS = {
    "onnx": ("onnxruntime_onnx", "model.onnx", "KIND_AUTO"),
    "plan": ("tensorrt_plan", "model.plan", "KIND_GPU"),
}


def write_repository(
    folder: Path, bundle: Bundle, profile: BatchProfile, plan: bytes | None = None
) -> list[Path]:
    """Write a bundle's quality graph, and its engine if there is one, as models of a repository.

    Args:
        folder: the repository; made if need be. A model of the same name is replaced, others are left alone.
        bundle: verified.
        profile: batch sizes; no request may hold more crops than the largest.
        plan: the engine of this very bundle, for the server's GPU and TensorRT.

    Returns:
        The folders of the models.

    Raises:
        OutputError: the repository cannot be written.
    """
    refuse_strangers(folder, bundle.card.name)
    graph = bundle.graph_bytes(QUALITY_GRAPH)
    written = []
    for variant, data in (("onnx", graph), ("plan", plan)):
        if data is None:
            continue
        name = f"{bundle.card.name}-{variant}"
        files = {
            "config.pbtxt": config(name, variant, bundle, profile).encode(),
            _PLATFORMS[variant][1]: data,
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            written.append(_write_model(folder, name, files))
        except OSError as error:
            raise OutputError(f"the model repository {folder} cannot be written: {error.strerror}") from error
    return written


def config(name: str, variant: str, bundle: Bundle, profile: BatchProfile) -> str:
    """The text of a model's `config.pbtxt`, after Triton's `model_config.proto`.

    Args:
        name: of the model.
        variant: "onnx" or "plan".
        bundle: whose graph it is.
        profile: batch sizes.
    """
    platform, _, kind = _PLATFORMS[variant]
    side = bundle.card.preprocessing.crop
    parameters = "".join(
        f"parameters {{ key: {_text(key)} value {{ string_value: {_text(value)} }} }}\n"
        for key, value in essentials(bundle.card).items()
    )
    sizes = sorted({profile.usual, profile.largest})
    return (
        f"name: {_text(name)}\n"
        f"platform: {_text(platform)}\n"
        f"max_batch_size: {profile.largest}\n"
        f"input [ {{ name: {_text(INPUT)} data_type: TYPE_UINT8 dims: [ {side}, {side}, 3 ] }} ]\n"
        f"output [\n{_outputs(bundle)}\n]\n"
        f"dynamic_batching {{ preferred_batch_size: {sizes} max_queue_delay_microseconds: {QUEUE_DELAY} }}\n"
        f"instance_group [ {{ count: 1 kind: {kind} }} ]\n"
        f"{parameters}"
    )


def _outputs(bundle: Bundle) -> str:
    lines = []
    for value in parse(bundle.graph_bytes(QUALITY_GRAPH)).graph.output:
        sizes: Sequence[int] = [axis.dim_value for axis in value.type.tensor_type.shape.dim[1:]]
        # Triton wants at least one dimension besides the batch; where the graph has none, it is taken away
        # again.
        shape = f"dims: {list(sizes)}" if sizes else "dims: [ 1 ] reshape { shape: [ ] }"
        lines.append(f"  {{ name: {_text(value.name)} data_type: TYPE_FP32 {shape} }}")
    return ",\n".join(lines)


def _text(value: str) -> str:
    # JSON's strings, in ASCII, are the text format's too.
    return json.dumps(value)


def refuse_strangers(folder: Path, bundle: str) -> None:
    """Refuse a repository in which something else has the place of a bundle's models.

    Args:
        folder: the repository; need not be there.
        bundle: its name.

    Raises:
        OutputError: it is no model of Triton's.
    """
    for variant in _PLATFORMS:
        target = folder / f"{bundle}-{variant}"
        if target.exists() and not (target / "config.pbtxt").is_file():
            raise OutputError(f"{target} holds something that is no model of Triton's; it is left alone")


def _write_model(folder: Path, name: str, files: Mapping[str, bytes]) -> Path:
    target = folder / name
    write_folder(
        target, {file if file == "config.pbtxt" else f"1/{file}": data for file, data in files.items()}
    )
    return target
