from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.domains.classes import CLASSES
from dgqa_training.classifier import report as domain_report
from dgqa_training.classifier.figures import learning_curve
from dgqa_training.classifier.held_out import CASES, HeldOut
from dgqa_training.networks import checkpoints
from dgqa_training.networks.heads import DomainNetwork, Head, build_backbone


@pytest.fixture
def told() -> HeldOut:
    """Two contents, every case right, but: jpeg is said for all of motion blur's levels 1 and 5 of content 1,
    and pristine for every identity."""
    classes, levels = np.array(CASES * 2).T
    contents = np.repeat([0, 1], len(CASES))
    said = classes.copy()
    said[(classes == 3) & np.isin(levels, (2, 5)) & (contents == 1)] = 10
    held = HeldOut(np.zeros((len(said), 26)), classes, levels, contents)
    said[held.identities] = 0
    held.logits[np.arange(len(said)), said] = 5.0
    return held


def test_figures_count_identities_and_pristine_apart(told: HeldOut) -> None:
    found = domain_report.figures(told)

    # 25 types at 5 levels less 4 identities, of two contents: 242; two of them wrong.
    assert found["images"] == 252
    assert found["top1"] == pytest.approx(240 / 242, abs=1e-5)
    # 25 types at 3 levels less one identity: 148; one wrong.
    assert found["top1_levels_3_5"] == pytest.approx(147 / 148, abs=1e-5)
    # Level 2: 25 types, none an identity; level 1 lacks three.
    assert found["top1_by_level"] == {
        "1": 1.0,
        "2": pytest.approx(49 / 50),
        "3": 1.0,
        "4": 1.0,
        "5": pytest.approx(49 / 50),
    }
    assert found["top1_pristine"] == 1.0
    assert found["by_type"]["3"] == {
        "name": "motion-blur",
        "top1": 0.75,
        "top1_levels_3_5": pytest.approx(5 / 6, abs=1e-5),
    }
    assert found["identities"]["18-3"] == {"images": 2, "pristine": 1.0, "own_type": 0.0}
    low, high = found["top1_interval"]
    assert low == pytest.approx(119 / 121, abs=1e-5)  # content 1 alone, drawn twice
    assert high == 1.0
    json.dumps(found, allow_nan=False)


def test_the_confusion_matrix_has_a_row_a_true_class_without_identities(told: HeldOut) -> None:
    matrix = domain_report.confusion(told)
    (header, *rows) = csv.reader(domain_report.as_csv(matrix).splitlines())

    assert matrix.sum() == 252 - 8
    assert (matrix[3, 10], matrix[3, 3], matrix[0, 0], matrix[1, 0]) == (2, 6, 2, 0)
    assert header[1:] == [row[0] for row in rows] == list(CLASSES)
    assert rows[3][header.index("jpeg")] == "2"


def test_the_temperature_comes_from_one_half_of_the_contents_and_the_errors_from_the_other(
    told: HeldOut,
) -> None:
    found = domain_report.calibration(told)

    # Content 0 is always right, so certainty is best there; content 1 is not, and suffers.
    assert (found["images_fitted_on"], found["images_measured_on"]) == (122, 122)
    assert found["temperature"] < 0.3
    assert found["negative_log_likelihood_after"] > found["negative_log_likelihood_before"]
    # exp(5) / (exp(5) + 25) of certainty where 120 of 122 are right.
    certainty = np.exp(5) / (np.exp(5) + 25)
    assert found["expected_calibration_error_before"] == pytest.approx(120 / 122 - certainty, abs=1e-5)


def test_one_content_gives_a_temperature_without_errors(told: HeldOut) -> None:
    found = domain_report.calibration(told.where(told.contents == 0))

    assert found["images_measured_on"] == 0
    assert "expected_calibration_error_after" not in found


def test_the_learning_curve_follows_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"epoch": 0, "loss": 2.5, "seconds": 1}\n{"epoch": 1, "loss": 1.25, "seconds": 1}\n')
    (line,) = learning_curve(log).axes[0].lines

    assert line.get_xydata().tolist() == [[1, 2.5], [2, 1.25]]  # type: ignore[union-attr]


def test_a_run_gains_its_report_and_the_checkpoint_its_temperature(tmp_path: Path) -> None:
    run, source = tmp_path / "run", tmp_path / "photos"
    source.mkdir()
    names = [f"{letter}.png" for letter in "abcde"]
    for name in names:
        pixels = np.random.default_rng(ord(name[0])).integers(0, 256, (48, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(source / name)
    torch.manual_seed(0)
    head = Head(("blocks1",))
    network = DomainNetwork(build_backbone("efficientnet_lite0"), head)
    preprocessing = Preprocessing(id="test", short_side=48, crop=32, grid=1)
    record = {"held_out": names, "contents": 8}
    checkpoint = checkpoints.Checkpoint(
        "domains", "efficientnet_lite0", head, preprocessing, network.state_dict(), record
    )
    checkpoints.save(run / "domains.safetensors", checkpoint)
    (run / "log.jsonl").write_text('{"epoch": 0, "loss": 2.5, "seconds": 1}\n')
    found = domain_report.write(run, source)

    assert found == json.loads((run / "report" / "report.json").read_text())
    assert found["contents"] == 5
    for name in ("confusion.png", "learning.png"):
        with Image.open(run / "report" / name) as picture:
            assert min(picture.size) > 400
    assert HeldOut.load(run / "report" / "held_out.npz").logits.shape == (630, 26)
    kept = checkpoints.load(run / "domains.safetensors")
    assert kept.training["contents"] == 8
    assert kept.training["report"]["calibration"] == found["calibration"]
    assert list(kept.training["faults"]) == list(CLASSES[1:])
    assert found["explanations"]["undistorted"] == 5 * 12
    assert set(found["top1_pristine_saved_as"]) == {"lossless", "jpeg-95", "jpeg-85", "jpeg-75"}
    assert torch.equal(kept.tensors["linear.weight"], network.state_dict()["linear.weight"])
