from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgqa_infer import cgroups
from dgqa_infer.cgroups import Limits
from dgqa_infer.errors import UsageError
from dgqa_infer.pipeline.memory import MemoryPlan, default_total, default_workers

GB = 1_000_000_000


@given(
    total=st.integers(1, 100).map(lambda tenths: tenths * GB // 10),
    workers=st.integers(1, 16),
    crops=st.integers(0, GB),
    wishes=st.lists(st.integers(1, 20 * GB), max_size=40),
)
def test_what_is_admitted_at_once_is_never_more_than_there_is(
    total: int, workers: int, crops: int, wishes: list[int]
) -> None:
    try:
        plan = MemoryPlan.of(total, model=50_000_000, workers=workers, crops=crops)
    except UsageError:
        return
    admitted = [0] * workers
    for place, needed in enumerate(wishes):
        mine = place % workers
        admitted[mine] = 0  # its last photograph is done
        others = admitted[:mine] + admitted[mine + 1 :]
        if plan.free < needed <= plan.most and plan.admits(needed, others):
            admitted[mine] = needed
        assert sum(max(each, plan.free) for each in admitted) <= plan.decoding < total


@given(workers=st.integers(1, 32))
def test_whatever_may_be_decoded_is_admitted_when_nobody_else_asks(workers: int) -> None:
    plan = MemoryPlan.of(16 * GB, model=0, workers=workers, crops=0)
    assert plan.admits(plan.most, [0] * (workers - 1))
    assert not plan.admits(plan.most + 1, [0] * (workers - 1))


def test_a_batch_that_does_not_fit_is_refused_with_what_takes_how_much() -> None:
    with pytest.raises(UsageError) as error:
        MemoryPlan.of(4 * GB, model=100_000_000, workers=2, crops=150 * GB)
    assert "crops of a batch 150.00 GB" in str(error.value)
    assert "--batch-size" in str(error.value)


def test_the_defaults_are_those_of_the_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "limits", lambda: Limits(cores=None, memory=2 * GB))
    assert default_total() == 1.5 * GB


def test_few_cores_or_little_memory_mean_few_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dgqa_infer.system.visible_cores", lambda: 64)
    monkeypatch.setattr(cgroups, "limits", lambda: Limits())
    assert default_workers(100 * GB, 0) == 64
    assert default_workers(2 * GB, 0) == 3
    assert default_workers(GB // 10, 0) == 1
    monkeypatch.setattr(cgroups, "limits", lambda: Limits(cores=2))
    assert default_workers(100 * GB, 0) == 2
