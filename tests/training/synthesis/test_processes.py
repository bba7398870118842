"""Work in other processes."""

from __future__ import annotations

import math
import os

import pytest

from dgqa_infer.errors import OutputError
from dgqa_training.synthesis import workers


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_item_is_worked_on_once(jobs):
    with workers(jobs) as run:
        assert sorted(run(math.sqrt, range(100))) == [math.sqrt(i) for i in range(100)]


def test_a_process_that_is_killed_is_said():
    with pytest.raises(OutputError, match="ended from outside"), workers(2) as run:
        list(run(os._exit, [9]))


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_in_a_process_is_raised_here(jobs):
    with pytest.raises(ValueError, match="invalid literal"), workers(jobs) as run:
        list(run(int, ["1", "x"]))


def test_processes_compute_on_one_core_each_and_the_environment_is_left_as_it_was(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    with workers(2) as run:
        assert list(run(os.getenv, ["OMP_NUM_THREADS"])) == ["1"]
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "OPENBLAS_NUM_THREADS" not in os.environ
