"""What the simulation of clusters works out, against runs that can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def model(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(repository)
    import importlib

    return importlib.import_module("benchmarks.cluster.cluster_model")


@pytest.fixture
def measured(model: Any) -> Any:
    """160 ms of one core for a photograph, 80 of them the network's; nothing is random."""
    return model.Measured(
        read=0.001,
        decode=0.05,
        crops=0.028,
        infer=0.08,
        parent=0.0009,
        write=0.0001,
        partition=0.5,
        start=10.0,
        spread=0.0,
        bytes=4e6,
    )


@pytest.fixture
def assumed(model: Any) -> Any:
    return model.Assumed(stragglers=0.0, loss=0.0, list_rate=1000.0, prefixes=1)


def test_a_run_takes_listing_starting_and_its_partitions(model: Any, measured: Any, assumed: Any) -> None:
    """16 cores do 100 photographs a second in two actors: 10,000 are 8 partitions, 4 for each actor.

    Listing takes 10 s, starting 10 s. A partition of 1,250 takes 25 s, and the driver 0.5 s to hand out; the
    second actor begins 0.5 s after the first, which never waits for it again: 10 + 10 + 0.5 + 4 × 25.5.
    """
    run = model.simulate(measured, assumed, model.Cluster(1, 0), 10_000, 5_000)
    assert run["partition"] == 1250
    assert run["hours"] * 3600 == pytest.approx(10 + 10 + 0.5 + 4 * 25.5, abs=2)
    assert run["saturates_first"] == "cores"
    assert run["losses"] == 0


def test_what_saturates_first_is_what_allows_least(model: Any, measured: Any, assumed: Any) -> None:
    """16 cores decode 200 a second; a network of 4 MB a photograph at 10 Gbit/s allows 312."""
    allowed = model.limits(measured, assumed, model.Cluster(1, 1), 5000)
    assert allowed == pytest.approx(
        {
            "cores": 200,
            "one thread of each actor": 1000,
            "network of the nodes": 312.5,
            "requests to the store": 5500,
            "the driver": 10_000,
            "GPUs": 2000,
        }
    )
    few = replace(assumed, gpu_rate=150.0)
    run = model.simulate(measured, few, model.Cluster(1, 1), 100_000, 5000)
    assert (run["saturates_first"], run["next"]) == ("GPUs", "cores")


def test_more_nodes_never_take_longer_and_a_thousand_wait_for_the_store(
    model: Any, measured: Any, assumed: Any
) -> None:
    """1,000 nodes could do 100,000 a second; 16 prefixes of a store give 88,000."""
    many = replace(assumed, prefixes=16, list_rate=5000.0)
    swift = replace(measured, partition=0.005)
    runs = [model.simulate(swift, many, model.Cluster(nodes, 0), 10**8, 5000) for nodes in (1, 10, 100, 1000)]
    hours = [run["hours"] for run in runs]
    assert hours == sorted(hours, reverse=True)
    assert [run["saturates_first"] for run in runs] == ["cores"] * 3 + ["requests to the store"]


def test_lost_nodes_cost_what_they_had_in_hands_and_the_time_until_they_are_back(
    model: Any, measured: Any, assumed: Any
) -> None:
    losing = replace(assumed, loss=20.0)
    quiet = model.simulate(measured, assumed, model.Cluster(10, 0), 10**6, 5000)
    lossy = model.simulate(measured, losing, model.Cluster(10, 0), 10**6, 5000)
    assert lossy["losses"] > 0
    assert lossy["hours"] > quiet["hours"]
    assert lossy == model.simulate(measured, losing, model.Cluster(10, 0), 10**6, 5000)


def test_shares_of_time_are_all_of_it(model: Any, measured: Any, assumed: Any) -> None:
    run = model.simulate(measured, assumed, model.Cluster(3, 1), 10**5, 5000)
    assert sum(run["share_of_time"].values()) == pytest.approx(1, abs=1e-3)
    assert min(run["share_of_time"].values()) >= 0


def test_a_gpus_photographs_cost_no_core_of_inference(model: Any, measured: Any) -> None:
    assert "infer" not in model.drivers(measured, True)
    assert sum(model.drivers(measured, False).values()) == pytest.approx(0.16)
