"""The built-in model on photographs with one planted fault each, whose names say which."""

from __future__ import annotations

from pathlib import Path

import pytest

from dgqa_infer.bundle.bundle import Bundle, built_in
from dgqa_infer.domains.classes import CLASSES, words
from dgqa_infer.results import Score
from dgqa_infer.scorer import DEFAULT_MODEL, Scorer


@pytest.fixture(scope="module")
def explained(repository: Path) -> dict[str, Score]:
    """Name of each example → its score with its distortions."""
    if DEFAULT_MODEL not in built_in() or Bundle.load(DEFAULT_MODEL).card.domains is None:
        pytest.skip("the built-in model and its domain classifier are not in this checkout")
    photos = sorted((repository / "examples" / "photos").glob("*.webp"))
    with Scorer(DEFAULT_MODEL, device="cpu", threads=1, explain=True) as scorer:
        return {path.stem: scorer.score(path) for path in photos}


def test_the_planted_distortion_is_named(explained: dict[str, Score]) -> None:
    missed = []
    for name, score in explained.items():
        _, _, slug = name.partition("-")
        found = [each.name for each in score.distortions or ()]
        if slug and words(slug) not in found:
            missed.append(f"{name}: {found}")

    assert sum("-" in name for name in explained) >= 5
    assert all(name.partition("-")[2] in CLASSES for name in explained if "-" in name)
    assert missed == []
