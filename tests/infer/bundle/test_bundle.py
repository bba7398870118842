from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from dgqa_infer.bundle.bundle import Bundle, Calibration, Card, built_in, write_bundle
from dgqa_infer.errors import ModelError, OutputError


@pytest.fixture
def bundle(tmp_path: Path, models: Any) -> Path:
    path: Path = models.write(tmp_path / "tiny").path
    return path


def edit_card(bundle: Path, change: Callable[[dict[str, Any]], None]) -> None:
    card = json.loads((bundle / "card.json").read_text())
    change(card)
    (bundle / "card.json").write_text(json.dumps(card))


def replace_graph(bundle: Path, model: onnx.ModelProto, name: str = "model.onnx") -> None:
    data = model.SerializeToString()
    (bundle / name).write_bytes(data)
    record = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    edit_card(bundle, lambda card: card["files"].update({name: record}))


def refused(bundle: Path, reason: str) -> None:
    with pytest.raises(ModelError, match=reason) as error:
        Bundle.load(bundle)
    assert str(bundle) in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_written_is_what_is_loaded(bundle: Path, models: Any) -> None:
    loaded = Bundle.load(bundle)
    expected = dataclasses.replace(models.card(), files=loaded.card.files)
    assert loaded.card == expected


def test_the_model_id_is_the_name_and_the_start_of_the_hash(bundle: Path) -> None:
    digest = hashlib.sha256((bundle / "model.onnx").read_bytes()).hexdigest()
    assert Bundle.load(bundle).model_id == f"tiny@{digest[:8]}"


def test_graph_bytes_are_those_of_the_file(bundle: Path) -> None:
    assert Bundle.load(bundle).graph_bytes("domains.onnx") == (bundle / "domains.onnx").read_bytes()


def test_a_graph_that_changes_after_loading_is_refused(bundle: Path) -> None:
    loaded = Bundle.load(bundle)
    data = bytearray((bundle / "model.onnx").read_bytes())
    data[-1] ^= 1
    (bundle / "model.onnx").write_bytes(data)
    with pytest.raises(ModelError, match="sha256"):
        loaded.graph_bytes("model.onnx")


def test_a_wrong_hash_is_refused(bundle: Path) -> None:
    edit_card(bundle, lambda card: card["files"]["model.onnx"].update(sha256="0" * 64))
    refused(bundle, "model.onnx has the sha256 .*, its card says 000000000000")


def test_a_graph_of_another_size_is_refused(bundle: Path) -> None:
    with (bundle / "model.onnx").open("ab") as file:
        file.write(b"\0")
    refused(bundle, r"model.onnx has \d+ bytes, its card says")


def test_a_missing_graph_is_refused(bundle: Path) -> None:
    (bundle / "domains.onnx").unlink()
    refused(bundle, "domains.onnx cannot be read")


@pytest.mark.parametrize(
    "field",
    ["format", "name", "version", "licence", "precision", "files", "preprocessing", "score", "tolerances"],
)
def test_a_card_that_lacks_a_field_is_refused_by_name(bundle: Path, field: str) -> None:
    edit_card(bundle, lambda card: card.pop(field))
    refused(bundle, f"lacks the field '{field}'")


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (["format"], 2, "format is 2"),
        (["name"], "../tiny", "name is"),
        (["name"], 7, "name is int, not str"),
        (["precision"], "fp8", "precision is 'fp8'"),
        (["tolerances"], {"fp16": 0.1}, "tolerances lack"),
        (["tolerances", "fp32"], -1, "fp32 is -1.0"),
        (["tolerances", "fp32"], True, "fp32 is bool"),
        (["surprise"], 1, "unknown fields: 'surprise'"),
        (["files", "evil.py"], {"sha256": "0" * 64, "bytes": 1}, "no file of a bundle"),
        (["files", "model.onnx", "bytes"], 0, "bytes is 0"),
        (["files", "model.onnx", "sha256"], "abc", "sha256 is 'abc'"),
        (["preprocessing", "grid"], 4, "grid is 4"),
        (["preprocessing", "blur"], 4, "blur"),
        (["preprocessing", "crop"], "32", "crop is '32', not a whole number"),
        (["preprocessing", "crop"], 32.0, r"crop is 32\.0, not a whole number"),
        (["preprocessing", "short_side"], 512.5, r"short_side is 512\.5, not a whole number"),
        (["preprocessing", "grid"], True, "grid is True, not a whole number"),
        (["preprocessing", "id"], ["a"], "id is .*, not text"),
        (["preprocessing", "decoded_side"], 1152.5, r"decoded_side is 1152\.5, not a whole number"),
        (["preprocessing", "decoder"], "nvjpeg", "decoder is 'nvjpeg', and no card may choose it"),
        (["score", "direction"], "lower is better", "direction"),
        (["score", "raw_range"], [10, 0], "raw_range"),
        (["score", "calibration", "raw"], [0, 5, 10], "3 raw knots and 2 score knots"),
        (["score", "calibration", "raw"], [0, 0], "ascending"),
        (["score", "calibration", "score"], [0, 101], "0–100"),
        (["score", "calibration", "score"], [0, float("nan")], "calibration"),
        (["domains", "classes"], ["blur", "pristine"], "the first 'pristine'"),
        (["domains", "temperature"], 0, "temperature is 0.0"),
        (["domains", "score_weight"], -0.5, "score_weight is -0.5"),
        (["domains", "crops"], [5], "there are 5, from 0 on"),
        (["domains", "crops"], [2, 1], "ascending"),
        (["domains", "crops"], [1, 1], "ascending"),
        (["domains", "crops"], [-1], "ascending"),
        (["domains", "crops"], [True], "ascending"),
        (["domains"], None, "domains is NoneType"),
        (["training"], [], "training is list"),
    ],
)
def test_a_wrong_field_is_refused_with_the_reason(
    bundle: Path, path: list[str], value: object, reason: str
) -> None:
    def change(card: dict[str, Any]) -> None:
        for key in path[:-1]:
            card = card[key]
        card[path[-1]] = value

    edit_card(bundle, change)
    refused(bundle, reason)


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "[" * 100_000])
def test_a_card_that_is_no_object_is_refused(bundle: Path, text: str) -> None:
    (bundle / "card.json").write_text(text)
    refused(bundle, "card")


