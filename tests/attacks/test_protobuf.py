"""Models in forms that readers understand differently: what passes, the onnx package reads alike."""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from dgqa_infer.bundle import onnx_file
from dgqa_infer.errors import ModelError


@pytest.fixture(scope="module")
def program(repository: Path) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(repository)
        return importlib.import_module("benchmarks.robustness.model_mutations")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(chance=st.randoms(use_true_random=False), name=st.sampled_from(["model", "domains"]))
def test_what_is_accepted_is_what_onnx_reads(program: Any, chance: random.Random, name: str) -> None:
    """A small share of `python -m benchmarks model_mutations`."""
    data, kinds = program.mutate(_models(program)[name], chance)
    _, problem = program.verdict(data)
    assert problem is None, kinds


def test_the_models_are_accepted_before_they_are_changed(program: Any) -> None:
    for data in _models(program).values():
        assert program.verdict(data) == (True, None)


_FOUND: dict[str, bytes] = {}


def _models(program: Any) -> dict[str, bytes]:
    if not _FOUND:
        _FOUND.update(program.real_models())
    return _FOUND


Write = Callable[[Any, int, int, bytes], bytes]

# Ways to write a field that the onnx package, or another reader, takes for the plain one.
DISGUISES: dict[str, Write] = {
    "a tag of more than 32 bits": lambda p, number, wire, value: p.written(number, wire, value, more=1 << 32),
    "a tag with a needless byte": lambda p, number, wire, value: p.written(number, wire, value, needless=1),
    "behind the field that it changes": lambda p, number, wire, value: p.written(number, wire, value),
}


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES)
def test_weights_outside_the_file_cannot_be_disguised(models: Any, program: Any, disguise: Write) -> None:
    tensor = numpy_helper.from_array(np.array(25.5, np.float32), "scale")
    entry = entry_of(program, b"location", b"/etc/passwd")
    data = tensor.SerializeToString()
    data += disguise(program, 13, 2, entry) + disguise(program, 14, 0, b"\1")
    graph = with_tensor(program, models.quality_graph(), data)
    with pytest.raises(ModelError):
        onnx_file.read(graph)


def test_the_onnx_package_sees_through_a_disguise(models: Any, program: Any) -> None:
    """So that the test above refuses what some reader takes."""
    tensor = numpy_helper.from_array(np.array(25.5, np.float32), "scale").SerializeToString()
    data = tensor + program.written(14, 0, b"\1", needless=1)
    graph = onnx.ModelProto.FromString(with_tensor(program, models.quality_graph(), data)).graph
    assert graph.initializer[-1].data_location == TensorProto.EXTERNAL


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES)
def test_a_foreign_operator_cannot_be_disguised(models: Any, program: Any, disguise: Write) -> None:
    node = helper.make_node("Relu", ["quality"], ["more"]).SerializeToString()
    data = node + disguise(program, 7, 2, b"com.evil")
    model = models.quality_graph()
    graph = model.graph.SerializeToString() + program.written(1, 2, data)
    with pytest.raises(ModelError):
        onnx_file.read(with_graph(program, model, graph))


def test_a_second_graph_is_not_merged_into_the_first(models: Any, program: Any) -> None:
    model = models.quality_graph()
    more = onnx.GraphProto(node=[helper.make_node("Shell", ["quality"], ["more"], domain="com.evil")])
    data = model.SerializeToString() + program.written(7, 2, more.SerializeToString())
    # Every reader merges messages that come twice.
    assert onnx.ModelProto.FromString(data).graph.node[-1].domain == "com.evil"
    with pytest.raises(ModelError, match="out of order"):
        onnx_file.read(data)


def test_bytes_behind_the_model_are_refused(models: Any) -> None:
    for junk in (b"\0", b"\x80", b"PK\3\4", b"\x08"):
        with pytest.raises(ModelError):
            onnx_file.read(models.quality_graph().SerializeToString() + junk)


def entry_of(program: Any, key: bytes, value: bytes) -> bytes:
    return bytes(program.written(1, 2, key) + program.written(2, 2, value))


def with_tensor(program: Any, model: onnx.ModelProto, tensor: bytes) -> bytes:
    """The model with this for its last initializer, all else in canonical form."""
    parts = program.fields(model.graph.SerializeToString())
    last = max(place for place, (number, _, _) in enumerate(parts) if number == 5)
    parts[last] = (5, 2, tensor)
    return with_graph(program, model, b"".join(program.written(*part) for part in parts))


def with_graph(program: Any, model: onnx.ModelProto, graph: bytes) -> bytes:
    parts = program.fields(model.SerializeToString())
    changed = [(7, 2, graph) if number == 7 else (number, wire, value) for number, wire, value in parts]
    return b"".join(program.written(*part) for part in changed)
