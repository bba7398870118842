"""One call converts, verifies and writes; or writes nothing and says why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto
from PIL import Image
from torch import nn

from dgqa_export import bundles, exporter, photographs
from dgqa_export.exporter import Source, export, load_source
from dgqa_export.graphs.contract import parse
from dgqa_export.graphs.graph import export_domains
from dgqa_export.precisions.precision import precision_of
from dgqa_infer.bundle.bundle import Bundle, Domains, write_bundle
from dgqa_infer.errors import ModelError, OutputError, UsageError
from dgqa_infer.images.arrays import Pixels


@pytest.fixture(scope="module")
def folder(many_crops: list[Pixels], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """80 photographs as files, and a file that is none."""
    place = tmp_path_factory.mktemp("photos")
    for number, crops in enumerate(many_crops):
        # The five crops side by side: a photograph of the size that the preprocessing likes.
        Image.fromarray(np.concatenate(list(crops[:2]), axis=1)).save(place / f"{number:03}.png")
    (place / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a photograph")
    return place


@pytest.fixture(scope="module")
def source(small_network: nn.Module, small_graph: bytes, small_bundle: Bundle) -> Source:
    graph = bundles.describe(small_graph, small_bundle.card)
    return Source(small_bundle.card, graph, None, small_network)


def test_each_precision_becomes_a_bundle_that_can_be_scored_with(
    source: Source, folder: Path, tmp_path: Path
) -> None:
    paths = photographs.split(photographs.files(folder), None, int8=True)
    done = export(source, ["fp32", "fp16", "int8"], tmp_path / "new" / "out", paths)
    assert [bundle.card.name for bundle in done.bundles] == ["small", "small-fp16", "small-int8"]
    assert done.drift.passed
    assert {drift.reference for drift in done.drift.drifts} == {"torch"}
    # Half of 81 files calibrate; one of them all is no photograph.
    assert {drift.photographs for drift in done.drift.drifts} <= {39, 40}
    assert sum(trial.chosen for trial in done.trials) == 1
    for bundle in done.bundles:
        loaded = Bundle.load(bundle.path)
        model = parse(loaded.graph_bytes("model.onnx"))
        assert precision_of(model) == loaded.card.precision
        assert {entry.key for entry in model.metadata_props} >= {"preprocessing", "calibration"}
        drifts = [figure for figure in loaded.card.figures if figure["kind"] == "drift"]
        assert drifts
        assert all(figure["precision"] == loaded.card.precision and figure["passed"] for figure in drifts)


def test_a_packed_graph_is_compared_with_the_network_whose_weights_were_not_rounded(
    source: Source, tmp_path: Path
) -> None:
    done = export(source, ["fp32"], tmp_path, None, packed=True, allow_drift=True)
    (bundle,) = done.bundles
    assert bundle.card.precision == "fp32"
    assert done.drift.drifts[0].reference == "torch"
    weights = parse(bundle.graph_bytes("model.onnx")).graph.initializer
    assert any(tensor.data_type == TensorProto.FLOAT16 for tensor in weights)


def test_too_much_drift_writes_nothing(source: Source, tmp_path: Path) -> None:
    strict = replace(source, card=replace(source.card, tolerances={"fp32": 1e-4, "fp16": 1e-9}))
    done = export(strict, ["fp32", "fp16"], tmp_path, None)
    assert not done.drift.passed
    assert done.bundles == ()
    assert list(tmp_path.iterdir()) == []
    assert len(export(strict, ["fp16"], tmp_path, None, allow_drift=True).bundles) == 1


def test_int8_without_photographs_is_refused(source: Source, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least 64 photographs"):
        export(source, ["int8"], tmp_path, None)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder_is_found_out_before_anything_is_computed(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter, "_convert", lambda *_: pytest.fail("computed"))
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match="taken is a file: name a folder"):
        export(source, ["fp16"], tmp_path / "taken", None)


def test_a_bundle_is_compared_with_itself(small_bundle: Bundle, tmp_path: Path) -> None:
    done = export(load_source(str(small_bundle.path)), ["fp32"], tmp_path, None)
    assert done.drift.drifts[0].reference == "fp32 bundle, onnxruntime cpu"
    assert done.drift.drifts[0].max_abs == 0


def test_a_bundle_in_another_precision_is_no_source(small_bundle: Bundle, tmp_path: Path) -> None:
    done = export(load_source(str(small_bundle.path)), ["fp16"], tmp_path, None)
    with pytest.raises(ModelError, match="small-fp16 is in fp16; export from the fp32 bundle"):
        load_source(str(done.bundles[0].path))


def test_a_card_that_says_another_precision_than_its_graph_is_refused(
    small_bundle: Bundle, tmp_path: Path
) -> None:
    done = export(load_source(str(small_bundle.path)), ["fp16"], tmp_path, None)
    lie = replace(done.bundles[0].card, precision="fp32")
    write_bundle(tmp_path / "lie", {"model.onnx": done.bundles[0].graph_bytes("model.onnx")}, lie)
    with pytest.raises(ModelError, match="is in fp16, its card says fp32"):
        load_source(str(tmp_path / "lie"))


def test_a_bundles_graph_keeps_its_opset(small_bundle: Bundle) -> None:
    with pytest.raises(UsageError, match="keeps its opset"):
        load_source(str(small_bundle.path), opset=21)


def test_a_bundle_can_get_another_name(small_bundle: Bundle) -> None:
    assert load_source(str(small_bundle.path), name="mine").card.name == "mine"


@pytest.mark.parametrize("text", ["nowhere", "nowhere.safetensors"])
def test_a_source_that_is_missing_is_named(text: str) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        load_source(text)


def test_a_file_that_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0nonsense")
    with pytest.raises(ModelError, match="not a readable safetensors file"):
        load_source(str(tmp_path / "model.safetensors"))


def test_a_folder_without_photographs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no photograph")
    with pytest.raises(UsageError, match="holds no photographs"):
        photographs.files(tmp_path)
    with pytest.raises(UsageError, match="is not a folder"):
        photographs.files(tmp_path / "notes.txt")


@pytest.mark.parametrize(("count", "others"), [(81, None), (500, None), (3000, None), (500, 1500), (7, 2)])
def test_no_photograph_does_two_things(count: int, others: int | None) -> None:
    found = [Path(f"{number}.jpg") for number in range(count)]
    calibrating = None if others is None else [Path(f"other{number}.jpg") for number in range(others)]
    dealt = photographs.split(found, calibrating, int8=True)
    parts = [set(dealt.calibration), set(dealt.choosing), set(dealt.verification)]
    assert len(set.union(*parts)) == sum(map(len, parts))
    assert all(parts)
    assert len(dealt.verification) <= 500
    assert max(len(dealt.calibration), len(dealt.choosing)) <= 64
    if calibrating is not None:
        assert set(dealt.verification) == set(found)


class _Domains(nn.Module):
    """26 numbers from a convolution of the crop."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 26, 3)

    def forward(self, crops: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.convolution(crops.to(torch.float32).permute(0, 3, 1, 2) / 255)
        return {"domain_logits": torch.nn.functional.avg_pool2d(x, 62).flatten(1)}


def test_the_domain_classifier_travels_along_as_it_is(source: Source, tmp_path: Path) -> None:
    classes = Domains(("pristine", *(f"type_{number}" for number in range(25))), 1.0)
    domains = export_domains(_Domains(), 64)
    explaining = replace(source, domains=domains, card=replace(source.card, domains=classes))
    (bundle,) = export(explaining, ["fp16"], tmp_path, None).bundles
    assert bundle.graph_bytes("domains.onnx") == domains
    assert bundle.card.domains == classes


def test_a_strangers_folder_is_found_out_before_anything_is_computed(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter, "_convert", lambda *_: pytest.fail("computed"))
    (tmp_path / "small-fp16").mkdir()
    (tmp_path / "small-fp16" / "mine.txt").touch()
    with pytest.raises(OutputError, match="is no bundle; it is left alone"):
        export(source, ["fp16"], tmp_path, None)
