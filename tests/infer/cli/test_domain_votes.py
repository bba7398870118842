"""Votes that are being counted when the command is broken off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from dgqa_infer.cli._domain_votes import Vote, count_votes
from dgqa_infer.cli._output import Output
from dgqa_infer.domains.classifier import DomainLogits
from dgqa_infer.pipeline.predictor import Outcome

LOOKED_AT = 33


def broken_off(photographs: int) -> Iterator[Outcome[Any]]:
    for _ in range(photographs):
        yield Outcome(DomainLogits(None, np.arange(26.0)), None, None, None)
    raise KeyboardInterrupt


def test_ctrl_c_saves_the_votes_that_are_counted() -> None:
    saved: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        count_votes(
            broken_off(LOOKED_AT),
            Vote(),
            Output(quiet=True),
            100,
            lambda vote: saved.append(vote.photographs),
        )
    assert saved == [LOOKED_AT]


def test_nothing_is_saved_where_nothing_was_counted() -> None:
    with pytest.raises(KeyboardInterrupt):
        count_votes(broken_off(0), Vote(), Output(quiet=True), 100, lambda _: pytest.fail("saved"))
