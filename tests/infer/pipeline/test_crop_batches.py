"""Crops in their batches: each photograph's own, in order, and nobody else's afterwards."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.pipeline.crop_batches import CropBatches

TINY = Preprocessing(id="tiny", short_side=8, crop=4, grid=5)


@given(batch_size=st.integers(1, 4), taken_after=st.lists(st.integers(1, 9), max_size=9))
def test_photographs_come_in_their_order_and_in_batches_no_larger_than_the_model_takes(
    batch_size: int, taken_after: list[int]
) -> None:
    batches = CropBatches(batch_size, TINY)
    expected: list[int] = []
    number = 0
    for count in taken_after:
        for _ in range(count):
            expected.append(number)
            batches.add(np.full((5, 4, 4, 3), number, np.uint8), np.full((1, 1, 3), number, np.uint8))
            number += 1
        crops, previews = batches.take()
        size = min(batch_size, len(expected))
        assert crops.shape == (5 * size, 4, 4, 3)
        now, expected = expected[:size], expected[size:]
        assert [int(cut.min()) for cut in crops] == [int(cut.max()) for cut in crops] == sorted(5 * now)
        assert [int(preview[0, 0, 0]) for preview in previews if preview is not None] == now


def test_what_is_written_after_a_copy_changes_no_batch() -> None:
    batches = CropBatches(2, TINY)
    shared = np.full((5, 4, 4, 3), 7, np.uint8)
    batches.add(shared, None)
    shared[:] = 9
    batches.add(shared, None)
    crops, _ = batches.take()
    assert crops[:5].max() == 7
    assert crops[5:].min() == 9
