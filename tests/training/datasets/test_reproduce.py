"""`python -m benchmarks reproduce` from end to end, on sets of a few small pictures in official layouts."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import cast

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from dgqa_training.evaluation.metrics import evaluate
from dgqa_training.networks.resnet import ResNet50
from dgqa_training.selection.published import GREEDY, SELECTED

Build = Callable[[str, Path, list[tuple[str, float]]], None]


@pytest.fixture
def reproduce(repository: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(repository)
    return importlib.import_module("benchmarks.domains.reproduce")


@pytest.fixture
def sets(tmp_path: Path, build: Build) -> tuple[Path, Path]:
    """KADID-10k with one reference, three types and two levels; LIVEC with five scored photographs."""
    kadid, livec = tmp_path / "kadid10k", tmp_path / "livec"
    rows = [
        (f"I01_{kind:02}_0{level}.png", 5.0 - 0.7 * level - 0.02 * kind)
        for kind in (1, 3, 9)
        for level in (1, 5)
    ]
    build("kadid10k", kadid, rows)
    build(
        "livec",
        livec,
        [(f"t{n}.bmp", 50) for n in range(1, 8)] + [(f"{n}.bmp", 9.0 * n) for n in range(1, 6)],
    )
    generator = np.random.default_rng(0)
    for path in [*kadid.rglob("*.png"), *livec.rglob("*.bmp")]:
        Image.fromarray(generator.integers(256, size=(224, 230, 3), dtype=np.uint8)).save(path)
    return kadid, livec


class TinyNetwork(nn.Module):
    """Trains in milliseconds: colours of the whole crop through eight channels."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 8, 16, 16), nn.ReLU())
        self.head = nn.Linear(8, 1)

    def features(self, crops: Tensor) -> Tensor:
        return cast(Tensor, self.backbone(crops.permute(0, 3, 1, 2).float() / 255))

    def forward(self, crops: Tensor) -> dict[str, Tensor]:
        return {"quality": self.head(self.features(crops).mean((2, 3))).squeeze(1)}


def test_one_command_trains_and_writes_a_table_for_each_protocol(
    reproduce: ModuleType,
    sets: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reproduce, "build", lambda *_: TinyNetwork())
    kadid, livec = sets
    command = [str(tmp_path / "runs"), "--kadid10k", str(kadid), "--livec", str(livec), "--device", "cpu"]
    command += ["--backbone", "efficientnet_lite0", "--epochs", "2", "--batch", "6", "--workers", "0"]
    assert reproduce.main(command) == 0
    printed = capsys.readouterr().out
    results = json.loads((tmp_path / "runs" / "results.json").read_text())
    for protocol in ("papers", "ours"):
        assert [row["trained on"] for row in results[protocol]] == [
            "all 25 types", "selected", "selected greedily", "selected + DRCDown",
        ]  # fmt: skip
        assert all(row["images"] == 5 for row in results[protocol])
    assert "best epoch on the target" in printed
    assert "no epoch chosen on the target" in printed
    assert results["settings"]["seeds"] == [123]

    # The papers' line is the better of the two epochs, and ours the last one on the fixed grid.
    run = tmp_path / "runs" / "types-all-seed123"
    scores = 9.0 * np.arange(1, 6)
    epochs = [evaluate(np.load(run / f"papers-00{epoch}-livec.npy"), scores) for epoch in (0, 1)]
    best = max(epochs, key=lambda figures: figures.srcc.value)
    assert results["papers"][0]["SRCC"] == str(best.srcc)
    last = np.load(run / "ours-001-livec.npy")
    assert results["ours"][0]["SRCC"] == str(evaluate(last, scores).srcc)
    assert results["settings"]["weights"] == "the backbone's package"

    # A second call finds everything done.
    monkeypatch.setattr(reproduce, "predict", lambda *_, **__: pytest.fail("evaluated again"))
    before = (tmp_path / "runs" / "results.json").read_text()
    assert reproduce.main(command) == 0
    assert (tmp_path / "runs" / "results.json").read_text() == before


def test_a_target_that_comes_later_is_evaluated_without_training_again(
    reproduce: ModuleType,
    sets: tuple[Path, Path],
    tmp_path: Path,
    build: Build,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reproduce, "build", lambda *_: TinyNetwork())
    everything = {"all 25 types": reproduce.Variant(reproduce.ALL_TYPES)}
    monkeypatch.setattr(reproduce, "variants", lambda *_: everything)
    kadid, livec = sets
    command = [str(tmp_path / "runs"), "--kadid10k", str(kadid), "--livec", str(livec), "--device", "cpu"]
    command += ["--backbone", "efficientnet_lite0", "--epochs", "2", "--batch", "6", "--workers", "0"]
    assert reproduce.main(command) == 0
    run = tmp_path / "runs" / "types-all-seed123"
    weights = (run / "epoch-001.safetensors").read_bytes()
    first = json.loads((tmp_path / "runs" / "results.json").read_text())
    bid = tmp_path / "bid"
    build("bid", bid, [(f"DatabaseImage000{n}.JPG", 0.5 * n) for n in range(1, 6)])
    for path in bid.rglob("*.JPG"):
        Image.fromarray(np.full((224, 226, 3), 9 * int(path.stem[-1]), np.uint8)).save(path)
    # A training that had anything left to do would say so.
    monkeypatch.setattr(reproduce.Training, "_epoch", lambda *_: pytest.fail("trained again"))
    assert reproduce.main([*command, "--bid", str(bid)]) == 0

    results = json.loads((tmp_path / "runs" / "results.json").read_text())
    assert [row["target"] for row in results["papers"]] == ["livec", "bid"]
    assert results["papers"][0] == first["papers"][0]
    assert (run / "epoch-001.safetensors").read_bytes() == weights


