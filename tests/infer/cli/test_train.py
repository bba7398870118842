"""Options of `dgqa-infer train` and its like that are refused before anything is computed."""

from __future__ import annotations

from collections.abc import Callable
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
