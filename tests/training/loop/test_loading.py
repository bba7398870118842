"""Errors for the user come out of PyTorch's worker processes as they went in."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import Dataset

from dgqa_infer.errors import ImageError, UsageError
from dgqa_training.loop.loading import batches


class Numbers(Dataset):
    """0 to 6; where an error stands, it is raised."""

    def __init__(self, errors):
        self.errors = errors

    def __len__(self):
        return 7

    def __getitem__(self, index):
        if index in self.errors:
            raise self.errors[index]
        return torch.tensor(index), float(index)


@pytest.mark.parametrize("workers", [0, 1])
def test_items_come_in_batches_and_in_order(workers):
    found = [(left.tolist(), right.tolist()) for left, right in batches(Numbers({}), 3, workers)]
    assert found == [([0, 1, 2], [0, 1, 2]), ([3, 4, 5], [3, 4, 5]), ([6], [6])]


@pytest.mark.parametrize("workers", [0, 1])
def test_the_first_error_is_raised_with_all_that_it_carries(workers):
    """PyTorch alone makes a RuntimeError of it, since ImageError takes more than a message."""
    errors = {4: ImageError("truncated", "the file ends early", "b.jpg"), 5: UsageError("too late")}
    seen = batches(Numbers(errors), 3, workers)
    assert next(seen)[0].tolist() == [0, 1, 2]
    with pytest.raises(ImageError, match=r"^b\.jpg: the file ends early$") as caught:
        next(seen)
    assert (caught.value.code, caught.value.path) == ("truncated", "b.jpg")


def test_a_bug_is_not_taken_for_a_message_to_the_user():
    with pytest.raises(ZeroDivisionError):
        list(batches(Numbers({2: ZeroDivisionError()}), 3, 1))
