from __future__ import annotations

import hashlib
import json
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.errors import ModelError


class RunsACommand:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


@pytest.fixture
def bundle(tmp_path: Path, models: Any) -> Path:
    path: Path = models.write(tmp_path / "bundle").path
    return path


def plant(bundle: Path, data: bytes) -> None:
    """Put a graph into the bundle, with a card that vouches for it."""
    (bundle / "model.onnx").write_bytes(data)
    card = json.loads((bundle / "card.json").read_text())
    card["files"]["model.onnx"] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    (bundle / "card.json").write_text(json.dumps(card))


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_in_a_graph_s_place_is_not_unpickled(bundle: Path, tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "pwned"
    plant(bundle, pickle.dumps(RunsACommand(mark), protocol=protocol))
    with pytest.raises(ModelError):
        Bundle.load(bundle)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["model.pth", "model.pth.tar", "model.safetensors"])
def test_a_pickle_in_a_checkpoint_s_place_is_not_unpickled(tmp_path: Path, name: str) -> None:
    checkpoints = pytest.importorskip("dgqa_training.networks.checkpoints")
    mark = tmp_path / "pwned"
    path = tmp_path / name
    path.write_bytes(pickle.dumps(RunsACommand(mark)))
    with pytest.raises(ModelError):
        checkpoints.load(path)
    assert not mark.exists()


def test_the_pickle_would_have_run(tmp_path: Path) -> None:
    """Without this the tests above could pass with a harmless pickle."""
    mark = tmp_path / "pwned"
    pickle.loads(pickle.dumps(RunsACommand(mark)))
    assert mark.exists()


def pointing_to(location: str) -> onnx.TensorProto:
    tensor = numpy_helper.from_array(np.array(25.5, np.float32), "scale")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "4")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return tensor


@pytest.mark.parametrize("location", ["/etc/passwd", "../../../etc/passwd", "weights.bin", "link"])
@pytest.mark.parametrize("where", ["initializer", "constant"])
def test_weights_outside_the_graph_are_never_read(
    bundle: Path, models: Any, monkeypatch: pytest.MonkeyPatch, location: str, where: str
) -> None:
    # ONNX Runtime looks for the weights of a model from memory in the folder that one works in.
    monkeypatch.chdir(bundle)
    (bundle / "weights.bin").write_bytes(np.array(25.5, np.float32).tobytes())
    (bundle / "link").symlink_to("/etc/passwd")
    model = models.quality_graph()
    tensor = pointing_to(location)
    if where == "initializer":
        for index, initializer in enumerate(model.graph.initializer):
            if initializer.name == "scale":
                model.graph.initializer[index].CopyFrom(tensor)
    else:
        model.graph.node.insert(0, helper.make_node("Constant", [], ["unused"], value=tensor))
    plant(bundle, model.SerializeToString())
    with pytest.raises(ModelError, match="outside its own file"):
        Bundle.load(bundle)


@pytest.mark.parametrize("domain", ["com.evil", "com.microsoft", "com.microsoft.nchwc"])
def test_operators_of_others_are_refused_before_a_runtime_looks_for_them(
    bundle: Path, models: Any, domain: str
) -> None:
    model = models.quality_graph()
    model.graph.node[-1].domain = domain
    model.opset_import.append(helper.make_opsetid(domain, 1))
    plant(bundle, model.SerializeToString())
    with pytest.raises(ModelError, match=domain):
        Bundle.load(bundle)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "model.onnx/../../x", "evil.so", ""])
def test_a_card_cannot_make_other_files_be_read(bundle: Path, name: str) -> None:
    card = json.loads((bundle / "card.json").read_text())
    card["files"][name] = {"sha256": "0" * 64, "bytes": 1}
    (bundle / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="no file of a bundle"):
        Bundle.load(bundle)


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card.update(name="x\x1b[2J"),
        lambda card: card.update(name="../../x"),
        lambda card: card.update(training="__import__('os').system('id')"),
        lambda card: card["preprocessing"].update(short_side=10**12, crop=10**12),
        lambda card: card["preprocessing"].update(crop=-1),
    ],
)
def test_a_card_cannot_hold_what_does_not_belong_there(bundle: Path, change: Callable[[Any], None]) -> None:
    card = json.loads((bundle / "card.json").read_text())
    change(card)
    (bundle / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError):
        Bundle.load(bundle)


def test_a_graph_exchanged_between_check_and_use_is_not_run(bundle: Path, models: Any) -> None:
    loaded = Bundle.load(bundle)
    (bundle / "model.onnx").write_bytes(models.quality_graph(crop=64).SerializeToString())
    with pytest.raises(ModelError):
        loaded.graph_bytes("model.onnx")


def test_a_card_of_a_gigabyte_is_not_read_whole(bundle: Path) -> None:
    with (bundle / "card.json").open("r+b") as file:
        file.truncate(1_000_000_000)
    with pytest.raises(ModelError, match="longer than"):
        Bundle.load(bundle)


@pytest.fixture
def foreign_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A checkpoint whose head names a module that can be imported, and the file that it writes when it is."""
    safetensors = pytest.importorskip("safetensors.numpy")
    mark = tmp_path / "pwned"
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "innocent_head.py").write_text(f"open({str(mark)!r}, 'w').close()\nHead = None\n")
    monkeypatch.syspath_prepend(tmp_path / "path")
    monkeypatch.delitem(sys.modules, "innocent_head", raising=False)
    preprocessing = {"id": "short64-grid1-64", "short_side": 64, "crop": 64, "grid": 1}
    header = {
        "format": "dgqa-checkpoint-1",
        "task": "quality",
        "backbone": "efficientnet_lite0",
        "head": json.dumps({"stages": ["head"], "network": "innocent_head:Head"}),
        "preprocessing": json.dumps(preprocessing),
        "training": "{}",
    }
    path = tmp_path / "regressor.safetensors"
    safetensors.save_file({"weight": np.zeros(1, np.float32)}, path, header)
    return path, mark


@pytest.mark.parametrize("named", [(), ("--network", "innocent_head:Other"), ("--network", "linear")])
def test_a_checkpoint_that_names_a_module_does_not_have_it_imported(
    cli: Callable[..., Any], foreign_checkpoint: tuple[Path, Path], tmp_path: Path, named: tuple[str, ...]
) -> None:
    path, mark = foreign_checkpoint
    ran = cli("export", path, "--out", tmp_path / "out", "--no-engine", *named)
    assert ran.code == 2
    assert "'innocent_head:Head', which is not built in" in ran.stderr
    assert "name it with --network innocent_head:Head" in ran.stderr
    assert not mark.exists()


def test_a_plug_in_is_imported_where_the_command_line_names_it(
    cli: Callable[..., Any], foreign_checkpoint: tuple[Path, Path], tmp_path: Path
) -> None:
    """So that the test above would see it."""
    path, mark = foreign_checkpoint
    cli("export", path, "--out", tmp_path / "out", "--no-engine", "--network", "innocent_head:Head")
    assert mark.exists()
