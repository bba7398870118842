from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from classifiers import bundle_with_classifier
from PIL import Image

from dgqa_export import classifier
from dgqa_export.classifier import load_classifier, with_classifier
from dgqa_export.parts.explanations import SCORE_WEIGHTS, Seen, look_at_examples, with_explanations
from dgqa_infer.bundle.bundle import Bundle, write_bundle
from dgqa_infer.bundle.card import Fault
from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.domains.classes import CLASSES
from dgqa_infer.domains.classifier import DomainClassifier, DomainLogits
from dgqa_infer.errors import ModelError, UsageError
from dgqa_infer.pipeline.predictor import Photo
from dgqa_training.networks.checkpoints import Checkpoint, save
from dgqa_training.networks.heads import DomainNetwork, Head, build_backbone
from dgqa_training.networks.official_checkpoint import import_classifier
from dgqa_training.networks.resnet import ResNet50

PREPROCESSING = Preprocessing(id="test-short128-grid5-64", short_side=128, crop=64, grid=5)


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """The authors' classifier, from a file with their names and random weights; smaller crops."""
    torch.manual_seed(0)
    network = DomainNetwork(ResNet50(), Head(("layer4",)))
    names = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}
    theirs = {}
    for name, value in network.state_dict().items():
        part, _, rest = name.partition(".")
        child, _, inner = rest.partition(".")
        if part == "backbone":
            theirs[f"backbone.{names[child]}.{inner}"] = value
        else:
            theirs[f"classify.0.{rest}"] = value.flatten(1) if rest == "weight" else value
    file = tmp_path_factory.mktemp("authors") / "kadis-700k_model_best.pth.tar"
    torch.save({"state_dict": theirs}, file)
    return replace(import_classifier(file), preprocessing=PREPROCESSING)


@pytest.fixture
def bundle(tmp_path: Path, small_bundle: Bundle) -> Bundle:
    card = replace(small_bundle.card, training={"types": [1, 3]})
    return write_bundle(tmp_path / "small", {"model.onnx": small_bundle.graph_bytes("model.onnx")}, card)


def test_the_authors_checkpoint_becomes_a_bundles_classifier_with_the_same_logits(
    bundle: Bundle, imported: Checkpoint, tmp_path: Path
) -> None:
    report = {"calibration": {"temperature": 1.7}}
    checkpoint = replace(imported, training={**imported.training, "report": report})
    joined = bundle_with_classifier(bundle, checkpoint, tmp_path / "joined")
    crops = np.random.default_rng(0).integers(0, 256, (10, 64, 64, 3), dtype=np.uint8)
    with torch.no_grad():
        logits = imported.network()(torch.from_numpy(crops))["domain_logits"].numpy()
    with DomainClassifier(joined, device="cpu") as classifier:
        results = classifier.predict(crops, [Photo(0, None, 64, 64), Photo(1, None, 64, 64)])
    found = np.array([result.logits for result in results if isinstance(result, DomainLogits)])

    # Weights are stored as float16.
    expected = logits.reshape(2, 5, 26).mean(1)
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=0.02 * np.abs(expected).max())
    domains = joined.card.domains
    assert domains is not None
    assert (domains.classes, domains.temperature) == (CLASSES, 1.7)
    assert joined.card.training["types"] == [1, 3]
    assert joined.card.training["classifier"]["backbone"] == "resnet50"
    assert "KADIS-700k" in joined.card.training["classifier"]["source"]
    assert joined.graph_bytes("model.onnx") == bundle.graph_bytes("model.onnx")


def test_a_checkpoint_of_another_task_or_size_is_refused(
    bundle: Bundle, imported: Checkpoint, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="quality, not a domain classifier"):
        bundle_with_classifier(bundle, replace(imported, task="quality"), tmp_path / "new")
    large = replace(imported, preprocessing=replace(PREPROCESSING, crop=128))
    with pytest.raises(ModelError, match="for crops of 128 pixels, small has 64"):
        bundle_with_classifier(bundle, large, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_checkpoint_of_ours_is_read_by_its_extension_and_anything_else_as_the_authors(
    imported: Checkpoint, tmp_path: Path
) -> None:
    save(tmp_path / "domains.safetensors", imported)
    assert load_classifier(tmp_path / "domains.safetensors").backbone == "resnet50"
    (tmp_path / "kadis.pth.tar").write_bytes(b"")
    with pytest.raises(ModelError, match="not a readable PyTorch checkpoint"):
        load_classifier(tmp_path / "kadis.pth.tar")


def test_thresholds_come_with_a_classifier_or_are_chosen_for_its_bundle(
    bundle: Bundle, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    head = Head(("blocks1",))
    network = DomainNetwork(build_backbone("efficientnet_lite0"), head)
    fault = {"threshold": 3.5, "evidence": [0.0, 4.0], "severity": [0.5, 3.0]}
    trained = {"faults": dict.fromkeys(CLASSES[1:], fault)}
    checkpoint = Checkpoint(
        "domains", "efficientnet_lite0", head, PREPROCESSING, network.state_dict(), trained
    )
    joined = bundle_with_classifier(bundle, checkpoint, tmp_path / "joined")
    assert joined.card.domains is not None
    assert joined.card.domains.faults["jpeg"] == Fault(3.5, (0.0, 4.0), (0.5, 3.0))

    contents = [tmp_path / f"{number}.png" for number in range(5)]
    for number, path in enumerate(contents):
        pixels = np.random.default_rng(number).integers(0, 256, (66, 70, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    done: list[int] = []
    seen = look_at_examples(joined, contents, advance=done.append)
    found = with_explanations(joined, seen, tmp_path / "explained").card

    assert found.domains is not None
    assert list(found.domains.faults) == list(CLASSES[1:])
    assert found.domains.faults["jpeg"].threshold != 3.5
    record = found.training["explanations"]
    assert record["undistorted"] == 60
    assert [each["score_weight"] for each in record["tried"]] == list(SCORE_WEIGHTS)
    assert record["named_on_contents_left_out"] == max(
        each["named_on_contents_left_out"] for each in record["tried"]
    )
    assert found.domains.score_weight == record["score_weight"]
    assert sum(done) > 60
    assert found.files["domains.onnx"] == joined.card.files["domains.onnx"]
    four = seen.held_out.contents < 4
    few = Seen(seen.held_out.where(four), seen.scores[four])
    with pytest.raises(UsageError, match="undistorted photographs of 5 contents"):
        with_explanations(joined, few, tmp_path / "few")


def test_records_of_the_classifier_that_is_replaced_are_dropped(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Checkpoint, "network", lambda _: None)
    monkeypatch.setattr(classifier, "export_domains", lambda *_: b"")
    monkeypatch.setattr(classifier, "pack", bytes)
    records = ("classifier", "domain_head", "domain_trunk", "explanations", "int8_classifier")
    training = {"types": [1], **{name: {"held_out": ["old.png"]} for name in records}}
    new = {"held_out": ["new.png"]}
    checkpoint = Checkpoint("domains", "efficientnet_lite0", Head(("blocks1",)), PREPROCESSING, {}, new)
    card, _ = with_classifier(replace(bundle.card, training=training), checkpoint)
    assert set(card.training) == {"types", "classifier"}
    assert card.training["classifier"]["held_out"] == ["new.png"]
