"""`dgqa-infer adapt` with the built-in model on the photographs of the examples."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.stats import rankdata

from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.domains.profile import DomainProfile
from dgqa_infer.images.crops import crops
from dgqa_infer.images.decode import decode
from dgqa_infer.scorer import Scorer
from dgqa_training.adaptation.moments import Moments


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    folder = tmp_path_factory.mktemp("adapt") / "photos"
    shutil.copytree(repository / "examples" / "photos", folder)
    return folder


@pytest.fixture(scope="session")
def adapted(cli: Callable[..., Any], photos: Path) -> Any:
    out = photos.parent / "mine"
    return cli("adapt", photos, "--out", out, "--device", "cpu", "--workers", 1, "--json"), out


def test_a_bundle_is_written_that_was_trained_on_what_the_photographs_select(
    adapted: Any, cli: Callable[..., Any], photos: Path
) -> None:
    """The second opinion on the types is `select`."""
    ran, out = adapted
    assert ran.code == 0
    found = json.loads(ran.stdout)
    selected = json.loads(cli("select", photos, "--device", "cpu", "--workers", 1, "--json").stdout)[
        "selected"
    ]
    assert found["resembling"] == selected
    assert found["agreeing"] is None, "eleven photographs are too few to agree"
    bundle = Bundle.load(out)
    assert bundle.model_id == found["model"]
    assert bundle.card.training["types"] == selected
    assert bundle.card.training["adapted_from"] == Bundle.load("dgqa-lite0").model_id
    assert bundle.card.figures == ()
    profile = DomainProfile.from_card(bundle.card.domains.profile)
    assert profile.photos == 11
    assert "only 11 photographs" in ran.stderr


def test_its_scores_are_those_of_the_head_that_was_solved(adapted: Any, photos: Path) -> None:
    """Solved once more from the card, and held against features that the graph itself gives out."""
    _, out = adapted
    raw, linear = raw_and_linear(Bundle.load(out), photos / "coffee.webp")
    # The mean of ten times (e^0.8q − 1) / (e^8 − 1), written out.
    bent = 10 * (np.exp(0.8 * np.clip(linear, 0, 10)) - 1) / (np.exp(8) - 1)
    assert raw == pytest.approx(bent.mean(), rel=0.02)


def built_in_moments() -> Moments:
    """Those of the built-in model's network."""
    return Moments.built_in("efficientnet_lite0", Bundle.load("dgqa-lite0").card.training["backbone"])


def raw_and_linear(bundle: Bundle, path: Path) -> tuple[float, Any]:
    """The raw quality of a photograph, and of each of its cells before pooling, float64 [5, 7, 7]."""
    from dgqa_export.graphs.head import with_features
    from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend

    training = bundle.card.training
    head = built_in_moments().solve(training["types"], training["ridge"])
    cut = crops(decode(path).pixels, bundle.card.preprocessing)[0]
    with OnnxRuntimeBackend(with_features(bundle.graph_bytes("model.onnx")), threads=1) as backend:
        found = backend.infer(cut)
    (features,) = (value for name, value in found.items() if name not in ("quality", "quality_map"))
    linear = np.einsum("ndhw,d->nhw", features.astype(np.float64), head.weights) + head.bias
    return float(found["quality"].mean()), linear


def test_its_scale_says_as_many_are_bad_as_people_found_bad_in_kadid(adapted: Any, photos: Path) -> None:
    """By the definition of the link, on what stands in for the images that it was trained on.

    They have means and no cells, so they count as being as uneven as the photographs are in the median.
    """
    _, out = adapted
    bundle = Bundle.load(out)
    card = bundle.card
    moments = built_in_moments()
    types = card.training["types"]
    means, labels = moments.stand_ins(moments.solve(types, card.training["ridge"]), types)
    pairs = [raw_and_linear(bundle, path) for path in sorted(photos.iterdir())]
    uneven = np.median([np.log1p(raw / 10 * np.expm1(8)) / 0.8 - cells.mean() for raw, cells in pairs])
    raw = 10 * np.expm1(0.8 * np.clip(means + uneven, 0, 10)) / np.expm1(8)
    scores = np.array([card.calibration(value) for value in raw])
    for step in (20, 40, 60, 80):
        # Labels are steps themselves, each the share of one type and level.
        assert (scores < step).mean() == pytest.approx(
            (labels < step / 10).mean(), abs=1.5 / (5 * len(types))
        )