def test_reshaped_sets_are_lines_and_folders_of_their_own(reproduce: ModuleType, tmp_path: Path) -> None:
    options = reproduce.Options(tmp_path, tmp_path, "resnet50", None, tmp_path, 1, 1, "cpu", 0)
    lines = reproduce.variants("bid", options)
    assert {words: line.folder(7) for words, line in lines.items()} == {
        "all 25 types": "types-all-seed7",
        "selected": "types-1-3-9-21-23-25-seed7",
        "selected + DRCDown": "types-1-3-9-21-23-25-drcdown-seed7",
        "selected + DDCUp": "types-1-3-9-21-23-25-ddcup-seed7",
        "selected + DDCUp + DRCDown (SynDR-IQA)": "types-1-3-9-21-23-25-ddcup-drcdown-seed7",
    }


def test_resnet_50_itself_is_trained_and_evaluated(
    reproduce: ModuleType, tmp_path: Path, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The papers' network, from a file in torchvision's layout with random values; few images: it is slow."""
    kadid, bid = tmp_path / "kadid10k", tmp_path / "bid"
    build("kadid10k", kadid, [("I01_01_01.png", 4.0), ("I01_01_05.png", 1.0)])
    build("bid", bid, [(f"DatabaseImage000{n}.JPG", 0.5 * n) for n in range(1, 4)])
    generator = np.random.default_rng(0)
    for path in [*kadid.rglob("*.png"), *bid.rglob("*.JPG")]:
        Image.fromarray(generator.integers(256, size=(224, 225, 3), dtype=np.uint8)).save(path)
    torch.manual_seed(0)
    weights = tmp_path / "resnet50.pth"
    torch.save(ResNet50().state_dict() | {"fc.weight": torch.zeros(1000, 2048)}, weights)
    monkeypatch.setattr(reproduce, "variants", lambda *_: {"selected": reproduce.Variant((1,))})
    command = [str(tmp_path / "runs"), "--kadid10k", str(kadid), "--bid", str(bid), "--device", "cpu"]
    command += ["--weights", str(weights), "--epochs", "1", "--batch", "2", "--workers", "0"]
    assert reproduce.main(command) == 0
    results = json.loads((tmp_path / "runs" / "results.json").read_text())
    assert results["settings"]["backbone"] == "resnet50"
    assert results["settings"]["weights"].startswith("unknown (")
    assert [row["images"] for row in results["papers"] + results["ours"]] == [3, 3]
    found = load_file(tmp_path / "runs" / "types-1-seed123" / "epoch-000.safetensors")
    assert found["backbone.layer4.2.conv3.weight"].shape == (2048, 512, 1, 1)


def test_a_wrong_root_is_told_before_anything_is_trained(
    reproduce: ModuleType, sets: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kadid, _ = sets
    code = reproduce.main([str(tmp_path / "runs"), "--kadid10k", str(kadid), "--bid", str(kadid)])
    assert code == 2
    assert "is not the root of BID" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_pipal_counts_as_its_six_sub_types(reproduce: ModuleType, tmp_path: Path, build: Build) -> None:
    build("pipal", tmp_path, [(f"A0001_0{code}_0{n}.bmp", 1400.0 + n) for code in range(7) for n in range(2)])
    targets = reproduce.load_targets({"livec": None, "pipal": tmp_path})
    assert list(targets) == [f"pipal-{code}" for code in range(1, 7)]
    assert all(len(target) == 2 for target in targets.values())


def test_the_published_selections_have_the_sizes_that_the_authors_name() -> None:
    # The readme's tables: 6 types for each authentic set, and for PIPAL's sub-types 7, 6, 7, 9, 5, 14.
    assert [len(types) for types in SELECTED.values()] == [6, 6, 6, 7, 6, 7, 9, 5, 14]
    assert [len(types) for types in GREEDY.values()] == [6, 6]
    # #1 and #3 are selected for every target, #25 for all but PIPAL-2 and PIPAL-5.
    assert all({1, 3} <= set(types) for types in SELECTED.values())
    assert [name for name, types in SELECTED.items() if 25 not in types] == ["pipal-2", "pipal-5"]
    assert all(tuple(sorted(set(types))) == types for types in (*SELECTED.values(), *GREEDY.values()))


def test_of_several_seeds_the_median_run_is_told(reproduce: ModuleType) -> None:
    generator = np.random.default_rng(0)
    scores = generator.normal(size=30)
    runs = [evaluate(scores + noise * generator.normal(size=30), scores) for noise in (2.0, 0.1, 0.7)]
    assert reproduce.median(runs) is runs[2]
    assert reproduce.median(runs[:2]) is runs[0]
