"""Cores and GPUs of nodes are shared out among actors."""

from __future__ import annotations

import pytest

from dgqa_infer import UsageError
from dgqa_infer.ray.resources import Resources, share_out
from dgqa_infer.ray.stages import divided


@pytest.mark.parametrize(
    ("cores", "expected"),
    [
        ([2], Resources(2, 0, 1, 1)),
        ([8], Resources(8, 0, 1, 1)),
        # Twelve cores are two actors of six, not one of eight and four idle cores.
        ([12], Resources(6, 0, 2, 2)),
        ([64, 64], Resources(8, 0, 16, 8)),
        # The head of many clusters has no cores for work.
        ([0, 16, 16], Resources(8, 0, 4, 2)),
    ],
)
def test_as_few_cores_as_possible_are_left_over(cores: list[int], expected: Resources) -> None:
    assert share_out([{"CPU": count} for count in cores]) == expected


def test_each_gpu_has_an_actor_and_its_share_of_the_cores() -> None:
    nodes = [{"CPU": 16.0, "GPU": 2.0}, {"CPU": 32.0, "GPU": 4.0}]
    assert share_out(nodes) == Resources(8, 1.0, 6, 4)
    assert share_out(nodes, gpus=0.5) == Resources(4, 0.5, 12, 8)


def test_nodes_without_a_gpu_do_not_infer_where_there_are_gpus() -> None:
    nodes = [{"CPU": 64.0}, {"CPU": 16.0, "GPU": 1.0}]
    assert share_out(nodes) == Resources(16, 1.0, 1, 1)
    assert share_out(nodes, device="cpu") == Resources(8, 0.0, 10, 8)


def test_in_two_stages_every_core_decodes_that_no_gpu_needs() -> None:
    nodes = [{"CPU": 64.0}, {"CPU": 18.0, "GPU": 2.0}]
    decoding, inferring = divided(share_out(nodes), nodes)
    assert (decoding.cpus * decoding.actors, decoding.gpus) == (64 + 16, 0)
    assert inferring == Resources(1, 1.0, 2, 2)


@pytest.mark.parametrize(("nodes", "cores"), [([1, 1], (1, 1)), ([2], (1, 1)), ([16, 16, 16], (24, 24))])
def test_without_gpus_the_stages_share_the_cores(nodes: list[int], cores: tuple[int, int]) -> None:
    each: list[dict[str, float]] = [{"CPU": count} for count in nodes]
    stages = divided(share_out(each), each)
    assert tuple(stage.cpus * stage.actors for stage in stages) == cores


def test_one_core_is_too_few_for_two_stages() -> None:
    with pytest.raises(UsageError, match="needs two cores at least"):
        divided(share_out([{"CPU": 1}]), [{"CPU": 1}])


def test_what_no_node_has_is_refused_with_what_there_is() -> None:
    with pytest.raises(
        UsageError, match="no node of the cluster has 4 cores for an actor: the largest of its 2"
    ):
        share_out([{"CPU": 2}, {"CPU": 1}], cpus=4)
    with pytest.raises(UsageError, match="1 cores and 1 GPU for an actor"):
        share_out([{"CPU": 2}], gpus=1)
