from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.bundle.bundle import Bundle, Domains
from dgqa_infer.domains.explainer import explain_photographs, mean_logits
from dgqa_infer.scorer import Scorer

GRID, SIDE = 5, 32


@pytest.fixture
def backend(tiny_bundle: Path) -> Any:
    """Logits are the means of the planes, in tenths."""
    with OnnxRuntimeBackend(Bundle.load(tiny_bundle).graph_bytes("domains.onnx")) as opened:
        yield opened


@pytest.fixture
def domains(tiny_bundle: Path) -> Domains:
    found = Bundle.load(tiny_bundle).card.domains
    assert found is not None
    return found


def photographs(number: int) -> np.ndarray:
    shape = (number * GRID, SIDE, SIDE, 3)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("chosen", [(), (4,), (1, 2, 4)])
def test_explanations_rest_on_the_mean_over_the_crops_that_the_card_names(
    backend: Any, domains: Domains, chosen: tuple[int, ...]
) -> None:
    crops = photographs(3)
    planes = crops.reshape(3, GRID, -1, 3).mean(axis=2) / 10
    expected = planes[:, list(chosen or range(GRID))].mean(axis=1)

    found = mean_logits(backend, crops, GRID, replace(domains, crops=chosen))
    assert found == pytest.approx(expected, abs=1e-4)


def test_a_photograph_is_explained_alike_whatever_is_beside_it(backend: Any, domains: Domains) -> None:
    crops, told = photographs(4), replace(domains, crops=(0, 3))
    together = mean_logits(backend, crops, GRID, told)
    alone = [mean_logits(backend, crops[k * GRID : (k + 1) * GRID], GRID, told)[0] for k in range(4)]

    assert together.tolist() == [each.tolist() for each in alone]


def test_a_photograph_without_finite_logits_is_not_explained(domains: Domains) -> None:
    class Broken:
        name, device = "broken", "cpu"

        def infer(self, crops: np.ndarray) -> dict[str, np.ndarray]:
            value = np.nan if crops.max() == 0 else 1.0
            return {"domain_logits": np.full((len(crops), 3), value, np.float32)}

    crops = photographs(2)
    crops[:GRID] = 0
    lost, found = explain_photographs(Broken(), crops, np.array([50.0, 50.0]), GRID, domains)  # type: ignore[arg-type]

    assert lost is None
    assert found is not None
    assert found.probabilities == pytest.approx(dict.fromkeys(domains.classes, 1 / 3))


def test_the_scorer_explains_by_the_crops_of_the_card(models: Any, tmp_path: Path) -> None:
    # Red in the middle, green and blue elsewhere; only the middle is looked at.
    image = np.zeros((64, 64, 3), np.uint8)
    image[..., 1:] = 200
    image[16:48, 16:48] = (200, 0, 0)
    classes = ("pristine", "dust_spots", "red_eyes")
    middle = models.write(tmp_path / "middle", domains=Domains(classes, 1.0, crops=(4,)))
    corners = models.write(tmp_path / "corners", domains=Domains(classes, 1.0, crops=(0, 1, 2, 3)))

    with Scorer(middle, device="cpu", explain="all") as scorer:
        assert scorer.score(image).distortions == ()
    with Scorer(corners, device="cpu", explain="all") as scorer:
        seen = scorer.score(image).probabilities
    assert seen is not None
    assert seen["dust_spots"] == pytest.approx(seen["red_eyes"])
    assert seen["dust_spots"] > seen["pristine"]


def test_the_scorer_weighs_its_own_score(models: Any, tmp_path: Path) -> None:
    # Grey 51 scores 51 / 2.55 = 20, and all classes have the same logit.
    image = np.full((64, 64, 3), 51, np.uint8)
    classes = ("pristine", "dust_spots", "red_eyes")
    bundle = models.write(tmp_path / "weighed", domains=Domains(classes, 1.0, score_weight=1.0))

    with Scorer(bundle, device="cpu", explain="all") as scorer:
        found = scorer.score(image)
    assert found.score == pytest.approx(20, abs=0.01)
    assert found.probabilities is not None
    odds = found.probabilities["pristine"] / found.probabilities["red_eyes"]
    assert odds == pytest.approx((1 + 20) / (101 - 20), rel=1e-3)
