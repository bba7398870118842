import pytest
import torch
from torch import nn

from dgqa_infer.bundle.preprocessing import STANDARD
from dgqa_training.representation.held_out import HeldOut
from dgqa_training.representation.stacks import Stacks

HERE = {"device": "cpu", "workers": 0}


class _Says(nn.Module):
    """Gives each stack in turn the qualities that were written down."""

    def __init__(self, qualities: list[list[float]]) -> None:
        super().__init__()
        self.left = list(qualities)

    def forward(self, stacks: torch.Tensor) -> dict[str, torch.Tensor]:
        given, self.left = self.left[: len(stacks)], self.left[len(stacks) :]
        return {"quality": torch.tensor(given)}


def test_figures_are_shares_of_pairs_and_changes_in_standard_deviations(photographs):
    stacks = Stacks(photographs, STANDARD, rounds=1, seed=0)
    held_out = HeldOut(stacks, most=100, seed=0, where=HERE)
    assert len(held_out) == len(stacks) == 6
    # Photograph, view, mild, strong, view of strong. All pairs are right; one of three; none.
    rows = [[8.0, 7.0, 6.0, 4.0, 4.0], [6.0, 6.0, 7.0, 6.5, 8.5]] + 4 * [[4.0, 4.0, 5.0, 6.0, 6.0]]
    found = held_out.figures(_Says(rows))
    assert found["order"] == pytest.approx((1 + 1 / 3) / 6, abs=1e-5)
    assert found["order_pristine"] == pytest.approx((1 + 1 / 3) / 4, abs=1e-5)
    assert found["order_authentic"] == 0
    # Photographs stand at 8, 6, 4, 4, 4, 4: variance 7/3. Views moved by 1 once, by 2 once.
    deviation = (7 / 3) ** 0.5
    assert found["view_change"] == pytest.approx(1 / 6 / deviation, abs=1e-5)
    assert found["view_change_distorted"] == pytest.approx(2 / 6 / deviation, abs=1e-5)


def test_of_many_stacks_some_are_looked_at_that_are_spread_over_all(photographs):
    stacks = Stacks(photographs, STANDARD, rounds=2, seed=0)
    assert len(HeldOut(stacks, most=4, seed=0, where=HERE)) == 4