def test_a_domain_graph_without_its_classes_is_refused(bundle: Path) -> None:
    edit_card(bundle, lambda card: card.pop("domains"))
    refused(bundle, "both")


def test_a_graph_with_another_input_is_refused(bundle: Path, models: Any) -> None:
    model = models.quality_graph()
    model.graph.input[0].name = model.graph.node[0].input[0] = "images"
    replace_graph(bundle, model)
    refused(bundle, r"has the inputs \['images'\], not \['crops'\]")


def test_a_graph_with_one_input_more_is_refused(bundle: Path, models: Any) -> None:
    model = models.quality_graph()
    model.graph.input.append(helper.make_tensor_value_info("seed", TensorProto.FLOAT, [1]))
    replace_graph(bundle, model)
    refused(bundle, "inputs")


def test_a_graph_for_another_crop_is_refused(bundle: Path, models: Any) -> None:
    replace_graph(bundle, models.quality_graph(crop=64))
    refused(bundle, r"input crops has the shape \['batch', 64, 64, 3\], not \['batch', 32, 32, 3\]")


def test_a_graph_with_a_fixed_batch_is_refused(bundle: Path, models: Any) -> None:
    model = models.quality_graph()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    replace_graph(bundle, model)
    refused(bundle, "shape")


def test_a_graph_that_takes_floats_is_refused(bundle: Path, models: Any) -> None:
    model = models.quality_graph()
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT
    replace_graph(bundle, model)
    refused(bundle, "not uint8")


def test_a_graph_without_the_quality_map_is_refused(bundle: Path, models: Any) -> None:
    model = models.quality_graph()
    del model.graph.output[1]
    replace_graph(bundle, model)
    refused(bundle, "outputs")


def test_a_domain_graph_with_another_number_of_classes_is_refused(bundle: Path) -> None:
    edit_card(bundle, lambda card: card["domains"].update(classes=["pristine", "dust_spots"]))
    refused(bundle, "domain_logits")


def test_a_name_that_is_nowhere_is_refused_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="neither a folder nor a built-in one") as error:
        Bundle.load(tmp_path / "none")
    assert all(name in str(error.value) for name in built_in())


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is no bundle"):
        Bundle.load(tmp_path)


@pytest.mark.parametrize("name", built_in())
def test_the_built_in_bundles_are_sound(name: str) -> None:
    assert Bundle.load(name).card.name == name


def test_calibration_is_linear_between_knots_and_clipped_outside() -> None:
    calibration = Calibration((0.0, 5.0, 10.0), (0.0, 20.0, 100.0))
    assert [calibration(raw) for raw in (-3, 0, 2.5, 5, 7.5, 10, 11)] == [0, 0, 10, 20, 60, 100, 100]


def test_writing_replaces_a_bundle_and_leaves_nothing_else_behind(bundle: Path, models: Any) -> None:
    models.write(bundle, version="2")
    assert Bundle.load(bundle).card.version == "2"
    assert [entry.name for entry in bundle.parent.iterdir()] == ["tiny"]


def test_writing_leaves_a_folder_alone_that_is_no_bundle(tmp_path: Path, models: Any) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "diary.txt").write_text("dear diary")
    with pytest.raises(OutputError, match="left alone"):
        models.write(tmp_path / "notes")
    assert (tmp_path / "notes" / "diary.txt").read_text() == "dear diary"


def test_writing_leaves_a_bundle_alone_that_holds_more_than_itself(bundle: Path, models: Any) -> None:
    """Another bundle in it would be lost; what a file manager leaves in a folder may be."""
    (bundle / ".DS_Store").touch()
    models.write(bundle)
    inner = models.write(bundle / "inner").path
    with pytest.raises(OutputError, match="more than a bundle, inner; it is left alone"):
        models.write(bundle)
    assert Bundle.load(inner).path == inner


def test_writing_a_bundle_that_could_not_be_loaded_writes_nothing(tmp_path: Path, models: Any) -> None:
    graphs = {"model.onnx": models.quality_graph(crop=64).SerializeToString()}
    with pytest.raises(ModelError):
        write_bundle(tmp_path / "tiny", graphs, models.card(domains=None))
    assert list(tmp_path.iterdir()) == []


def test_a_card_survives_the_way_through_json(models: Any) -> None:
    card = models.card(training={"seed": 7}, figures=({"srcc": 0.7},))
    text = json.dumps(card.as_json())
    files = {"model.onnx": {"sha256": "0" * 64, "bytes": 1}, "domains.onnx": {"sha256": "1" * 64, "bytes": 2}}
    read = Card.from_json(json.loads(text) | {"files": files})
    assert dataclasses.replace(read, files={}) == card