@pytest.fixture(scope="session")
def many(photos: Path) -> Path:
    """Thirty photographs: parts of the samples."""
    folder = photos.parent / "many"
    folder.mkdir()
    for path in sorted(photos.iterdir()):
        with Image.open(path) as image:
            for place, box in enumerate([(0, 0, 300, 300), (150, 60, 450, 360), (40, 90, 360, 390)]):
                image.crop(box).convert("RGB").save(folder / f"{path.stem}-{place}.png")
    return folder


def test_types_are_those_whose_judgements_of_the_photographs_agree(
    cli: Callable[..., Any], many: Path
) -> None:
    """The second opinion is computed from features of single photographs."""
    from dgqa_export.graphs.head import FeatureReader

    out = many.parent / "agreeing"
    ran = cli("adapt", many, "--out", out, "--device", "cpu", "--workers", 1, "--json")
    assert ran.code == 0
    bundle = Bundle.load(out)
    reader = FeatureReader(Bundle.load("dgqa-lite0").graph_bytes("model.onnx"), threads=1)
    way = bundle.card.preprocessing
    features = np.stack([reader(crops(decode(path).pixels, way)[0]) for path in sorted(many.iterdir())])
    moments = built_in_moments()
    heads = [moments.solve([kind], bundle.card.training["ridge"]) for kind in range(1, 26)]
    ranks = np.stack([rankdata(features @ head.weights + head.bias) for head in heads])
    values = [
        np.corrcoef(ranks[place], np.delete(ranks, place, axis=0).mean(axis=0))[0, 1] for place in range(25)
    ]
    expected = [kind for kind, value in enumerate(values, 1) if value >= np.mean(values)]
    assert bundle.card.training["types"] == expected == json.loads(ran.stdout)["agreeing"]
    assert bundle.card.training["types_chosen_by"] == "agreement"
    assert bundle.card.training["types_agree"]["photographs"] == 33


def test_types_may_be_chosen_by_resemblance(cli: Callable[..., Any], many: Path) -> None:
    out = many.parent / "resembling"
    ran = cli("adapt", many, "--out", out, "--choose-by", "resemblance", "--device", "cpu", "--json")
    assert ran.code == 0
    training = Bundle.load(out).card.training
    assert training["types"] == json.loads(ran.stdout)["resembling"]
    assert (training["types_chosen_by"], training["types_agree"]) == ("resemblance", None)


