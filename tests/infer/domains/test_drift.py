"""How far photographs are from those that a model was trained for: expected by hand or by statistics."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from PIL import Image

from dgqa_infer import ModelError, Scorer, UsageError
from dgqa_infer.bundle.bundle import Domains, write_bundle
from dgqa_infer.domains.classes import CLASSES, WORDS
from dgqa_infer.domains.drift import LEAST, drift
from dgqa_infer.domains.profile import TOP, DomainProfile, votes_of

ballots = st.lists(st.sets(st.integers(0, 25), min_size=4, max_size=4).map(sorted), min_size=1, max_size=30)


def profile(*counted: tuple[list[int], int]) -> DomainProfile:
    found = DomainProfile()
    for votes, photos in counted:
        found.add(votes, photos)
    return found


def of(votes: list[list[int]]) -> DomainProfile:
    return profile(*((each, 1) for each in votes))


def test_the_distance_is_the_share_of_votes_that_go_elsewhere() -> None:
    # Three of four votes are the same in all photographs: a quarter of the votes would have to move.
    found = drift(profile(([0, 1, 2, 3], 50)), profile(([0, 1, 2, 4], 70)))
    assert found.distance == pytest.approx(0.25)
    assert (found.photos, found.target_photos) == (50, 70)
    assert found.changes[3] == pytest.approx(0.25)
    assert found.changes[4] == pytest.approx(-0.25)
    assert found.far


@settings(max_examples=25, deadline=None)
@given(ballots, ballots)
def test_the_distance_is_a_distance(one: list[list[int]], other: list[list[int]]) -> None:
    here, there = of(one), of(other)
    found = drift(here, there)
    assert 0 <= found.distance <= 1
    assert found.distance == pytest.approx(drift(there, here).distance)
    assert drift(here, here).distance == 0
    assert not drift(here, here).far
    assert here.votes.sum() == 4 * here.photos
    assert here.shares.sum() == pytest.approx(1)


@settings(max_examples=25, deadline=None)
@given(ballots, st.randoms())
def test_it_is_the_same_in_whatever_order_photographs_come(votes: list[list[int]], random: Any) -> None:
    there = profile(([0, 1, 2, 3], 9), ([0, 4, 5, 6], 9))
    shuffled = [random.sample(each, 4) for each in random.sample(votes, len(votes))]
    assert drift(of(votes), there) == drift(of(shuffled), there)


def test_the_threshold_is_the_quantile_that_statistics_expect() -> None:
    """Two disjoint ballots, half and half: the distance is |one share − other share|, nearly normal.

    Its standard deviation is √(¼ (1/n + 1/m)), and 99 of 100 values are below 2.576 of those.
    """
    half = profile(([0, 1, 2, 3], 200), ([4, 5, 6, 7], 200))
    found = drift(half, profile(([0, 1, 2, 3], 450), ([4, 5, 6, 7], 450)))
    assert found.distance == 0
    assert found.threshold == pytest.approx(2.576 * math.sqrt(0.25 * (1 / 400 + 1 / 900)), rel=0.08)


@pytest.mark.parametrize("known", ["ballots", "votes"])
@pytest.mark.parametrize("photos", [(40, 40), (60, 400)])
def test_of_samples_of_the_same_photographs_about_one_in_a_hundred_is_beyond(
    photos: tuple[int, int], known: str
) -> None:
    """False alarms of 300 pairs: more than 12 would have a chance below 1 in 10,000 at a true rate of 1 %."""
    generator = np.random.default_rng(5)
    kinds = [sorted(generator.choice(26, 4, replace=False).tolist()) for _ in range(12)]
    chances = generator.dirichlet(np.ones(12))
    beyond = 0
    for _ in range(300):
        here, there = (
            profile(
                *(
                    (kind, n)
                    for kind, n in zip(kinds, generator.multinomial(count, chances).tolist(), strict=True)
                    if n
                )
            )
            for count in photos
        )
        card = there.as_card()
        there = DomainProfile.from_card({key: card[key] for key in ("photos", known)})  # type: ignore[assignment]
        found = drift(here, there)
        beyond += found.distance > found.threshold
    assert beyond <= 12


def test_what_no_one_would_train_anew_for_is_not_far_however_sure_it_is() -> None:
    many = 1_000_000
    here = profile(([0, 1, 2, 3], many), ([0, 1, 2, 4], many // 20))
    there = profile(([0, 1, 2, 3], many))
    found = drift(here, there)
    assert found.threshold < found.distance < LEAST
    assert not found.far


def test_one_photograph_says_little() -> None:
    there = profile(([0, 1, 2, 3], 50), ([0, 4, 5, 6], 50), ([7, 8, 9, 10], 50))
    assert not drift(of([[7, 8, 9, 10]]), there).far


def test_votes_are_those_of_the_selection() -> None:
    selection = pytest.importorskip("dgqa_training.selection.votes")
    logits = np.random.default_rng(1).normal(size=(50, 26)).round(1)
    for row, chosen in zip(logits, selection.ballots(logits), strict=True):
        assert votes_of(row) == tuple(chosen)
    assert selection.PAPER.top == TOP


@settings(deadline=None)
@given(ballots)
def test_a_card_gives_back_what_it_was_given(votes: list[list[int]]) -> None:
    found = of(votes)
    assert DomainProfile.from_card(json.loads(json.dumps(found.as_card()))) == found


@settings(deadline=None)
@given(ballots)
def test_a_card_that_gives_only_votes_gives_back_the_votes(votes: list[list[int]]) -> None:
    found = of(votes)
    read = DomainProfile.from_card({"photos": found.photos, "votes": found.votes.tolist()})
    assert read is not None
    assert read.photos == found.photos
    assert (read.votes == found.votes).all()


def test_a_card_that_says_nothing_is_no_profile() -> None:
    assert DomainProfile.from_card({}) is None


@pytest.mark.parametrize(
    "data",
    [
        {"photos": 1},
        {"photos": 2, "ballots": {"0,1,2,3": 1}},
        {"photos": 1, "ballots": ["0,1,2,3"]},
        {"photos": 1, "ballots": {"0,1,2,3": True}},
        {"photos": -1, "ballots": {"0,1,2,3": -1}},
        {"photos": 1, "ballots": {"0,1,2": 1}},
        {"photos": 1, "ballots": {"0,1,2,2": 1}},
        {"photos": 1, "ballots": {"0,1,2,26": 1}},
        {"photos": 1, "ballots": {"0,1,2,x": 1}},
        {"photos": 1, "votes": [4] + [0] * 25},
        {"photos": 2, "votes": [1] * 4 + [0] * 22},
        {"photos": 1, "votes": [1] * 4},
        {"photos": 1, "votes": [-1] + [1] * 5 + [0] * 20},
        {"photos": 0, "votes": [0] * 26},
        {"photos": 1, "votes": 4},
    ],
)
def test_a_card_that_says_something_else_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"domains\.profile cannot be read"):
        DomainProfile.from_card(data)


def test_nothing_cannot_be_compared() -> None:
    with pytest.raises(UsageError, match="at least one photograph"):
        drift(DomainProfile(), of([[0, 1, 2, 3]]))


# The commands. Logits are the mean colour times a matrix: each colour favours four classes.

FAVOURED = {"red": (0, 1, 3, 25), "lime": (0, 1, 17, 25), "blue": (9, 8, 7, 6)}


@pytest.fixture(scope="module")
def colour_bundle(tmp_path_factory: pytest.TempPathFactory, models: Any) -> Path:
    """Trained for photographs of which most are red."""
    target = profile((list(FAVOURED["red"]), 90), (list(FAVOURED["lime"]), 10))
    return write(tmp_path_factory.mktemp("drift") / "colours", models, target.as_card())


def write(folder: Path, models: Any, target: dict[str, Any]) -> Path:
    matrix = np.zeros((3, 26), np.float32)
    for row, classes in zip(matrix, FAVOURED.values(), strict=True):
        row[list(classes)] = (1.0, 0.9, 0.8, 0.7)
    nodes = [
        helper.make_node("Cast", ["crops"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "space"], ["colour"], keepdims=0),
        helper.make_node("MatMul", ["colour", "matrix"], ["domain_logits"]),
    ]
    constants = {"space": np.array([1, 2], np.int64), "matrix": matrix}
    domains = models.model(nodes, constants, {"domain_logits": ["batch", 26]})
    graphs = {
        "model.onnx": models.quality_graph().SerializeToString(),
        "domains.onnx": domains.SerializeToString(),
    }
    card = models.card(name="colours", domains=Domains(CLASSES, 1.0, target))
    return write_bundle(folder, graphs, card).path


def painted(folder: Path, **counts: int) -> Path:
    folder.mkdir()
    for colour, count in counts.items():
        for number in range(count):
            Image.new("RGB", (40, 40), colour).save(folder / f"{colour}{number:02}.png")
    return folder


def test_rows_say_what_a_photograph_votes_for(colour_bundle: Path, tiny_bundle: Path) -> None:
    blue = Image.new("RGB", (40, 40), "blue")
    with Scorer(colour_bundle, device="cpu", explain=True) as scorer:
        assert scorer.score(blue).row()["votes"] == [9, 8, 7, 6]
    with Scorer(colour_bundle, device="cpu") as scorer:
        assert "votes" not in scorer.score(blue).row()
    # Its three classes are not KADID's: there is nothing to vote for.
    with Scorer(tiny_bundle, device="cpu", explain=True) as scorer:
        assert "votes" not in scorer.score(blue).row()


def test_select_says_how_far_a_folder_is_from_what_a_bundle_was_trained_for(
    cli: Any, colour_bundle: Path, tmp_path: Path
) -> None:
    common = ("--device", "cpu", "--workers", 1, "--against", colour_bundle)
    ran = cli("select", painted(tmp_path / "blue", blue=20), "--json", *common)
    found = json.loads(ran.stdout)["drift"]
    assert ran.code == 0
    # No class in common.
    assert (found["distance"], found["far"], found["photos"], found["target_photos"]) == (1, True, 20, 100)
    assert "run `dgqa-infer adapt PHOTOS`" in ran.stderr
    assert WORDS["color-saturation-1"] in ran.stderr
    ran = cli("select", painted(tmp_path / "red", red=18, lime=2), "--table", *common)
    assert "samples of this size differ by up to" in ran.stderr
    assert "adapt" not in ran.stderr
    assert "trained for" in ran.stdout.decode()


@pytest.mark.parametrize("options", [("--crops", "random"), ("--model", "elsewhere")])
def test_select_compares_only_what_can_be_compared(
    cli: Any, colour_bundle: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    ran = cli("select", tmp_path, "--against", colour_bundle, *options)
    assert ran.code == 2
    assert "own classifier and crops" in ran.stderr


def test_a_bundle_that_does_not_say_what_it_was_trained_for_is_told_at_once(
    cli: Any, models: Any, tmp_path: Path
) -> None:
    bundle = write(tmp_path / "silent", models, {})
    ran = cli("select", tmp_path, "--against", bundle)
    assert ran.code == 2
    assert "colours was made for no photographs in particular" in ran.stderr
    photo = painted(tmp_path / "one", red=1)
    ran = cli("score", photo, "--model", bundle, "--device", "cpu", "--workers", 1, "--explain")
    assert ran.code == 0
    assert "profile" not in ran.stderr


def test_a_run_says_how_far_its_photographs_are_even_when_it_continues_another(
    cli: Any, colour_bundle: Path, tmp_path: Path
) -> None:
    folder, rows, summary = painted(tmp_path / "blue", blue=20), tmp_path / "rows.jsonl", tmp_path / "s.json"
    fixed = ("--model", colour_bundle, "--device", "cpu", "--workers", 1, "-o", rows, "--summary", summary)
    ran = cli("score", folder, *fixed)
    assert json.loads(summary.read_text())["drift"] is None
    rows.unlink()
    cli("score", *sorted(folder.iterdir())[:15], *fixed, "--explain", "--overwrite")
    ran = cli("score", folder, *fixed, "--explain", "--resume", "--overwrite")
    found = json.loads(summary.read_text())["drift"]
    assert (found["distance"], found["far"], found["photos"]) == (1, True, 20)
    assert "the domain profile is 1.00 from that of the 100 photographs that colours@" in ran.stderr
    assert "run `dgqa-infer adapt PHOTOS`" in ran.stderr
