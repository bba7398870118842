from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from dgqa_infer.bundle.bundle import Domains, write_bundle
from dgqa_infer.domains.classes import CLASSES

FAVOURED = {"red": (0, 1, 3, 25), "green": (0, 1, 17, 25), "blue": (9, 8, 7, 6)}
"""The four classes that a photograph of this colour votes for, by the bundle below."""


@pytest.fixture(scope="session")
def colour_bundle(tmp_path_factory: pytest.TempPathFactory, models: Any) -> Path:
    """A bundle whose logits are the mean colour times a matrix: each colour favours four classes."""
    matrix = np.zeros((3, 26), np.float32)
    for row, classes in zip(matrix, FAVOURED.values(), strict=True):
        row[list(classes)] = (1.0, 0.9, 0.8, 0.7)
    return write(tmp_path_factory.mktemp("select") / "colours", matrix, CLASSES, models)


def write(folder: Path, matrix: np.ndarray[Any, Any], classes: tuple[str, ...], models: Any) -> Path:
    nodes = [
        helper.make_node("Cast", ["crops"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "space"], ["colour"], keepdims=0),
        helper.make_node("MatMul", ["colour", "matrix"], ["domain_logits"]),
    ]
    constants = {"space": np.array([1, 2], np.int64), "matrix": matrix}
    domains: onnx.ModelProto = models.model(nodes, constants, {"domain_logits": ["batch", 26]})
    graphs = {
        "model.onnx": models.quality_graph().SerializeToString(),
        "domains.onnx": domains.SerializeToString(),
    }
    card = models.card(name="colours", domains=Domains(classes, 1.0))
    return write_bundle(folder, graphs, card).path


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-four photographs: twelve red, eight green, four blue."""
    folder = tmp_path_factory.mktemp("colours")
    for number in range(24):
        colour = ("red", "red", "red", "green", "green", "blue")[number % 6]
        Image.new("RGB", (80, 70), colour).save(folder / f"{number:02}.png")
    return folder


@pytest.fixture
def select(cli: Callable[..., Any], colour_bundle: Path) -> Callable[..., Any]:
    def run(*arguments: object) -> Any:
        return cli("select", "--model", colour_bundle, "--device", "cpu", "--workers", 1, *arguments)

    return run


def test_json_gives_votes_scores_and_types_of_the_whole_folder(select: Any, folder: Path) -> None:
    ran = select(folder, "--json")
    found = json.loads(ran.stdout)

    assert ran.code == 0
    assert found["photos"] == 24
    assert list(found["scores"]) == [str(number) for number in range(26)]
    # "green" is half green in Pillow, which changes nothing. 20 of 24 vote for 1 and 25.
    assert found["scores"]["1"] == pytest.approx(20 / 72, abs=1e-6)
    assert found["votes"]["0"] == 20
    assert found["selected"] == [1, 3, 6, 7, 8, 9, 17, 25]
    assert found["unreadable"] == []
    assert found["reliable"] is True
    assert found["crops"] == "grid"
    assert found["rule"] == {"top": 4, "counted": 3, "threshold": 0.04, "decimals": 2}


def test_it_says_the_same_on_every_run_with_either_crops_and_any_batch(select: Any, folder: Path) -> None:
    for options in ((), ("--crops", "random", "--seed", 7)):
        first = select(folder, "--json", *options)
        assert select(folder, "--json", *options, "--batch-size", 3).stdout == first.stdout


def test_random_crops_depend_on_the_seed_and_on_nothing_else(
    select: Any, tmp_path: Path, make_photo: Callable[..., Path]
) -> None:
    for number in range(20):
        # A photograph that is red in one half and blue in the other: it depends on where one looks.
        image = np.zeros((40, 400, 3), np.uint8)
        image[:, :200, 0], image[:, 200:, 2] = 255, 255
        image[0, 0, 1] = number
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    votes = [
        json.loads(select(tmp_path, "--json", "--crops", "random", "--seed", seed).stdout)["votes"]
        for seed in (1, 1, 2)
    ]

    assert votes[0] == votes[1] != votes[2]
    assert 0 < votes[0]["9"] < 20


def test_the_chart_is_a_picture_of_the_profile(select: Any, folder: Path, tmp_path: Path) -> None:
    ran = select(folder, "--json", "--chart", tmp_path / "profile.png")

    assert ran.code == 0
    with Image.open(tmp_path / "profile.png") as picture:
        assert (picture.format, picture.width) == ("PNG", 1400)
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 20) or ()}
    # Bars of selected and of other classes, and the threshold.
    assert {(31, 119, 180), (174, 199, 232), (200, 60, 30)} <= colours


def test_a_chart_that_cannot_be_written_is_told_before_any_work(select: Any, folder: Path) -> None:
    ran = select(folder, "--chart", folder / "nowhere" / "profile.png")

    assert ran.code == 2
    assert "nowhere/profile.png cannot be written: No such file or directory" in ran.stderr


def test_a_table_lists_all_classes_with_words_the_highest_score_first(select: Any, folder: Path) -> None:
    ran = select(folder, "--table")
    lines = [line for line in ran.stdout.decode().splitlines() if line.startswith("│")]

    assert len(lines) == 26
    assert "pristine" in lines[0]
    assert "soft all over" in lines[1]
    assert "yes" in lines[1]
    assert "24 photographs select the types 1,3,6,7,8,9,17,25" in ran.stderr


def test_unreadable_photographs_are_counted_and_named_and_the_others_decide(
    select: Any, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    ran = select(folder, tmp_path, tmp_path / "missing.png", "--json")
    found = json.loads(ran.stdout)

    assert ran.code == 3
    assert found["photos"] == 24
    assert [Path(each["path"]).name for each in found["unreadable"]] == ["broken.jpg", "missing.png"]
    assert found["unreadable"][1]["code"] == "not_found"
    assert "2 of 26 photographs could not be read" in ran.stderr
    assert "broken.jpg" in ran.stderr


def test_few_photographs_give_a_warning_with_the_types_in_doubt(select: Any, folder: Path) -> None:
    ran = select(folder / "00.png", folder / "05.png", "--json")
    found = json.loads(ran.stdout)

    assert ran.code == 0
    assert found["reliable"] is False
    assert "only 2 photographs: the selection is unreliable" in ran.stderr
    # No vote out of two does not say that there would be none out of more.
    assert found["votes"]["17"] == 0
    assert 17 in found["undecided"]
    low, high = found["intervals"]["17"]
    assert low == 0
    assert high > 0.04


def test_no_usable_photograph_is_an_error(select: Any, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no photograph")
    unreadable, none = select(tmp_path, "--json"), select(tmp_path / "*.webp", "--exclude", "*", "--json")

    assert unreadable.code == none.code == 4
    assert unreadable.stdout == none.stdout == b""
    assert "error: no domains can be selected: none of 1 photographs could be read" in unreadable.stderr
    assert "1 other entries of the folders were passed over" in unreadable.stderr


def test_an_empty_folder_is_an_error_that_names_it(select: Any, tmp_path: Path) -> None:
    ran = select(tmp_path)

    assert ran.code == 4
    assert f"there are no photographs in {tmp_path}" in ran.stderr


def test_a_classifier_with_another_class_order_is_refused(
    cli: Any, models: Any, tmp_path: Path, folder: Path
) -> None:
    wrong = (CLASSES[0], *reversed(CLASSES[1:]))
    bundle = write(tmp_path / "wrong", np.zeros((3, 26), np.float32), wrong, models)
    ran = cli("select", folder, "--model", bundle, "--device", "cpu")

    assert ran.code == 2
    assert "class 1 of its classifier is 'contrast-change', not 'gaussian-blur'" in ran.stderr


def test_votes_are_those_of_the_rule_on_the_means_of_the_same_crops(
    select: Any, photos: Path, colour_bundle: Path
) -> None:
    """Recomputed from the photographs: mean colour of each crop, the matrix, four highest."""
    from dgqa_infer.bundle.bundle import Bundle
    from dgqa_infer.images.crops import crops
    from dgqa_infer.images.decode import decode

    matrix = np.zeros((3, 26))
    for row, classes in zip(matrix, FAVOURED.values(), strict=True):
        row[list(classes)] = (1.0, 0.9, 0.8, 0.7)
    votes = dict.fromkeys(map(str, range(26)), 0)
    for path in photos.rglob("*.*"):
        cut, _ = crops(decode(path).pixels, Bundle.load(colour_bundle).card.preprocessing)
        logits = cut.astype(float).mean((1, 2)) @ matrix
        for number in np.argsort(-logits.mean(0), kind="stable")[:4]:
            votes[str(number)] += 1

    assert json.loads(select(photos, "--json").stdout)["votes"] == votes