def test_types_may_be_named_instead(cli: Callable[..., Any], photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "livec"
    ran = cli("adapt", photos, "--out", out, "--types", "1,3,jpeg", "--device", "cpu", "--json")
    assert ran.code == 0
    training = Bundle.load(out).card.training
    assert (training["types"], training["types_chosen_by"]) == ([1, 3, 10], "the user")


def test_nothing_is_left_beside_the_bundle(adapted: Any) -> None:
    _, out = adapted
    assert sorted(path.name for path in out.parent.iterdir() if path.name.startswith(("mine", "."))) == [
        "mine"
    ]


def test_a_call_that_was_broken_off_goes_on_where_it_was(cli: Callable[..., Any], photos: Path) -> None:
    """As if five photographs, which all voted for the same, had been seen before the interruption."""
    out = photos.parent / "resumed"
    domains = Bundle.load("dgqa-lite0").card
    votes = {
        "question": {
            "paths": [str(photos)],
            "inputs": 11,
            "model": f"{domains.name}@{domains.files['domains.onnx'].sha256[:8]}",
        },
        "profile": {"photos": 5, "votes": [5, 5, 0, 5, 0, 0, 0, 0, 0, 0, 5] + [0] * 15},
        "failures": [],
    }
    file = out.with_name("resumed.votes.json")
    file.write_text(json.dumps(votes))
    ran = cli("adapt", photos, "--out", out, "--device", "cpu", "--workers", 1, "--json")
    assert ran.code == 0
    assert "going on after 5 photographs" in ran.stderr
    profile = Bundle.load(out).card.domains.profile
    assert profile["photos"] == 11
    assert min(profile["votes"][number] for number in (0, 1, 3, 10)) >= 5
    assert not file.exists()


def test_votes_on_another_question_are_refused(cli: Callable[..., Any], photos: Path) -> None:
    out = photos.parent / "other"
    file = out.with_name("other.votes.json")
    file.write_text(json.dumps({"question": {"paths": ["elsewhere"]}, "profile": {}, "failures": []}))
    ran = cli("adapt", photos, "--out", out, "--device", "cpu", "--workers", 1)
    assert ran.code == 2
    assert "holds votes for" in ran.stderr
    assert file.exists()


def test_ratings_set_the_scale_and_bend_the_ranking_only_where_that_helps(
    cli: Callable[..., Any], photos: Path, adapted: Any
) -> None:
    """Ratings that are the adapted model's own raw scores, on another scale."""
    _, before = adapted
    with Scorer(before, device="cpu", threads=1) as scorer:
        raw = {path.name: scorer.score(path).raw for path in sorted(photos.glob("*.webp"))}
    table, out = photos.parent / "ratings.csv", photos.parent / "rated"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(
            [("image", "score"), *((name, 1 + 4 * value / 10) for name, value in raw.items())]
        )
    ran = cli(
        "adapt", photos, "--out", out, "--device", "cpu", "--workers", 1, "--json", "--labels", table,
        "--scale", "1:5", "--finetune",
    )  # fmt: skip
    assert ran.code == 0, ran.stderr
    assert json.loads(ran.stdout)["srcc_with_your_ratings"] == pytest.approx(1)
    # There is nothing that they could teach a ranking which is theirs already.
    assert "the ratings were left out of the ranking" in ran.stderr
    with Scorer(out, device="cpu", threads=1) as scorer:
        score = scorer.score(photos / "coffee.webp")
    assert score.score == pytest.approx(10 * raw["coffee.webp"], abs=0.5)
    assert score.raw == pytest.approx(raw["coffee.webp"], abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--finetune",), "go with --labels"),
        (("--scale", "1:5"), "go with --labels"),
        (("--moments", "no.npz"), "cannot be read"),
        (("--model", "nowhere"), "no model"),
        (("--out", "no such folder/mine"), "is no folder"),
        (("--out", "a name"), "cannot be a bundle's name"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_looked_at(
    cli: Callable[..., Any], photos: Path, arguments: tuple[str, ...], message: str
) -> None:
    ran = cli("adapt", photos, "--out", photos.parent / "never", *arguments)
    assert ran.code == 2
    assert message in ran.stderr
    assert not (photos.parent / "never").exists()


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        ("1:3", "ratings from 1 to 5 do not lie on a scale from 1 to 3"),
        ("5:5", "do not lie on a scale from 5 to 5"),
        ("nan:5", "do not lie on a scale"),
        ("1:inf", "do not lie on a scale"),
    ],
)
def test_a_scale_that_is_not_that_of_the_ratings_is_told_before_anything_is_looked_at(
    cli: Callable[..., Any], photos: Path, scale: str, message: str
) -> None:
    table, out = photos.parent / "five.csv", photos.parent / "never"
    names = sorted(path.name for path in photos.glob("*.webp"))
    ratings = [f"{name},{1 + place % 5}" for place, name in enumerate(names)]
    table.write_text("\n".join(["image,score", *ratings]) + "\n")
    ran = cli("adapt", photos, "--out", out, "--labels", table, "--scale", scale, "--workers", 1)
    assert ran.code == 2
    assert message in ran.stderr
    assert "photographs:" not in ran.stderr
    assert not list(photos.parent.glob("never*"))


def test_without_a_photograph_nothing_is_written(cli: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = cli("adapt", tmp_path / "empty", "--out", tmp_path / "bundle", "--device", "cpu", "--workers", 1)
    assert ran.code == 4
    assert "there are no photographs" in ran.stderr
    assert not (tmp_path / "bundle").exists()
