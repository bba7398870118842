"""Options of `dgqa-infer train` and its like that are refused before anything is computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

COMMANDS = {
    "regressor": ("train", "regressor", "photos", "run"),
    "domains": ("train", "domains", "photos", "run"),
    "moments": ("train", "moments", "photos", "moments.npz"),
    "synthesize": ("synthesize", "photos", "set"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_seed_below_0_is_refused(command: str, cli: Callable[..., Any]) -> None:
    ran = cli(*COMMANDS[command], "--seed", -1)
    assert ran.code == 2
    assert "--seed" in ran.stderr


@pytest.mark.parametrize("decay", ["1", "1.5", "nan", "-0.1"])
@pytest.mark.parametrize("command", ["regressor", "domains"])
def test_an_average_that_never_learns_is_refused(command: str, decay: str, cli: Callable[..., Any]) -> None:
    ran = cli(*COMMANDS[command], "--ema", decay)
    assert ran.code == 2
    assert "--ema" in ran.stderr


@pytest.mark.parametrize(
    ("device", "words"),
    [("gpu", "expected cpu, cuda or cuda:N"), ("cuda:999", "PyTorch sees"), ("cuda:-1", "expected cpu")],
)
@pytest.mark.parametrize("command", ["regressor", "domains", "moments"])
def test_a_device_that_is_not_there_is_refused(
    command: str, device: str, words: str, cli: Callable[..., Any]
) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    ran = cli(*COMMANDS[command], "--backbone", "efficientnet_lite0", "--device", device)
    assert ran.code == 2
    assert f"--device {device}" in ran.stderr.replace("'", "")
    assert words in ran.stderr


@pytest.mark.parametrize("command", ["regressor", "domains"])
def test_a_run_whose_folder_cannot_be_made_is_told_in_a_sentence(
    command: str, cli: Callable[..., Any], repository: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    (tmp_path / "run").write_text("mine")
    for folder, words in (("run", "is a file: name a folder"), ("run/a", "cannot be made: Not a directory")):
        ran = cli("train", command, repository / "examples" / "photos", tmp_path / folder, "--epochs", 0)
        assert (ran.code, words in ran.stderr) == (2, True), ran.stderr
    assert (tmp_path / "run").read_text() == "mine"


def test_adapt_takes_a_direction_with_ratings_alone(cli: Callable[..., Any]) -> None:
    ran = cli("adapt", "photos", "--lower-is-better")
    assert ran.code == 2
    assert "go with --labels" in ran.stderr


def test_moments_are_of_a_model_or_of_a_pretrained_backbone(cli: Callable[..., Any]) -> None:
    for options in (
        ("--model", "mine", "--backbone", "resnet50"),
        ("--weights", "a.pth"),
        ("--model", "mine", "--device", "cuda"),
    ):
        ran = cli(*COMMANDS["moments"], *options)
        assert ran.code == 2, options
        assert "--backbone" in ran.stderr
