"""A row on a CPU is the same to the last digit, whatever is scored beside its photograph."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dgqa_infer import Scorer
from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.domains.classifier import DomainClassifier
from dgqa_infer.images.crops import crops, shrink
from dgqa_infer.images.decode import decode
from dgqa_infer.inputs.finder import photographs_in
from dgqa_infer.pipeline.predictor import Photo

PIECES = 10
Cut = tuple[Photo, Any]


@pytest.fixture(scope="module")
def photographs(repository: Path) -> list[Cut]:
    """Pieces of real photographs, 104 of them, each cut into its crops as the default model has them."""

    def pieces() -> Iterator[Cut]:
        preprocessing = Bundle.load("dgqa-lite0").card.preprocessing
        for path in photographs_in(repository / "examples" / "photos"):
            pixels = decode(path).pixels
            height, width = pixels.shape[:2]
            for number in range(PIECES):
                top, left = number * height // (4 * PIECES), number * width // (4 * PIECES)
                piece = np.ascontiguousarray(
                    pixels[top : top + 3 * height // 4, left : left + 3 * width // 4]
                )
                cut, _ = crops(shrink(piece, preprocessing), preprocessing)
                yield Photo(number, f"{path.name}-{number}", piece.shape[1], piece.shape[0]), cut

    found = [cut for cut, _ in zip(pieces(), range(104), strict=False)]
    assert len(found) == 104
    return found


def predicted(predictor: Any, photographs: list[Cut], batch_size: int) -> list[Any]:
    batches = [photographs[at : at + batch_size] for at in range(0, len(photographs), batch_size)]
    return [
        result
        for batch in batches
        for result in predictor.predict(
            np.concatenate([cut for _, cut in batch]), [photo for photo, _ in batch]
        )
    ]


def test_a_row_has_the_same_digits_in_batches_of_any_size(photographs: list[Cut]) -> None:
    with Scorer(device="cpu", threads=1) as scorer:
        alone, *others = [predicted(scorer, photographs, size) for size in (1, 3, 8, 16)]
    assert len({result.raw for result in alone}) > 100
    for results in others:
        assert [result.row() for result in results] == [result.row() for result in alone]
        assert [result.raw for result in results] == [result.raw for result in alone]


def test_what_a_photograph_shows_is_the_same_in_batches_of_any_size(photographs: list[Cut]) -> None:
    with DomainClassifier("dgqa-lite0", device="cpu", threads=1) as classifier:
        alone, together = [predicted(classifier, photographs[:24], size) for size in (1, 8)]
    for one, two in zip(alone, together, strict=True):
        assert np.array_equal(one.logits, two.logits)
